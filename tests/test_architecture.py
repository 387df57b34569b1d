"""The direction of DESIGN, read from the imports of every module: no arrow runs back up, and no circles."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import geoseg

PACKAGE = Path(geoseg.__file__).parent

GROUND = {"vocabulary", "errors", "gdal_guard", "openvino_guard", "resample", "class_names"}
STATIONS = {"scene", "inference", "vector", "layers"}

MAY_IMPORT = {
    "vocabulary": {"errors"},
    "errors": set(),
    "gdal_guard": set(),
    "openvino_guard": set(),
    "class_names": {"errors", "vocabulary"},
    "resample": {"errors", "vocabulary"},
    **dict.fromkeys(STATIONS, GROUND),
    "roads": GROUND | {"vector"},
    "model": GROUND,
    "inference": GROUND | {"model"},
    "demo": GROUND | {"layers", "vector"},
    "maps": GROUND | {"scene", "layers.legend"},
    "scores": GROUND,
    "report": GROUND,
    "labels": GROUND | {"scene", "model", "demo", "maps", "layers.legend", "layers.legend_file"},
    "learn": GROUND | {"model", "labels", "scores", "report", "layers.publish", "layers.faults"},
    "pipeline": GROUND | STATIONS | {"roads", "model", "maps", "scores", "report", "labels", "learn", "demo"},
    "export": GROUND | {"model", "inference", "layers.publish", "layers.target"},
    "batch": GROUND | {"scene", "inference", "layers", "model", "pipeline"},
    "qgis": {"errors"},
    "cli": GROUND | STATIONS | {"model", "labels", "learn", "demo", "pipeline", "batch", "export", "qgis"},
    "__main__": {"cli"},
}
"""Rooms (or single modules of rooms) each room may import besides itself and the package's version."""


def module_name(path: Path) -> str:
    """Return ``scene.open`` for ``scene/open.py``, ``scene`` for its ``__init__``, '' for the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def statements(node: ast.AST, *, for_types: bool):
    """Yield all nodes below, those under ``if TYPE_CHECKING`` only where asked for."""
    for child in ast.iter_child_nodes(node):
        if is_for_types(child) and not for_types:
            yield from (found for other in child.orelse for found in [other, *statements(other, for_types=False)])
            continue
        yield child
        yield from statements(child, for_types=for_types)


def imported(name: str, tree: ast.AST, *, for_types: bool = True) -> set[str]:
    """Return the modules of the package that a module imports anywhere, '' for the package itself."""
    package = name.split(".") if MODULES.get(name, Path()).name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in statements(tree, for_types=for_types):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                base = ["geoseg", *package[: len(package) - node.level + 1], *base]
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for parts in targets:
            if parts[0] == "geoseg":
                inner = parts[1:]
                while inner and ".".join(inner) not in MODULES:
                    inner = inner[:-1]  # a name inside a module
                found.add(".".join(inner))
    return found


IMPORTS = {name: imported(name, ast.parse(path.read_text("utf-8"))) for name, path in MODULES.items()}
RUNTIME = {name: imported(name, ast.parse(path.read_text("utf-8")), for_types=False) for name, path in MODULES.items()}


def room(name: str) -> str:
    return name.partition(".")[0]


def test_every_kind_of_import_is_seen():
    """The reader of imports is held against all kinds of them, or the rules below prove nothing."""
    text = """
from __future__ import annotations
import geoseg
import geoseg.scene.open as opened
from geoseg import gdal_guard, model
from geoseg.vector.trace import trace
from ..errors import UsageError
from . import card
from .file import load_model
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from geoseg.learn.chips import ChipPlan
else:
    from geoseg.demo import city
def f():
    try:
        from geoseg.layers import publish
    except ImportError:
        import geoseg.cli.main, rasterio.geoseg
"""
    seen = {
        "",
        "scene.open",
        "gdal_guard",
        "model",
        "vector.trace",
        "errors",
        "model.card",
        "model.file",
        "learn.chips",
        "demo.city",
        "layers.publish",
        "cli.main",
    }
    assert imported("model.network", ast.parse(text)) == seen
    assert imported("model.network", ast.parse(text), for_types=False) == seen - {"learn.chips"}
    assert len(MODULES) > 40
    assert sum(map(len, IMPORTS.values())) > 100


def test_every_room_has_a_rule():
    assert {room(name) for name in MODULES} - {""} <= set(MAY_IMPORT)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_no_arrow_runs_back_up(name):
    allowed = MAY_IMPORT[room(name)] | {room(name), ""}
    wrong = {target for target in IMPORTS[name] if target not in allowed and room(target) not in allowed}
    assert not wrong, f"geoseg.{name} imports {sorted(wrong)}"


def test_the_package_itself_imports_only_the_guard():
    assert IMPORTS[""] == {"gdal_guard"}


def test_stations_never_import_one_another():
    """Said again in DESIGN's own words, whatever the table above says."""
    arrows = {
        (room(name), target)
        for name, targets in IMPORTS.items()
        for target in targets
        if room(name) in STATIONS and room(target) in STATIONS and room(name) != room(target)
    }
    assert arrows == set()


def test_the_command_line_is_imported_by_nobody():
    assert {name for name, targets in IMPORTS.items() if "cli" in map(room, targets)} - {"__main__"} <= {
        name for name in MODULES if room(name) == "cli"
    }


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return one circle for every module that lies on one."""
    found = []
    for start in arrows:
        paths = [[start]]
        seen = set()
        while paths:
            path = paths.pop()
            for target in arrows.get(path[-1], ()):
                if target == start:
                    found.append([*path, start])
                elif target not in seen:
                    seen.add(target)
                    paths.append([*path, target])
    return found


def test_no_circles_between_modules():
    arrows = {name: {target for target in targets if target not in (name, "")} for name, targets in RUNTIME.items()}
    assert circles(arrows) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}), "the search finds none where there is one"


def test_no_circles_between_rooms():
    arrows: dict[str, set[str]] = {}
    for name, targets in IMPORTS.items():
        arrows.setdefault(room(name), set()).update(room(t) for t in targets if room(t) != room(name) and t)
    del arrows[""]
    assert circles(arrows) == []


def test_nothing_is_imported_by_a_computed_name_but_verbs():
    dynamic = [
        name
        for name, path in MODULES.items()
        if "import_module" in path.read_text("utf-8") or "__import__" in path.read_text("utf-8")
    ]
    assert dynamic == ["cli.main"]


def test_openvino_is_imported_at_one_place():
    """Imported any other way, it would load its converter, which reports usage over the network."""
    direct = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for module in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if module.split(".")[0] == "openvino"
    }
    assert direct == {"openvino_guard"}


# ---- what is loaded when


def loaded_by(code: str, environment: dict[str, str]) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


HEAVY = [
    "numpy",
    "rasterio",
    "torch",
    "openvino",
    "onnx",
    "geopandas",
    "pyogrio",
    "shapely",
    "pyproj",
    "numba",
    "pyarrow",
    "pandas",
    "safetensors",
    "rich",
    "dask",
    "scipy",
    "skimage",
    "matplotlib",
]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_loads_nothing_heavy(bare_environment, arguments):
    code = f"""
import io, json, sys
from geoseg.cli.main import main
said, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), io.StringIO()
try:
    main({arguments!r})
except SystemExit as left:
    code = left.code
heavy, text = [n for n in {HEAVY!r} if n in sys.modules], sys.stdout.getvalue() + sys.stderr.getvalue()
print(json.dumps({{"heavy": heavy, "code": code, "text": len(text)}}), file=said)
"""
    found = loaded_by(code, bare_environment)
    assert found["heavy"] == []
    assert found["text"] > 10


@pytest.mark.parametrize(
    "verb", ["info", "segment", "batch", "vectorize", "merge", "train", "evaluate", "compare", "demo", "model", "qgis"]
)
def test_help_of_a_verb_loads_neither_torch_nor_openvino_nor_geopandas(bare_environment, verb):
    code = f"""
import json, sys
import geoseg.cli.{verb}
print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))
"""
    assert not {"torch", "openvino", "geopandas", "rasterio", "numba"} & set(loaded_by(code, bare_environment))


def test_segment_on_the_processor_never_loads_torch():
    """Only modules built on torch import it at their top, and no other module imports those there."""
    on_torch = {"inference.on_torch", "model.torch_unet"} | {name for name in MODULES if name.startswith("learn.")}
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text("utf-8"))
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        direct = {a.name.split(".")[0] for n in top if isinstance(n, ast.Import) for a in n.names}
        direct |= {(n.module or "").split(".")[0] for n in top if isinstance(n, ast.ImportFrom)}
        through = imported(name, ast.Module(body=top, type_ignores=[])) & on_torch
        if "torch" in direct or through:
            assert name in on_torch, f"geoseg.{name} would load torch for every verb that imports it"


@pytest.mark.parametrize(("flag", "loaded"), [("--raster", False), ("--raster-final", True), ("--out", True)])
def test_only_a_run_with_polygons_loads_the_tracer(
    bare_environment, tmp_path, write_scene, tiny_model_path, flag, loaded
):
    scene = write_scene(tmp_path / "scene.tif", np.random.default_rng(0).integers(0, 256, (3, 40, 40)).astype(np.uint8))
    result = tmp_path / ("map.gpkg" if flag == "--out" else "map.tif")
    arguments = ["segment", str(scene), flag, str(result), "--model", str(tiny_model_path), "-q", "-q"]
    code = f"""
import json, sys
from geoseg.cli.main import main
try:
    main({arguments!r})
except SystemExit as left:
    assert not left.code, left.code
print(json.dumps([name for name in sys.modules if name.startswith(("numba", "llvmlite", "geoseg.vector."))]))
"""
    found = loaded_by(code, bare_environment)
    assert result.is_file()
    assert ("numba" in found, "geoseg.vector.polygonize" in found) == (loaded, loaded)
    assert loaded or found == []


GUARDED = {
    "GDAL_DRIVER_PATH": "disable",
    "OGR_DRIVER_PATH": "disable",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "PROJ_NETWORK": "OFF",
}

WATCH = """
import json, os, sys
watched = {}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("rasterio", "pyogrio", "pyproj") and name not in watched:
            watched[name] = {key: os.environ.get(key) for key in %r}
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("entry", ["geoseg.scene.open", "geoseg.layers.vector", "geoseg.cli.main"])
def test_gdal_is_guarded_before_it_is_loaded(bare_environment, entry):
    hostile = dict.fromkeys(GUARDED, "YES") | {"GDAL_VRT_PYTHON_TRUSTED_MODULES": "os"}
    code = (
        WATCH % list(GUARDED)
        + f"""
import {entry}
import rasterio, pyogrio
from rasterio.env import Env
with Env() as environment:
    drivers = sorted(environment.drivers())
trusted = os.environ.get("GDAL_VRT_PYTHON_TRUSTED_MODULES")
print(json.dumps({{"watched": watched, "drivers": drivers, "trusted": trusted,
                  "vectors": sorted(pyogrio.list_drivers())}}))
"""
    )
    found = loaded_by(code, bare_environment | hostile)
    for name in ("rasterio", "pyogrio"):
        assert found["watched"][name] == GUARDED
    assert found["trusted"] is None
    assert "GTiff" in found["drivers"]
    assert not {"WMS", "WCS", "WMTS", "HTTP", "PLMOSAIC", "STACTA"} & set(found["drivers"])
    assert "GPKG" in found["vectors"]
    assert not {"WFS", "OAPIF", "CSW", "PostgreSQL", "OGR_VRT"} & set(found["vectors"])


def test_importing_geoseg_loads_no_gdal(bare_environment):
    code = "import json, sys, geoseg; print(json.dumps([n for n in ('rasterio', 'numpy') if n in sys.modules]))"
    assert loaded_by(code, bare_environment) == []
