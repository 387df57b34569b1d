"""Nothing in somebody else's file is believed or executed."""

from __future__ import annotations

import contextlib
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from foreign_graphs import TOLD, graph, model, refusal, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from geoseg.errors import ModelError
from geoseg.model.file import load_card, load_model
from geoseg.model.foreign.onnx_arity import _LEAST, _WITHOUT
from geoseg.model.foreign.onnx_proto import read_proto, with_metadata, without_metadata
from geoseg.model.foreign.wire import WireError

# ---- what is not opened


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.write_text, (self.mark, "executed"))


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"\0" * 5_000_000)
    return path


def test_files_of_other_kinds_are_told_apart(tmp_path):
    mark = tmp_path / "executed"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Evil(mark)))
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Evil(mark)))
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "a.pb").write_bytes(b"\x08\x01")
    (tmp_path / "a.xml").write_text("<net/>")
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "a.json").write_text("{}")
    zipped(tmp_path / "a.dlpk", "model.emd", "../../evil.py")
    zipped(tmp_path / "b.zip", "folder/model.emd")
    zipped(tmp_path / "script.pt", "script/data.pkl", "script/code/net.py", "script/constants.pkl")
    zipped(tmp_path / "a.pt2", "archive/archive_format")
    torch.save({"a": torch.zeros(1)}, tmp_path / "plain.pth")
    (tmp_path / "folder").mkdir()
    (tmp_path / "smp").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "smp" / name).write_text("{}")
    said = {
        "a.pkl": "never opened",
        "a.pt": "geoseg model import",
        "a.h5": "tf2onnx",
        "a.pb": "tf2onnx",
        "a.xml": "half of an OpenVINO model",
        "a.txt": "not a .safetensors or .onnx model",
        "a.json": "no STAC MLM item",
        "a.dlpk": "holds code and is not unpacked",
        "b.zip": "holds code and is not unpacked",
        "script.pt": "TorchScript",
        "a.pt2": "torch.export",
        "plain.pth": "geoseg model import",
        "folder": "is a folder",
        "smp": "folder of segmentation_models_pytorch",
    }
    for name, words in said.items():
        assert words in refusal(tmp_path / name), name
        refusal(tmp_path / name, load_card)
    for address in ("https://example.com/m.onnx", "s3://b/m.safetensors", "/vsicurl/https://x/m.onnx"):
        with pytest.raises(ModelError, match="is an address"):
            load_model(address)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda mark: {"a": Evil(mark)}, "no code of it is run"),
        (lambda _: torch.nn.Conv2d(1, 1, 1), "no code of it is run"),
        (lambda _: {"state_dict": {"a": torch.zeros(1)}, "iou": np.float64(0.5)}, "float"),
        (lambda _: [torch.zeros(1)], "expected a state dict"),
        (lambda _: {"epoch": 3}, "holds no tensors"),
        (lambda _: {"conv.weight": torch.zeros(1)}, "no architecture that is known"),
    ],
)
def test_checkpoints_that_are_no_state_dict(tmp_path, run, content, said):
    path, mark = tmp_path / "x.pt", tmp_path / "executed"
    torch.save(content(mark), path)
    code, _, complaint = run("model", "import", path, "--out", tmp_path / "x.safetensors")
    assert code == 5
    assert said in complaint
    assert not mark.exists()
    assert not (tmp_path / "x.safetensors").exists()


def test_graphs_that_do_not_segment(tmp_path):
    two_inputs = graph(3, 2)
    two_inputs.graph.input.append(helper.make_tensor_value_info("more", 1, [1]))
    two_outputs = graph(3, 2)
    two_outputs.graph.output.append(helper.make_tensor_value_info("s", 1, [1, 2, 8, 8]))
    flat = graph(3, 2)
    flat.graph.node.append(helper.make_node("ReduceMean", ["y"], ["mean"], axes=[2, 3], keepdims=0))
    flat.graph.output[0].CopyFrom(helper.make_tensor_value_info("mean", 1, ["n", 2]))
    bytes_in = graph(3, 2)
    bytes_in.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    classes = graph(3, 2)
    classes.graph.node.append(helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=1))
    classes.graph.output[0].CopyFrom(helper.make_tensor_value_info("best", 7, ["n", 1, "h", "w"]))
    last = model([helper.make_node("Identity", ["x"], ["y"])], [], 3, 3)
    for value in (*last.graph.input, *last.graph.output):
        value.type.tensor_type.shape.dim[1].dim_param = "h"
        value.type.tensor_type.shape.dim[3].dim_value = 3
    many = graph(3, 2, (64, 64))
    many.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    half = model([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], [], 3, 3)
    unknown = model([helper.make_node("Magic", ["x"], ["y"], domain="evil")], [], 3, 3)
    unknown.opset_import.append(helper.make_opsetid("evil", 1))
    for made, said in (
        (two_inputs, "has 2 inputs (x float32 (?, 3, ?, ?); more float32 (1))"),
        (two_outputs, "has 2 outputs"),
        (flat, "has mean float32 (?, 2), expected float32 of (n, bands or classes, height, width)"),
        (bytes_in, "has x uint8"),
        (classes, "the scores from before an argmax"),
        (last, "bands seem to come last"),
        (many, "bound to 4 images at a time"),
        (half, "expected a score per class for each pixel"),
        (unknown, "OpenVINO cannot read this graph"),
    ):
        told = {**TOLD, "classes": ["a", "b"]}
        assert said in refusal(write(tmp_path / "m.onnx", made, beside=told)), said


def test_weights_elsewhere_are_not_looked_for(tmp_path):
    for place in ("graph", "attribute"):
        made = graph(3, 2)
        if place == "graph":
            tensor = made.graph.initializer[0]
        else:
            hidden = numpy_helper.from_array(np.zeros(3, np.float32))
            made.graph.node.append(helper.make_node("Constant", [], ["c"], value=hidden))
            tensor = made.graph.node[-1].attribute[0].t
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        sentence = refusal(write(tmp_path / "m.onnx", made, beside={**TOLD, "classes": ["a", "b"]}))
        assert "keeps weights in another file" in sentence


def test_sizes_that_are_claimed_are_not_made(tmp_path):
    huge = graph(3, 2)
    del huge.graph.initializer[0].dims[:]
    huge.graph.initializer[0].dims.extend([1 << 40, 1 << 20])
    assert "claims" in refusal(write(tmp_path / "m.onnx", huge, beside={**TOLD, "classes": ["a", "b"]}))
    filled = model([helper.make_node("ConstantOfShape", ["size"], ["c"])], [], 3, 3)
    filled.graph.node.extend(
        [helper.make_node("ReduceMax", ["c"], ["m"], keepdims=0), helper.make_node("Add", ["x", "m"], ["y"])]
    )
    filled.graph.initializer.append(numpy_helper.from_array(np.array([100_000, 100_000, 100]), "size"))
    refusal(write(tmp_path / "n.onnx", filled, beside={**TOLD, "classes": ["a", "b", "c"]}))


@pytest.mark.parametrize("left", range(2))
def test_an_operation_that_lacks_an_input_does_not_end_the_process(tmp_path, left):
    """OpenVINO 2026 reads beyond the inputs of a convolution that has too few."""
    for number, node in enumerate(graph(1, 2).graph.node):
        damaged = graph(1, 2)
        inputs = damaged.graph.node[number].input
        if len(inputs) > left and node.op_type == "Conv":
            del inputs[left:]
            sentence = refusal(write(tmp_path / "m.onnx", damaged, beside={**TOLD, "classes": ["a", "b"]}))
            assert f"its operation Conv has {left} of 2 inputs" in sentence
    unnamed = graph(1, 2)
    unnamed.graph.node[0].input[1] = ""
    assert "has 1 of 2" in refusal(write(tmp_path / "n.onnx", unnamed, beside={**TOLD, "classes": ["a", "b"]}))


def test_what_operations_need_at_least_is_what_onnx_says():
    """For every operation and version that ONNX knows."""
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            least = _LEAST.get(schema.name, 0 if schema.name in _WITHOUT else 1)
            assert least <= schema.min_input, (schema.name, schema.since_version)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_file_is_never_an_internal_error(tmp_path, data):
    good = graph(1, 2).SerializeToString()
    if data.draw(st.booleans()):
        damaged = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        changed = bytearray(good)
        changed[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        damaged = bytes(changed)
    path = tmp_path / "m.onnx"
    path.write_bytes(damaged)
    path.with_name("m.onnx.json").write_text(json.dumps({**TOLD, "classes": ["a", "b"]}))
    with contextlib.suppress(ModelError):  # a flip in a weight is not noticed: there is no digest yet
        load_model(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_refused(content):
    with contextlib.suppress(WireError):
        read_proto(content)


def test_what_a_file_says_is_what_the_library_reads():
    made = graph(3, 4, (64, 96), last="Softmax")
    helper.set_model_props(made, {"a": "1", "b": "ü"})
    content = made.SerializeToString()
    found = read_proto(content)
    assert found.metadata == {"a": "1", "b": "ü"}
    assert str(found.inputs[0]) == "x float32 (1, 3, 64, 96)"
    assert found.last == "Softmax"
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    weights = found.weights()
    assert set(weights) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(weights[name], tensor)
    more = with_metadata(content, "geoseg", "card")
    assert {entry.key: entry.value for entry in onnx.load_from_string(more).metadata_props}["geoseg"] == "card"
    assert without_metadata(more, "geoseg") == content
