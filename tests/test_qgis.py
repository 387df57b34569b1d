"""The plugin in QGIS itself, without a screen. Skipped where QGIS is not installed.

GEOSEG_APT_QGIS=1 installs Debian's QGIS first (1.2 GB).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from geoseg.layers.looks import OPACITY
from geoseg.vocabulary import DEFAULT_LEGEND

pytestmark = pytest.mark.qgis

TOP = Path(__file__).parents[1]
SAMPLE = TOP / "sample_data"
PYTHON = "/usr/bin/python3"  # the one that Debian's QGIS belongs to, whatever comes first on PATH


class Qgis:
    """A throwaway QGIS: a profile of its own, a folder for temporary files of its own."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder, self.temporary = program, folder, folder / "tmp"
        for made in (self.temporary, folder / "run", folder / "config" / "profiles" / "default"):
            made.mkdir(parents=True)
        (folder / "run").chmod(0o700)
        self.scene = shutil.copy(SAMPLE / "scene.tif", folder)  # QGIS keeps statistics beside what it opens
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("GEOSEG_", "QGIS_", "PYTHON"))} | {
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": str(folder / "config"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "TMPDIR": str(self.temporary),
            "LC_ALL": "C.UTF-8",
        }
        install = [sys.executable, "-m", "geoseg", "qgis", "install", "--profiles-folder"]
        done = subprocess.run(
            [*install, str(folder / "config" / "profiles")], capture_output=True, text=True, check=True
        )
        self.plugin = Path(done.stdout.strip())
        assert self.call("plugins", "enable", "geoseg_qgis").returncode == 0

    def call(self, *words, **more) -> subprocess.CompletedProcess:
        command = [self.program, *map(str, words)]
        environment = self.environment | more
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)

    def run(self, algorithm: str, **parameters) -> dict:
        """Run an algorithm and return its results."""
        done = self.call("--json", "run", algorithm, "--", *(f"{k}={v}" for k, v in parameters.items()))
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout[done.stdout.index("{") :])["results"]


@pytest.fixture(scope="session")
def qgis(qgis_process, tmp_path_factory) -> Qgis:
    return Qgis(qgis_process, tmp_path_factory.mktemp("qgis"))


@pytest.fixture(scope="session")
def segmented(qgis, tmp_path_factory) -> dict:
    """Return the results of geoseg:segment on the sample."""
    out = tmp_path_factory.mktemp("segmented") / "map.gpkg"
    return qgis.run("geoseg:segment", INPUT=qgis.scene, OUTPUT=out)


@pytest.fixture(scope="session")
def desktop(qgis, segmented, tmp_path_factory) -> dict:
    """Return what the desktop application shows of the plugin; pictures are in ``folder``."""
    folder = tmp_path_factory.mktemp("desktop")
    command = [PYTHON, TOP / "tests" / "qgis_desktop.py", folder, qgis.scene, segmented["OUTPUT"]]
    environment = qgis.environment | {"QGIS_PLUGINPATH": str(qgis.plugin.parent)}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1]) | {"folder": folder}


@pytest.fixture(scope="session")
def tiles(tmp_path_factory) -> Path:
    """Return a folder of two neighbouring tiles of the sample."""
    import rasterio
    from rasterio.windows import Window

    folder = tmp_path_factory.mktemp("tiles")
    with rasterio.open(SAMPLE / "scene.tif") as scene:
        for name, col in (("west", 0), ("east", 192)):
            window = Window(col, 0, 192, 192)
            profile = scene.profile | {"width": 192, "height": 192, "transform": scene.window_transform(window)}
            with rasterio.open(folder / f"{name}.tif", "w", **profile) as tile:
                tile.write(scene.read(window=window))
    return folder


def test_the_plugin_is_enabled_and_has_its_algorithms(qgis):
    assert "* geoseg_qgis" in qgis.call("plugins").stdout
    listed = qgis.call("list").stdout
    assert all(f"geoseg:{name}" in listed for name in ("segment", "batch", "vectorize", "evaluate"))


def test_segment_returns_its_layers(segmented):
    out = segmented["OUTPUT"]
    names = ("buildings", "roads", "water")
    assert segmented["LAYERS"] == [f"{out}|layername={name}" for name in names]
    assert [segmented[name.upper()] for name in names] == segmented["LAYERS"]
    assert Path(out).is_file()


@pytest.mark.parametrize("layer", ["BUILDINGS", "ROADS", "WATER"])
def test_qgis_finds_no_invalid_geometry(qgis, segmented, layer):
    found = qgis.run("qgis:checkvalidity", INPUT_LAYER=segmented[layer], METHOD=2)
    assert found["VALID_COUNT"] > 0
    assert (found["INVALID_COUNT"], found["ERROR_COUNT"]) == (0, 0)


STYLES = {entry.layer: entry.style.upper() for entry in DEFAULT_LEGEND}


def test_layers_have_our_colors_as_soon_as_they_are_opened(desktop):
    assert desktop["opened"] == {name: STYLES[name] for name in ("buildings", "roads", "water")}


def test_a_run_in_a_project_loads_styled_layers_in_order(desktop):
    found = desktop["loaded"]
    assert found["legend"] == ["buildings", "road_centerlines", "roads", "water", "land", "final", "scene"]
    assert found["off"] == ["final"], "a class raster hides the image"
    colors = {name: color for name, color in found["colors"].items() if name in STYLES}
    assert colors == {name: STYLES[name] for name in ("buildings", "roads", "water", "land")}
    assert found["temporary"].endswith(".gpkg")


def test_the_rendered_map_shows_the_classes_where_they_are(desktop):
    import rasterio

    with rasterio.open(desktop["folder"] / "layers.png") as picture:
        seen = picture.read((1, 2, 3))
    with rasterio.open(desktop["folder"] / "final.tif") as raster:
        classes = raster.read(1)
    expected = np.full_like(seen, 255)
    for entry in DEFAULT_LEGEND:
        if entry.layer != "vegetation":
            color = np.array(list(bytes.fromhex(entry.style[1:])))
            expected[:, classes == entry.value] = (OPACITY * color + (1 - OPACITY) * 255).round()[:, None]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(classes, 1, mode="edge"), (3, 3))
    inside = around.min((2, 3)) == around.max((2, 3))  # outlines and simplified borders are elsewhere
    same = np.abs(seen.astype(int) - expected).max(0) < 3
    assert inside.mean() > 0.5
    assert same[inside].mean() > 0.99


def test_every_parameter_has_help_and_the_dialog_stays_short(desktop):
    for name, parameters in desktop["parameters"].items():
        assert parameters
        assert [p for p, (helped, _) in parameters.items() if not helped] == [], name
        assert sum(not advanced for _, advanced in parameters.values()) <= 16, name
    assert desktop["setting"] == ""


def test_an_area_counts_in_any_crs_and_only_where_it_is_selected(desktop):
    area, width, height = desktop["covered"]["polygons"]
    assert area == pytest.approx(120 * 80, rel=0.05)
    assert (width, height) == pytest.approx((120, 80), abs=2.1)
    area, width, height = desktop["covered"]["extent"]
    assert area >= 120 * 80 * 0.99
    assert (width, height) == pytest.approx((122, 82), abs=5), "the box around the box in degrees"


def test_a_model_goes_on_with_the_layers(desktop):
    assert desktop["model"] > 3


def test_what_cannot_be_run_is_refused_in_a_sentence(desktop):
    tiles, ending, packed, unselected, nowhere, folder, scores = desktop["refused"]
    assert "Image: tiles is a layer of the kind wms, expected a file; save it as GeoTIFF first" in tiles
    assert "x.shp does not end in .gpkg" in ending
    assert re.search(r"Image: packed lies in the archive \S+/packed\.zip, expected a file; unpack it first", packed)
    assert "Only inside polygons: area has no polygons, or none of them is selected" in unselected
    assert "Only inside polygons: area has no CRS" in nowhere
    assert "packed.zip is no folder and cannot be made one" in folder
    assert "nowhere/x.json does not exist; create it first" in scores
    assert not any("Traceback" in said for said in desktop["refused"])


def test_a_stopped_run_says_what_is_left_of_it(desktop):
    log, results, left = desktop["stopped"]["segment"]
    assert "Stopped; nothing was written." in log
    assert (results, left) == ({}, [])
    log, results, left = desktop["stopped"]["batch"]
    assert "Stopped; results that are finished stay" in log
    assert "nothing was written" not in log
    assert results == {}
    assert not [name for name in left if name.endswith(".gpkg")]


def test_vectorize_and_evaluate(qgis, segmented, tmp_path):
    found = qgis.run("geoseg:vectorize", INPUT=SAMPLE / "reference.tif", OUTPUT=tmp_path / "true.gpkg", CLASSES="all")
    assert len(found["LAYERS"]) == 5
    assert found["LAND"] == f"{tmp_path / 'true.gpkg'}|layername=land"
    (tmp_path / "legend.csv").write_text("1,output\n2,layers\n3,a<b>&\"c'\n4,d\n5,e\n")
    odd = qgis.run(
        "geoseg:vectorize",
        INPUT=SAMPLE / "reference.tif",
        OUTPUT=tmp_path / "odd.gpkg",
        LEGEND=tmp_path / "legend.csv",
    )
    assert odd["OUTPUT"] == str(tmp_path / "odd.gpkg"), "whatever a class is called"
    assert [layer.rpartition("=")[2] for layer in odd["LAYERS"]] == ["output", "layers", "a_b_c", "d", "e"]
    scores = qgis.run(
        "geoseg:evaluate",
        PREDICTED=segmented["BUILDINGS"],
        REFERENCE=SAMPLE / "reference.tif",
        CLASSES="buildings,water",
        REPORT=tmp_path / "page.html",
        WORST=1,
        SCORES=tmp_path / "scores.json",
    )
    told = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert list(told["classes"]) == ["building", "water"], "the whole file counts, not the layer"
    assert scores["MEAN_IOU"] == told["mean_iou"] > 0.5
    assert "<html" in (tmp_path / "page.html").read_text(encoding="utf-8").lower()


def test_batch_makes_one_result_of_each_or_one_map(qgis, tiles, tmp_path):
    (tmp_path / "more").mkdir()
    for tile in tiles.iterdir():
        shutil.copy(tile, tmp_path / "more")
    (tmp_path / "more" / "broken.tif").write_text("no image")
    single = qgis.run("geoseg:batch", FOLDER=tmp_path / "more", OUTPUT=tmp_path / "single", CLASSES="buildings")
    assert (single["DONE"], single["FAILED"]) == (2, 1)
    assert sorted(Path(layer).name for layer in single["LAYERS"]) == [
        "east.gpkg|layername=buildings",
        "west.gpkg|layername=buildings",
    ]
    assert "broken.tif" in Path(single["REPORT"]).read_text(encoding="utf-8")
    joined = qgis.run("geoseg:batch", INPUT=tiles / "west.tif", FOLDER=tiles, JOIN="true", OUTPUT=tmp_path / "joined")
    assert joined["MAP"] == str(tmp_path / "joined" / "map.gpkg")
    assert (joined["DONE"], joined["FAILED"]) == (2, 0)
    assert len(joined["LAYERS"]) == 3


def test_a_failing_run_ends_with_geosegs_sentence(qgis, tmp_path):
    words = (f"INPUT={qgis.scene}", f"OUTPUT={tmp_path / 'x.gpkg'}", "OTHER_CLASSES=houses")
    done = qgis.call("run", "geoseg:segment", "--", *words)
    assert done.returncode == 1
    assert "--classes: houses is not in the legend; use all, or any of building" in done.stderr + done.stdout
    assert names_in(tmp_path) == []


def test_a_missing_program_says_how_to_set_it(qgis, tmp_path):
    left = qgis.plugin / "installed.json"
    text = left.read_text()
    words = (f"INPUT={qgis.scene}", f"OUTPUT={tmp_path / 'x.gpkg'}")
    try:
        left.write_text('{"command": ["/nowhere/geoseg"]}')
        done = qgis.call("run", "geoseg:segment", "--", *words, PATH="/usr/bin:/bin")
    finally:
        left.write_text(text)
    assert done.returncode == 1
    assert "geoseg was not found: /nowhere/geoseg, which installed this plugin, is gone; " in done.stderr + done.stdout
    assert "Settings > Options > Processing > Providers > geoseg" in done.stderr + done.stdout


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def running(mark: str) -> list[int]:
    """Return the processes whose command line holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it has just ended
            continue
    return found


def test_a_cancelled_run_leaves_nothing(qgis, tmp_path):
    out = tmp_path / "x.gpkg"
    (tmp_path / "area.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[55.2, 25.1], [55.3, 25.1], [55.3, 25.2], [55.2, 25.2], [55.2, 25.1]]]}'
    )
    words = [f"INPUT={qgis.scene}", f"OUTPUT={out}", "TTA=true", f"AOI={tmp_path / 'area.geojson'}"]
    before = set(qgis.temporary.iterdir())
    command = [qgis.program, "run", "geoseg:segment", "--", *words]
    with subprocess.Popen(
        command, env=qgis.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while len(running(f"--out={out}")) == 0 and process.poll() is None:
            time.sleep(0.1)
        child = running(f"--out={out}")
        time.sleep(1.5)
        assert process.poll() is None
        assert [path for path in set(qgis.temporary.iterdir()) - before if path.name.startswith("geoseg-")]
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert child
    assert running(str(out)) == []
    assert names_in(tmp_path) == ["area.geojson"]
    assert set(qgis.temporary.iterdir()) == before
