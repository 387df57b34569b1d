"""What cannot be exported, and the commands."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from deepness import Deepness

from geoseg.cli.main import main
from geoseg.errors import OutputError, UsageError
from geoseg.export.deepness import deepness_metadata
from geoseg.export.onnx_graph import onnx_model
from geoseg.export.write import ExportRequest, export_model
from geoseg.model.file import DEFAULT, load_card, model_path
from geoseg.pipeline.models import bundled_models


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
