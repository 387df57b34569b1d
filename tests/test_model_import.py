"""Models of other forms become files of ours, and ours come back from other forms bit by bit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from foreign_graphs import FOUR, blurred, graph, refusal, write
from onnx import numpy_helper

from geoseg.export.write import ExportRequest, export_model
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.learn.radius import measure_radius
from geoseg.model.card import card_from_json, card_to_json
from geoseg.model.file import is_model, load_card, load_model, save_model
from geoseg.model.graph import GraphSpec
from geoseg.model.network import NetworkSpec
from geoseg.pipeline.model_import import ImportRequest, import_model

if TYPE_CHECKING:
    from pathlib import Path

# ---- round trips


@pytest.mark.parametrize("spec", [NetworkSpec(3, 5, (4, 8, 8)), NetworkSpec(2, 3, (4, 6), 1, "fcn", 2)], ids=str)
def test_our_own_models_come_back_from_onnx_and_mlm_bit_by_bit(tmp_path, make_model, spec):
    ours = make_model(spec, radius=20)
    source = tmp_path / "source.safetensors"
    card = save_model(
        source, replace(ours.card, temperature=1.3, scores=[{"split": "x", "mean_iou": 0.5}]), ours.weights
    )
    for to, name in (("onnx", "ours.onnx"), ("mlm", "ours.mlm.json")):
        export_model(ExportRequest(str(source), to, tmp_path / name))
        assert is_model(str(tmp_path / name))
        again = load_model(tmp_path / name)
        assert again.card == load_card(tmp_path / name) == card
        assert set(again.weights) == set(spec.tensor_shapes())
        for tensor, values in ours.weights.items():
            np.testing.assert_array_equal(again.weights[tensor], values)


def test_an_exported_model_with_other_weights_is_noticed(tmp_path, make_model):
    ours = make_model(NetworkSpec(3, 3, (4, 6)))
    source, out = tmp_path / "source.safetensors", tmp_path / "ours.onnx"
    save_model(source, ours.card, ours.weights)
    export_model(ExportRequest(str(source), "onnx", out))
    made = onnx.load(out)
    bias = next(tensor for tensor in made.graph.initializer if tensor.name == "head.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.1), "head.bias"))
    onnx.save(made, out)
    assert "sha256 differs" in refusal(out)


def test_a_graph_comes_back_from_safetensors_and_onnx(tmp_path, run):
    path = write(tmp_path / "m.onnx", graph(2, 4, (96, 96)), beside=FOUR)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.onnx"
    card = import_model(ImportRequest(str(path), first))
    assert card_from_json(json.loads(json.dumps(card_to_json(card)))) == card
    assert run("model", "export", first, "--to", "onnx", "--out", second)[0] == 0
    again = load_model(second)
    assert again.card == load_model(first).card == card
    assert again.weights["onnx"].tobytes() == path.read_bytes()
    onnx.checker.check_model(onnx.load(second))
    for to, name in (("mlm", "x.mlm.json"), ("openvino", "x.xml")):
        code, _, complaint = run("model", "export", first, "--to", to, "--out", tmp_path / name)
        assert code == 5
        assert "use --to onnx" in complaint


@pytest.mark.parametrize(
    ("prefix", "ending"), [("", "pt"), ("module.", "safetensors"), ("_orig_mod.module.", "pt"), ("model.", "ckpt")]
)
def test_state_dicts_of_our_network_find_their_shape(tmp_path, make_model, run, prefix, ending):
    spec = NetworkSpec(3, 3, (4, 6, 8), patch=2)
    ours = make_model(spec)
    state = {prefix + name: torch.from_numpy(np.array(tensor)) for name, tensor in ours.weights.items()}
    path, out = tmp_path / f"weights.{ending}", tmp_path / "mine.safetensors"
    if ending == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        state[f"{prefix}down.0.0.norm.num_batches_tracked"] = torch.tensor(3)
        state |= {"criterion.weight": torch.ones(3)} if ending == "ckpt" else {}
        more = {"epoch": 3, "hyper_parameters": {"lr": 0.1}}
        torch.save(state if ending == "pt" else {"state_dict": state, **more}, path)
    words = ("--classes", "building,road,background", "--resolution-m", "0.5", "--value-range", "0,255")
    code, _, complaint = run("model", "import", path, *words, "--input-range", "0,255", "--std", "60", "--out", out)
    assert code == 0, complaint
    found = load_model(out)
    assert found.card.network == spec
    assert found.card.receptive_radius == measure_radius(spec)
    assert found.card.std == (60.0,) * 3
    for name, tensor in ours.weights.items():
        np.testing.assert_array_equal(found.weights[name], tensor)
    code, _, complaint = run("model", "import", path, *words, "--input-range", "0,1", "--bands", "red", "--out", out)
    assert code == 4, "it is there already"
    out.unlink()
    code, _, complaint = run("model", "import", path, *words, "--input-range", "0,1", "--bands", "red", "--out", out)
    assert code == 5
    assert "takes 12 bands and answers 12 classes, not the 1 and 3" in complaint


@pytest.mark.parametrize("name", ["ours.onnx", "ours.mlm.json", "ours.safetensors"])
def test_flags_that_a_card_makes_pointless_are_not_ignored(tmp_path, make_model, run, name):
    ours = make_model(NetworkSpec(3, 3, (4, 6)))
    save_model(tmp_path / "source.safetensors", ours.card, ours.weights)
    for to, made in (("onnx", "ours.onnx"), ("mlm", "ours.mlm.json")):
        export_model(ExportRequest(str(tmp_path / "source.safetensors"), to, tmp_path / made))
    out = tmp_path / "out.safetensors"
    code, _, complaint = run("model", "import", tmp_path / name, "--resolution-m", "0.5", "--out", out)
    if name == "ours.safetensors":
        assert code == 5
        assert "is a model of geoseg already" in complaint
        return
    assert code == 2
    assert "leave --resolution-m away" in complaint
    assert not out.exists()
    assert run("model", "import", tmp_path / name, "--out", out)[0] == 0
    assert load_card(out) == load_card(tmp_path / name)


def test_endings_in_capitals_are_endings(tmp_path, make_model, run):
    ours = make_model(NetworkSpec(3, 3, (4, 6)))
    save_model(tmp_path / "OURS.SAFETENSORS", ours.card, ours.weights)
    export_model(ExportRequest(str(tmp_path / "OURS.SAFETENSORS"), "onnx", tmp_path / "OURS.ONNX"))
    assert load_card(tmp_path / "OURS.ONNX") == load_model(tmp_path / "OURS.SAFETENSORS").card
    assert run("model", "import", tmp_path / "OURS.ONNX", "--out", tmp_path / "again.safetensors")[0] == 0


def test_weights_that_are_no_numbers_are_told_by_the_name_of_their_file(tmp_path, make_model, run):
    ours = make_model(NetworkSpec(3, 3, (4, 6)))
    state = {name: torch.from_numpy(np.array(tensor)) for name, tensor in ours.weights.items()}
    state["head.bias"] *= float("nan")
    torch.save(state, tmp_path / "nan.pt")
    words = ("--classes", "a,b,background", "--resolution-m", "1", "--value-range", "0,255", "--input-range", "0,1")
    code, _, complaint = run("model", "import", tmp_path / "nan.pt", *words, "--out", tmp_path / "out.safetensors")
    assert code == 5
    assert complaint.startswith(f"geoseg: {tmp_path / 'nan.pt'}: tensor head.bias holds NaN")


# ---- networks of other libraries

FAKE = '''
import torch
from torch import nn
class base:
    class SegmentationModel(nn.Module):
        pass
class Unet(base.SegmentationModel):
    """The library's own call, and a network that is quickly made."""
    def __init__(self, encoder_name="resnet34", encoder_weights="imagenet", in_channels=3, classes=1, activation=None):
        super().__init__()
        assert encoder_weights is None, "it would be fetched"
        self.encoder = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.segmentation_head = nn.Conv2d(4, classes, 1)
    def forward(self, x):
        return self.segmentation_head(torch.relu(self.encoder(x)))
'''
TORCHGEO = """
from torch import nn
class SemanticSegmentationTask(nn.Module):
    def __init__(self, model="unet", backbone="resnet50", weights=None, in_channels=3, num_classes=None, loss="ce",
                 class_weights=None):
        super().__init__()
        assert weights is None
        import segmentation_models_pytorch as smp
        self.model = smp.Unet(backbone, None, in_channels, num_classes)
"""


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Put packages of the libraries' names and calls on the path; the real ones weigh gigabytes."""
    import sys

    (tmp_path / "lib" / "torchgeo").mkdir(parents=True)
    (tmp_path / "lib" / "segmentation_models_pytorch.py").write_text(FAKE)
    (tmp_path / "lib" / "torchgeo" / "__init__.py").write_text("")
    (tmp_path / "lib" / "torchgeo" / "trainers.py").write_text(TORCHGEO)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    yield
    for name in ("segmentation_models_pytorch", "torchgeo", "torchgeo.trainers"):
        sys.modules.pop(name, None)


SAID = ("--classes", "background,building", "--resolution-m", "1", "--value-range", "0,255", "--input-range", "0,1")


def smp_folder(folder: Path) -> dict[str, torch.Tensor]:
    """Write a folder as segmentation_models_pytorch 0.6 saves them."""
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(0)
    state = {
        "encoder.weight": torch.randn(4, 3, 3, 3, generator=random),
        "encoder.bias": torch.randn(4, generator=random),
        "segmentation_head.weight": torch.randn(2, 4, 1, 1, generator=random),
        "segmentation_head.bias": torch.randn(2, generator=random),
    }
    folder.mkdir()
    config = {"_model_class": "Unet", "encoder_name": "resnet18", "encoder_weights": "imagenet", "in_channels": 3}
    (folder / "config.json").write_text(json.dumps({**config, "classes": 2, "activation": None}))
    save_file(state, folder / "model.safetensors")
    return state


def by_torch(state: dict[str, torch.Tensor], pixels: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(pixels / np.float32(255))[None]
    x = torch.relu(torch.nn.functional.conv2d(x, state["encoder.weight"], state["encoder.bias"], padding=1))
    x = torch.nn.functional.conv2d(x, state["segmentation_head.weight"], state["segmentation_head.bias"])
    return x.softmax(1)[0].numpy()[[1, 0]]


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("kind", ["folder", "task"])
def test_networks_of_libraries_are_built_by_them_and_kept_as_graphs(tmp_path, run, kind):
    source, out = tmp_path / "source", tmp_path / "out.safetensors"
    state = smp_folder(source)
    if kind == "task":
        source = tmp_path / "last.ckpt"
        named = {f"model.{name}": tensor for name, tensor in state.items()} | {"criterion.weight": torch.ones(2)}
        settings_ = {"model": "unet", "backbone": "resnet18", "weights": True, "in_channels": 3, "num_classes": 2}
        torch.save({"state_dict": named, "hyper_parameters": settings_, "epoch": 9}, source)
    code, _, complaint = run("model", "import", source, *SAID, "--out", out)
    assert code == 0, complaint
    found = load_model(out)
    assert isinstance(found.card.network, GraphSpec)
    assert found.card.receptive_radius == 1
    pixels = blurred(3, 32, 64)
    scores = build_network(found, WindowShape(32, 64, 0), RunsOn("cpu")).scores(pixels)
    np.testing.assert_allclose(scores, by_torch(state, pixels), atol=2e-6)


def test_a_missing_library_is_named_with_how_to_get_it(tmp_path, run):
    smp_folder(tmp_path / "net")
    torch.save({"state_dict": {"model.a": torch.zeros(1)}, "hyper_parameters": {"model": "unet"}}, tmp_path / "a.ckpt")
    for source, install in (("net", "pip install segmentation-models-pytorch"), ("a.ckpt", "pip install torchgeo")):
        code, _, complaint = run("model", "import", tmp_path / source, *SAID, "--out", tmp_path / "x.safetensors")
        assert code == 5
        assert install in complaint


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("name", ["base", "nn", "torch", "Nothing", "__loader__"])
def test_only_networks_of_a_library_are_built(tmp_path, run, name):
    smp_folder(tmp_path / "net")
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    (tmp_path / "net" / "config.json").write_text(json.dumps(config | {"_model_class": name}))
    code, _, complaint = run("model", "import", tmp_path / "net", *SAID, "--out", tmp_path / "x.safetensors")
    assert code == 5
    assert "has no network" in complaint
