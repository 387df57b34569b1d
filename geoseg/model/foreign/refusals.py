"""What is not opened as a model, told apart by name and first bytes, each with what to type instead."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from geoseg.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

OPENED = (".safetensors", ".onnx", ".json")
"""Endings of what runs as it is."""

IMPORTED = (".pt", ".pth", ".ckpt", ".bin")
"""Endings of checkpoints, which only ``geoseg model import`` opens."""

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|/vsi|[a-z0-9]+:/[^/\\]")
_TO_ONNX = "export it to ONNX where it was made (torch.onnx.export), then: geoseg model import model.onnx"


def refuse(name: str, path: Path, *, missing: str = "", importing: bool = False) -> None:
    """Refuse what is no model file that is opened.

    Args:
        name: as it was given.
        path: the file.
        missing: what to type where it is not there.
        importing: whether checkpoints and folders are welcome.

    Raises:
        ModelError: it is something else, with what to do about it.
    """
    if _ADDRESS.match(name):
        raise ModelError(f"{name}: is an address, and models are read from local files only; download it first")
    if path.is_dir():
        if (path / "config.json").is_file() and (path / "model.safetensors").is_file():
            if importing:
                return
            raise ModelError(
                f"{path}: is a folder of segmentation_models_pytorch; import it first: "
                f"geoseg model import {path.name} --out {path.name}.safetensors"
            )
        raise ModelError(f"{path}: is a folder, expected a model file (.safetensors, .onnx)")
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; {missing or 'give a .safetensors or .onnx file, or default'}")
    if path.suffix in OPENED:
        return
    what = _kind(path)
    if what == "checkpoint" and path.suffix.lower() in IMPORTED:
        if importing:
            return
        raise ModelError(
            f"{path}: is a PyTorch checkpoint, which is opened only to be imported: "
            f"geoseg model import {path.name} --out {path.stem}.safetensors"
        )
    raise ModelError(f"{path}: {_SENTENCES.get(what, _SENTENCES['unknown'])}")


_SENTENCES = {
    "torchscript": f"is TorchScript, a compiled program, which is not opened; {_TO_ONNX}",
    "exported": f"is a program saved by torch.export, which is not opened; {_TO_ONNX}",
    "checkpoint": "is a PyTorch checkpoint by another name; give it the ending .pt, then: geoseg model import",
    "dlpk": "is an Esri package, which holds code and is not unpacked; take the .onnx file out of it, then: "
    "geoseg model import",
    "keras": "is a Keras model, which is not opened; convert it with tf2onnx, then: geoseg model import model.onnx",
    "tensorflow": "is a TensorFlow graph, which is not opened; convert it with tf2onnx, then: "
    "geoseg model import model.onnx",
    "pickle": "is a pickle, which can run any code and is never opened; save the state_dict alone as .safetensors, "
    "then: geoseg model import",
    "openvino": "is one half of an OpenVINO model; keep the .onnx it was made from, and give that",
    "unknown": "is not a .safetensors or .onnx model; pickled and compiled models are not opened",
}


def _kind(path: Path) -> str:
    """Return what a file is; nothing of it is unpacked."""
    ending = path.suffix.lower()
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return "unknown"
    if ending in (".dlpk", ".emd", ".esriaddin"):
        return "dlpk"
    if ending == ".xml":
        return "openvino"
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path, ending)
    if head.startswith(b"\x89HDF\r\n") or ending in (".h5", ".hdf5", ".keras"):
        return "keras"
    if ending in (".pb", ".tflite"):
        return "tensorflow"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "checkpoint" if ending in IMPORTED else "pickle"
    return "unknown"


def _kind_of_zip(path: Path, ending: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "unknown"
    if any(name.endswith(".emd") for name in names):
        return "dlpk"
    if ending == ".pt2" or any(name.endswith("archive_format") for name in names):
        return "exported"
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return "torchscript"
    if "data.pkl" in inner:
        return "checkpoint"
    if "model.weights.h5" in names:
        return "keras"
    return "unknown"
