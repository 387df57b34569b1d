"""Models for other programs: other runtimes give geoseg's own classes, and nothing of a card or a weight is lost."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pystac
import pytest
import rasterio
import torch
from deepness import Deepness
from onnx import numpy_helper
from pystac.extensions.mlm import MLMExtension
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource
from stac_model.schema import MLModelProperties

from geoseg.cli.main import main
from geoseg.errors import OutputError, UsageError
from geoseg.export.deepness import class_names, deepness_metadata, overlap_percent
from geoseg.export.onnx_graph import onnx_model
from geoseg.export.write import ExportRequest, export_model
from geoseg.inference.on_openvino import ov
from geoseg.model.card import card_from_json, card_to_json, load
from geoseg.model.file import DEFAULT, Model, load_card, load_model, model_path, save_model
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.pipeline.models import bundled_models
from geoseg.vocabulary import Legend, MapClass

SCENE = Path(__file__).parents[1] / "sample_data" / "scene.tif"
HALO, CORE = 96, 448
TILE = CORE + 2 * HALO

SPECS = {
    "unet": (NetworkSpec(3, 5, (4, 8, 8)), (0, 255)),
    "fcn": (NetworkSpec(3, 4, (4, 6, 8), kind="fcn"), (0, 255)),
    "one level, two classes": (NetworkSpec(1, 2, (6,), 1), (0, 255)),
    "odd widths, four bands, 16 bits": (NetworkSpec(4, 6, (3, 7, 5, 9)), (100, 10_100)),
    "patches of two": (NetworkSpec(3, 5, (6, 8), patch=2), (0, 255)),
    "patches of four, fcn": (NetworkSpec(4, 3, (8, 5), 1, "fcn", 4), (0, 1000)),
    "around zero, three convolutions": (NetworkSpec(2, 3, (5, 3), 3), (-1.0, 1.0)),
}


def exported(tmp_path, model, to, name, **more):
    """Write a model and then its export; returns the export's path."""
    source = tmp_path / "source.safetensors"
    save_model(source, model.card, model.weights)
    out = tmp_path / name
    export_model(ExportRequest(str(source), to, out, **more))
    return out


def oracle(model, unit):
    """Return class probabilities by a plain forward pass in double precision.

    Args:
        model: card and weights.
        unit: (n, bands, height, width), 0 to 1 over the card's value range.
    """
    card = model.card
    net = UNet(card.network)
    net.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}, strict=False)
    mean, std = (np.array(v)[:, None, None] for v in (card.mean, card.std))
    low, high = card.value_range
    pixels = low + unit.astype(np.float64) * (high - low)
    with torch.inference_mode():
        scores = net.double().eval()(torch.from_numpy((pixels - mean) / std)) / card.temperature
        return scores.softmax(1).numpy()


@pytest.fixture(scope="module")
def default_onnx(tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "default.onnx"
    export_model(ExportRequest(DEFAULT, "onnx", out))
    return out


@pytest.fixture(scope="module")
def pixels():
    with rasterio.open(SCENE) as scene:
        return scene.read()


@pytest.fixture(scope="module")
def geosegs_classes(tmp_path_factory):
    out = tmp_path_factory.mktemp("raster") / "classes.tif"
    with pytest.raises(SystemExit) as left:
        main(["segment", str(SCENE), "--raster", str(out), "--precision", "fp32", "--device", "cpu", "-q", "-q"])
    assert not left.value.code
    with rasterio.open(out) as raster:
        return raster.read(1)


def in_tiles(pixels, run):
    """Return the output channel of every pixel of (bands, height, width), by tiles whose halos are cut away."""
    height, width = pixels.shape[1:]
    down, across = (-(-size // CORE) * CORE for size in (height, width))
    framed = np.pad(pixels, ((0, 0), (HALO, HALO + down - height), (HALO, HALO + across - width)), "reflect")
    channels = np.zeros((down, across), int)
    for row in range(0, down, CORE):
        for col in range(0, across, CORE):
            tile = framed[None, :, row : row + TILE, col : col + TILE]
            best = run(tile)[0].argmax(0)
            channels[row : row + CORE, col : col + CORE] = best[HALO:-HALO, HALO:-HALO]
    return channels[:height, :width]


def in_onnxruntime(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda tiles: session.run(None, {"input": np.float32(tiles / 255)})[0]


def in_openvino(path):
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda tiles: compiled([np.float32(tiles / 255)])[0]


@pytest.mark.parametrize("runtime", [in_onnxruntime, in_openvino])
def test_other_runtimes_give_geosegs_classes(default_onnx, pixels, geosegs_classes, runtime):
    values = np.array([0, *(entry.value for entry in load_card(DEFAULT).legend)])
    classes = values[in_tiles(pixels, runtime(default_onnx))]
    share = (classes == geosegs_classes).mean()
    print(f"{runtime.__name__}: {share:.6%} of {classes.size} pixels have geoseg's class")
    assert len(np.unique(geosegs_classes)) >= 4
    assert share >= 0.9999


def test_ir_gives_geosegs_classes_at_any_size(tmp_path, pixels, geosegs_classes):
    out = tmp_path / "default.xml"
    files = export_model(ExportRequest(DEFAULT, "openvino", out))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["default.bin", "default.xml"]
    assert [file.path for file in files] == [out, out.with_suffix(".bin")]
    compiled = ov.Core().compile_model(str(out), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    channels = in_tiles(pixels, lambda tiles: compiled([tiles])["probabilities"])
    share = (channels + 1 == geosegs_classes).mean()
    print(f"OpenVINO IR: {share:.6%}")
    assert share >= 0.9999
    small = compiled([pixels[None, :, :32, :48]])["probabilities"]
    assert small.shape == (1, 5, 32, 48)


# ---- Deepness


def test_deepness_opens_it(default_onnx):
    card, model = load_card(DEFAULT), Deepness(default_onnx)
    assert model.model_type == "Segmentor"
    assert model.class_names() == ["background", *(entry.name for entry in card.legend)]
    assert len(model.class_names()) == model.shape[-3]
    assert model.tile == model.given[2] == model.given[3] == model.shape[2] == TILE
    assert model.value("tiles_size", int) == TILE
    assert model.value("resolution", float) == 100 * card.resolution_m
    assert model.value("seg_thresh", float) == 0
    assert model.value("seg_small_segment", int) == 0
    assert (model.tile - model.stride) // 2 >= card.receptive_radius
    assert model.stride % card.network.stride == 0
    assert model.batch is None


def test_deepness_maps_as_geoseg_does(default_onnx, pixels, geosegs_classes):
    model = Deepness(default_onnx)
    part = np.s_[:TILE, :]
    rgba = np.concatenate([pixels, np.full_like(pixels[:1], 255)]).transpose(1, 2, 0)  # a band it does not take
    found = model.map(rgba[part])
    assert model.stride < pixels.shape[2] - HALO, "one tile has no seam"
    inside = np.s_[HALO:-HALO, HALO:-HALO]  # beyond the frame it sees black, geoseg a reflection
    share = (found[inside] == geosegs_classes[part][inside]).mean()
    print(f"Deepness: {share:.6%}")
    assert share >= 0.9999
    assert found.min() >= 1


def test_under_the_threshold_lies_the_background(default_onnx, pixels, geosegs_classes):
    inside = np.s_[HALO : TILE - HALO, HALO : TILE - HALO]
    tiles = pixels[None, :, :TILE, :TILE].transpose(0, 2, 3, 1)
    sure = Deepness(default_onnx).process(tiles, threshold=0.8)[0]
    assert 0 < (sure == 0).mean() < 0.9
    kept = sure[inside] > 0
    assert (sure[inside] == geosegs_classes[inside])[kept].mean() >= 0.9999


def test_a_batch_is_its_tiles_one_by_one(make_model, tmp_path):
    model = Deepness(exported(tmp_path, make_model(SPECS["unet"][0]), "onnx", "a.onnx", tile=32))
    tiles = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    together = model.process(tiles)
    np.testing.assert_array_equal(together, np.concatenate([model.process(tile[None]) for tile in tiles]))
    assert len(np.unique(together)) > 2


@pytest.mark.parametrize(("radius", "tile", "percent"), [(94, 512, 37), (94, 1024, 19), (0, 512, 25), (300, 512, 50)])
def test_overlap_is_the_radius_where_a_tile_has_room(radius, tile, percent):
    assert overlap_percent(radius, tile) == percent
    if percent < 50:
        assert int(tile * percent / 100 * 2) // 2 // 2 >= radius


def test_a_legend_with_a_background_of_its_own(make_model):
    card = make_model(NetworkSpec(3, 2, (2,))).card
    house = MapClass(1, "house", "houses", "#000000", "#000000")
    own = Legend((house, MapClass(2, "background", None, "#000000", "#000000")))
    assert list(class_names(replace(card, legend=own)).values()) == ["unclassified", "house", "background"]


# ---- the graph, of every kind of network


@pytest.mark.parametrize(("spec", "value_range"), SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_the_graph_is_the_network(make_model, tmp_path, spec, value_range, temperature):
    made = make_model(spec, value_range=value_range)
    model = Model(replace(made.card, temperature=temperature), made.weights)
    tile = 4 * spec.stride
    path = exported(tmp_path, model, "onnx", "net.onnx", tile=tile)
    unit = np.random.default_rng(5).uniform(0, 1, (2, spec.bands, tile, tile)).astype(np.float32)
    expected = oracle(model, unit)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (by_ort,) = session.run(None, {"input": unit})
    by_openvino = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([unit])[0]
    for found in (by_ort, by_openvino):
        assert found.dtype == np.float32
        assert found.shape == (2, spec.classes + 1, tile, tile)
        assert not found[:, 0].any()
        np.testing.assert_allclose(found[:, 1:], expected, rtol=0, atol=5e-5)
    assert len(np.unique(expected.argmax(1))) > 1, "a network of one answer proves nothing"


@pytest.mark.parametrize(("spec", "value_range"), SPECS.values(), ids=SPECS)
def test_the_ir_is_the_network(make_model, tmp_path, spec, value_range):
    model = make_model(spec, value_range=value_range)
    tile = 4 * spec.stride
    path = exported(tmp_path, model, "openvino", "net.xml", tile=tile)
    random = np.random.default_rng(6)
    low, high = value_range
    values = random.uniform(low, high, (1, spec.bands, tile, tile))
    values = np.rint(values).astype(np.uint8) if model.card.takes_uint8 else values.astype(np.float32)
    read = ov.Core().read_model(str(path))
    assert list(read.inputs[0].partial_shape)[2:] == [tile, tile]
    found = ov.Core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([values])["probabilities"]
    np.testing.assert_allclose(found, oracle(model, (values - low) / (high - low)), rtol=0, atol=5e-5)
    assert load(read.get_rt_info(["geoseg", "card"]).astype(str)) == load_card(tmp_path / "source.safetensors")


@pytest.mark.parametrize("name", SPECS)
def test_weights_come_back_bit_by_bit(make_model, tmp_path, name):
    spec, value_range = SPECS[name]
    model = make_model(spec, value_range=value_range)
    stored = onnx.load(exported(tmp_path, model, "onnx", "net.onnx", tile=4 * spec.stride))
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in stored.graph.initializer}
    for tensor, shape in spec.tensor_shapes().items():
        assert tensors[tensor].dtype == np.float32
        assert tensors[tensor].shape == shape
        assert tensors[tensor].tobytes() == model.weights[tensor].tobytes()
    told = {entry.key: entry.value for entry in stored.metadata_props}
    again = tmp_path / "again.safetensors"
    card = save_model(again, load(told["geoseg"]), {name: tensors[name] for name in spec.tensor_shapes()})
    assert card == load_card(tmp_path / "source.safetensors")


def test_the_card_is_the_same_in_every_format(make_model, tmp_path):
    made = make_model(SPECS["unet"][0], radius=40)
    training = {"data": [{"name": "Dubaï", "license": "CC0-1.0"}], "seed": 7, "nested": {"a": [1, 2.5, None]}}
    scores = [{"split": "held-out", "mean_iou": 0.5, "classes": {"road": {"iou": None}}}]
    card = replace(made.card, training=training, scores=scores, temperature=1.25, window=512)
    source = tmp_path / "source.safetensors"
    card = save_model(source, card, made.weights)
    for to, name in (("onnx", "a.onnx"), ("mlm", "a.mlm.json")):
        export_model(ExportRequest(str(source), to, tmp_path / name))
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    in_onnx = load(session.get_modelmeta().custom_metadata_map["geoseg"])
    item = json.loads((tmp_path / "a.mlm.json").read_text(encoding="utf-8"))
    in_mlm = card_from_json(item["properties"]["geoseg:card"])
    assert in_onnx == in_mlm == load_card(source) == load_card(tmp_path / "a.safetensors") == card
    assert item["properties"]["geoseg:card"] == json.loads(json.dumps(card_to_json(card)))


# ---- STAC MLM


def schema_errors(item):
    """Return what the schema of STAC items, as pystac brings it, finds wrong."""
    schemas = get_local_schema_cache()
    registry = Registry().with_resources((uri, Resource.from_contents(schema)) for uri, schema in schemas.items())
    core = next(schema for uri, schema in schemas.items() if uri.endswith("v1.1.0/item-spec/json-schema/item.json"))
    return [error.message for error in jsonschema.Draft7Validator(core, registry=registry).iter_errors(item)]


@pytest.mark.parametrize("name", SPECS)
def test_the_mlm_item_is_valid(make_model, tmp_path, name):
    spec, value_range = SPECS[name]
    model = make_model(spec, value_range=value_range, name="Größe & mehr, 2")
    path = exported(tmp_path, model, "mlm", "my model.mlm.json", tile=256)
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert schema_errors(plain) == []
    assert schema_errors({**plain, "geometry": 3}), "the validator finds nothing where there is something"
    item = pystac.Item.from_file(str(path))
    parsed = MLModelProperties.model_validate(plain["properties"])
    assert parsed.tasks == {"semantic-segmentation"}
    extension = MLMExtension.ext(item)
    assert extension.mlm_name == plain["properties"]["mlm:name"]
    (given,), (made,) = parsed.input, parsed.output
    assert given.input.shape == [-1, spec.bands, 256, 256]
    assert list(given.bands) == list(model.card.bands) == [band["name"] for band in plain["properties"]["bands"]]
    assert [entry.to_dict()["value"] for entry in made.classes] == [entry.value for entry in model.card.legend]
    assert {entry.to_dict()["color_hint"] for entry in made.classes} <= {e.style[1:].upper() for e in model.card.legend}
    assert len(given.value_scaling) == spec.bands
    pixels = np.linspace(*value_range, 5)
    for scaling, mean, std in zip(given.value_scaling, model.card.mean, model.card.std, strict=True):
        assert scaling.type == "z-score"
        np.testing.assert_array_equal((pixels - scaling.mean) / scaling.stddev, (pixels - mean) / std)


def test_the_mlm_item_leads_to_its_weights(make_model, tmp_path):
    model = make_model(SPECS["unet"][0])
    path = exported(tmp_path, model, "mlm", "my model.mlm.json")
    (asset,) = pystac.Item.from_file(str(path)).assets.values()
    assert "mlm:model" in asset.roles
    assert asset.extra_fields["mlm:artifact_type"] == "safetensors"
    assert asset.href == "./my%20model.safetensors"
    weights = tmp_path / "my model.safetensors"
    content = weights.read_bytes()
    assert asset.extra_fields["file:size"] == len(content)
    assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    for name, tensor in load_model(weights).weights.items():
        assert tensor.tobytes() == model.weights[name].tobytes()


def test_an_item_beside_its_model_describes_that_file(tiny_model, tmp_path):
    source = tmp_path / "mine.safetensors"
    save_model(source, tiny_model.card, tiny_model.weights)
    before = source.stat().st_mtime_ns, source.read_bytes()
    export_model(ExportRequest(str(source), "mlm", tmp_path / "mine.mlm.json"))
    assert (source.stat().st_mtime_ns, source.read_bytes()) == before
    item = json.loads((tmp_path / "mine.mlm.json").read_text(encoding="utf-8"))
    assert item["assets"]["weights"]["file:checksum"] == "1220" + hashlib.sha256(before[1]).hexdigest()


def test_a_licence_in_words_is_other(make_model, tmp_path):
    made = make_model(SPECS["unet"][0])
    model = Model(replace(made.card, license="ask us first"), made.weights)
    plain = json.loads(exported(tmp_path, model, "mlm", "a.mlm.json").read_text(encoding="utf-8"))
    assert plain["properties"]["license"] == "other"
    assert plain["properties"]["geoseg:card"]["license"] == "ask us first"
    assert schema_errors(plain) == []


# ---- files and faults


@pytest.mark.parametrize(
    ("to", "name", "tile", "sentence"),
    [
        ("onnx", "a.xml", None, "--to onnx writes a file that ends in .onnx"),
        ("mlm", "a.safetensors", None, "ends in .mlm.json"),
        ("openvino", "a.bin", None, "ends in .xml"),
        ("onnx", "a.onnx", 500, "--tile: 500 is not a multiple of 16"),
        ("onnx", "a.onnx", 16384, "between 16 and 8192"),
    ],
)
def test_what_cannot_be_meant_is_refused(tiny_model_path, tmp_path, to, name, tile, sentence):
    with pytest.raises(UsageError, match=sentence.replace(".", r"\.")):
        export_model(ExportRequest(str(tiny_model_path), to, tmp_path / name, tile))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "name", "in_the_way"),
    [
        ("onnx", "a.onnx", "a.onnx"),
        ("mlm", "a.mlm.json", "a.safetensors"),
        ("openvino", "a.xml", "a.bin"),
    ],
)
def test_nothing_is_replaced_unasked(tiny_model_path, tmp_path, to, name, in_the_way):
    (tmp_path / in_the_way).write_bytes(b"mine")
    with pytest.raises(OutputError, match="add --overwrite"):
        export_model(ExportRequest(str(tiny_model_path), to, tmp_path / name))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]
    files = export_model(ExportRequest(str(tiny_model_path), to, tmp_path / name, overwrite=True))
    assert sorted(file.path for file in files) == sorted(tmp_path.iterdir())
    for file in files:
        assert file.size == file.path.stat().st_size > 100
        assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()


def test_the_same_model_gives_the_same_onnx(tiny_model):
    first, second = (onnx_model(tiny_model, 64, deepness_metadata(tiny_model.card, 64)) for _ in range(2))
    assert first.SerializeToString() == second.SerializeToString()
    assert first.opset_import[0].version <= 17


def test_without_onnx_the_sentence_says_what_to_type(bare_environment, tiny_model_path, tmp_path):
    code = f"""
import sys
sys.modules["onnx"] = None
from geoseg.cli.main import main
main(["model", "export", {str(tiny_model_path)!r}, "--to", "onnx", "--out", {str(tmp_path / "a.onnx")!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare_environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "geoseg: --to onnx needs the package onnx; type: pip install 'geoseg[onnx]'"
    assert not (tmp_path / "a.onnx").exists()


# ---- the command line


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    return left.value.code or 0, capsys.readouterr()


def test_commands(quiet_log, capsys, tiny_model_path, tmp_path):
    code, told = said(capsys, "model", "list", "--json")
    assert code == 0
    assert json.loads(told.out) == {"schema": 1, "models": bundled_models()}
    assert json.loads(told.out)["models"][0]["path"] == str(model_path(DEFAULT))
    code, told = said(capsys, "model", "list")
    assert f"{DEFAULT}: {load_card(DEFAULT).name}" in told.out
    code, told = said(capsys, "model", "info", tiny_model_path, "--json")
    assert json.loads(told.out) == json.loads(said(capsys, "info", tiny_model_path, "--json")[1].out)
    out = tmp_path / "tiny.onnx"
    code, told = said(capsys, "model", "export", tiny_model_path, "--to", "onnx", "--out", out, "--tile", 64)
    assert (code, told.out.strip(), told.err) == (0, str(out), "")
    assert Deepness(out).tile == 64
    code, told = said(capsys, "model", "export", tiny_model_path, "--to", "onnx", "--out", out)
    assert (code, told.out) == (4, "")
    assert "add --overwrite" in told.err
    as_mlm = ("--to", "mlm", "--out", tmp_path / "t.json", "--json")
    code, told = said(capsys, "model", "export", tiny_model_path, *as_mlm)
    assert [Path(file["path"]).name for file in json.loads(told.out)["files"]] == ["t.json", "t.safetensors"]
    code, told = said(capsys, "model", "export", tmp_path / "none.safetensors", "--to", "onnx", "--out", "b.onnx")
    assert code == 5
