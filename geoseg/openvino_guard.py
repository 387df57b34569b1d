"""The one place that imports OpenVINO.

Left alone, that import loads a model converter, which writes a client id to the home folder and reports usage over
the network; geoseg needs no converter and does not let it load.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_CONVERTER = "openvino.tools.ovc"


def import_openvino() -> tuple[ModuleType, ModuleType]:
    """Return OpenVINO and its set of operations, imported without the converter; raises ImportError."""
    before = sys.modules.get(_CONVERTER)
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # makes `import` of it fail, which OpenVINO allows for
    try:
        import openvino
        import openvino.opset13 as opset
    finally:
        del sys.modules[_CONVERTER]
        if before is not None:
            sys.modules[_CONVERTER] = before
    return openvino, opset
