"""What is not opened as a model, told apart by name and first bytes, each with what to type instead."""

from __future__ import annotations

import re
import shlex
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
                f"geoseg model import {shlex.quote(str(path))} --out {shlex.quote(path.name)}.safetensors"
            )
        raise ModelError(f"{path}: is a folder, expected a model file (.safetensors, .onnx)")
    if not path.is_file():
        raise ModelError(
            f"{path}: no such model file; {missing or 'give default, dubai, or a .safetensors or .onnx file'}"
        )
    if path.suffix.lower() in OPENED:
        return
    what = _kind(path)
    if what == "checkpoint" and path.suffix.lower() in IMPORTED:
        if importing:
            return
        raise ModelError(
            f"{path}: is a PyTorch checkpoint, which is opened only to be imported: "
            f"geoseg model import {shlex.quote(str(path))} --out {shlex.quote(path.stem)}.safetensors"
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


_ENDINGS = {
    **dict.fromkeys((".dlpk", ".emd"), "dlpk"),
    ".xml": "openvino",
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "keras"),
    **dict.fromkeys((".pb", ".tflite"), "tensorflow"),
}
_IN_ZIP = (
    ("dlpk", r".*\.emd"),
    ("exported", r"(.*/)?archive_format"),
    ("torchscript", r"[^/]*/?(constants\.pkl|code/.*)"),
    ("checkpoint", r"[^/]*/?data\.pkl"),
    ("keras", r"model\.weights\.h5"),
)
"""What names inside of an archive say, the first that is found."""


def _kind(path: Path) -> str:
    """Return what a file is; nothing of it is unpacked."""
    ending = path.suffix.lower()
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return "unknown"
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    if head.startswith(b"PK\x03\x04"):
        return "exported" if ending == ".pt2" else _kind_of_zip(path)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "checkpoint" if ending in IMPORTED else "pickle"
    return "keras" if head.startswith(b"\x89HDF\r\n") else "unknown"


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "unknown"
    return next((kind for kind, like in _IN_ZIP if any(re.fullmatch(like, name) for name in names)), "unknown")
