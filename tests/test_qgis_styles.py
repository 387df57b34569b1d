"""QGIS itself opens what was written: styles without being asked to load any, projects, exported files.

All files are looked at by one QGIS, in the system's Python: starting it takes longer than anything else here.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine

from geoseg.layers.looks import OPACITY, LineLook, area_look
from geoseg.layers.raster import ClassRasterWriter
from geoseg.pipeline.merge import MergeRequest, merge
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest, VectorRequest
from geoseg.pipeline.segment import segment
from geoseg.pipeline.style_export import export_styles
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Legend, MapClass

PYTHON = "/usr/bin/python3"
NO_CODE = "+proj=laea +lat_0=12.5 +lon_0=33.25 +x_0=100 +y_0=200 +ellps=GRS80 +units=m +no_defs"
ODD = Legend(
    (
        MapClass(3, 'Bäume & "Büsche" <x>', "trees", "#00FF00", "#1A7A33"),
        MapClass(7, "Bau", "buildings", "#FF0000", "#AA2211"),
    )
)
ROAD_M = 12


def bare() -> dict[str, str]:
    """Return the environment without what leads another Python or GDAL astray."""
    strange = ("PYTHON", "GDAL_", "PROJ_", "LD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(strange)}


pytestmark = pytest.mark.qgis


def town():
    """Return classes of a place of 128 x 128 pixels: a street from end to end, a house, a pond, trees."""
    classes = np.full((128, 128), 5, np.uint8)
    classes[:, 58 : 58 + ROAD_M] = 2
    classes[20:50, 10:40] = 1
    classes[70:110, 85:120] = 3
    classes[50:80, 10:40] = 4
    return classes


def class_raster(path, classes, legend=DEFAULT_LEGEND, *, crs="EPSG:32640", transform=None):
    transform = transform or Affine(1, 0, 330_000, 0, -1, 2_780_000)
    wkt = rasterio.crs.CRS.from_user_input(crs).to_wkt(version="WKT2_2019")
    with ClassRasterWriter(path, Grid(wkt, transform, *classes.shape), legend, {}, {}) as writer:
        writer.write(ClassRows(0, classes))
    return path


def traced(folder, classes, name="map", *, ending=".gpkg", lines=False, **raster):
    source = class_raster(folder / f"{name}_classes.tif", classes, **raster)
    wanted = VectorRequest("all", {"*": 0.0}, centerlines=lines)
    out, project = folder / f"{name}{ending}", folder / f"{name}.qgz"
    vectorize(VectorizeRequest(source, out, vectors=wanted, project=project, rfc7946=ending == ".geojson"))
    return out


def segmented(folder, write_scene, model, name, pixels, *, bands=None, profile=None, **output):
    scene = write_scene(folder / f"{name} scene.tif", pixels, **(profile or {}))
    files = {field: folder / f"{name}{ending}" for field, ending in output.items()}
    request = SegmentRequest(
        str(scene), OutputRequest(project=folder / f"{name}.qgz", **files), str(model),
        SceneRequest(options={} if bands is None else {"bands": bands}), vectors=VectorRequest("all"),
    )  # fmt: skip
    segment(request)


@pytest.fixture(scope="module")
def answers(qgis_process, tmp_path_factory, write_scene, tiny_model_path):
    """Return what QGIS says of all files, by kind and name."""
    folder = tmp_path_factory.mktemp("maps") / "über den Dächern"
    folder.mkdir()
    traced(folder, town(), lines=True)
    degree = 1 / 111_320
    traced(folder, town(), "degrees", lines=True, crs="EPSG:4326", transform=Affine(degree, 0, 3, 0, -degree, 0.5))
    merge(MergeRequest((folder / "map.gpkg",), folder / "merged.gpkg", project=folder / "merged.qgz"))
    traced(folder, np.kron(np.array([[3, 7]], np.uint8), np.ones((20, 20), np.uint8)), "odd", legend=ODD)
    traced(folder, town(), "one", ending=".geojson")
    noise = np.random.default_rng(1)
    deep = noise.integers(300, 3000, (3, 96, 120)).astype(np.uint16)
    segmented(folder, write_scene, tiny_model_path, "deep", deep, profile={"crs": NO_CODE, "nodata": 0}, layers=".gpkg")
    gray = noise.integers(0, 256, (1, 64, 64)).astype(np.uint8)
    rasters = {"raster": ".tif", "raster_final": " final.tif", "confidence": " sure.tif"}
    segmented(folder, write_scene, tiny_model_path, "gray", gray, bands=(1, 1, 1), **rasters)
    color = noise.integers(0, 256, (4, 64, 64)).astype(np.uint8)
    segmented(folder, write_scene, tiny_model_path, "color", color, bands=(4, 3, 2), layers=".gpkg", raster=".tif")
    styled = {}
    for name in ("map.gpkg", "one.geojson", "map_classes.tif"):
        for file in export_styles(folder / name, folder / "styles" / name, overwrite=False):
            layer = f"|layername={file.stem}" if name == "map.gpkg" else ""
            styled[f"{name} {file.name}"] = (f"{folder / name}{layer}", str(file))
    moved = folder.parent / "moved"
    shutil.copytree(folder, moved / "on", symlinks=True)
    (folder / "map.gpkg").rename(folder / "gone.gpkg")  # what the moved project must not need
    jobs = {
        "projects": [
            str(moved / "on" / f"{name}.qgz")
            for name in ("map", "degrees", "odd", "one", "deep", "gray", "color", "merged")
        ],
        "layers": [str(moved / "on" / f"{name}.gpkg") for name in ("map", "odd")],
        "rasters": [str(moved / "on" / "map_classes.tif")],
        "styled": [(path.replace("map.gpkg", "gone.gpkg"), style) for path, style in styled.values()],
    }
    (folder / "jobs.json").write_text(json.dumps(jobs))
    done = subprocess.run(
        [PYTHON, *map(str, (Path(__file__).with_name("qgis_look.py"), folder / "jobs.json", folder / "answers.json"))],
        env=bare() | {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("run"))},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    named = {Path(path).stem: said for path, said in zip(jobs["projects"], found["projects"], strict=True)}
    layers = {Path(path).stem: said for path, said in zip(jobs["layers"], found["layers"], strict=True)}
    return {
        "projects": named,
        "layers": layers,
        "raster": found["rasters"][0],
        "styled": dict(zip(styled, found["styled"], strict=True)),
    }


def drawing_of(layer):
    ((drawing,),) = layer["renderer"]["symbols"]
    return drawing


def test_layers_of_a_geopackage_open_in_the_colours_of_their_classes(answers):
    by_name = {layer["name"]: layer for layer in answers["layers"]["map"]}
    assert list(by_name) == ["buildings", "roads", "water", "vegetation", "land", "road_centerlines"]
    for entry in DEFAULT_LEGEND:
        layer, look = by_name[entry.layer], area_look(entry)
        assert layer["opacity"] == OPACITY
        assert layer["labels"] is False
        drawing = drawing_of(layer)
        assert (drawing["color"], drawing["alpha"]) == (entry.style.lower(), 255)
        assert (drawing["edge"], drawing["edge_mm"]) == (look.edge.lower(), f"{look.edge_mm:g}")
        assert (drawing["edge"] != drawing["color"]) == (entry.name == "building")


def test_a_foreign_legend_is_styled_as_well(answers):
    trees, buildings = answers["layers"]["odd"]
    assert drawing_of(trees)["color"] == drawing_of(trees)["edge"] == "#1a7a33"
    assert drawing_of(buildings)["color"] == "#aa2211" != drawing_of(buildings)["edge"]


def test_centrelines_open_as_wide_as_they_are(answers):
    layer = next(layer for layer in answers["layers"]["map"] if layer["name"] == "road_centerlines")
    ((band, axis),) = layer["renderer"]["symbols"]
    assert layer["renderer"]["levels"]
    assert (band["width_by"], band["width_unit"], band["level"]) == (
        'coalesce("width_m", 6)',
        "RenderMetersInMapUnits",
        0,
    )
    assert (axis["width_by"], axis["width_unit"], axis["level"]) == (None, "MM", 1)
    assert (band["color"], axis["color"]) == (LineLook().band.lower(), LineLook().axis.lower())


def test_a_class_raster_opens_with_the_names_of_its_classes(answers):
    renderer = answers["raster"]["renderer"]
    assert renderer["type"] == "paletted"
    expected = [[entry.value, entry.name, entry.color.lower(), 255] for entry in DEFAULT_LEGEND]
    assert renderer["classes"][:6] == [[0, "nodata", "#000000", 0], *expected]


def test_projects_open_with_every_layer_sound_after_the_folder_has_moved(answers):
    for name, project in answers["projects"].items():
        assert project["read"], name
        assert all(layer["valid"] for layer in project["layers"]), name
        assert all("/moved/on/" in layer["source"] for layer in project["layers"]), name


def test_a_project_has_its_layers_in_order_and_in_a_group(answers):
    shown = ["buildings", "road_centerlines", "roads", "water", "vegetation", "land"]
    project = answers["projects"]["map"]
    assert project["tree"] == [
        ["map_classes", True, [[name, True, None] for name in shown]], ["map_classes", False, None],
    ]  # fmt: skip
    assert [layer["name"] for layer in project["layers"]] == [*shown, "map_classes"]
    assert (project["title"], project["crs"], project["ellipsoid"]) == ("map_classes", "EPSG:32640", "EPSG:7030")
    assert project["extent"] == [330_000, 2_780_000 - 128, 330_128, 2_780_000]
    by_name = {layer["name"]: layer for layer in answers["layers"]["map"]}
    for layer in project["layers"][:-1]:
        assert layer["renderer"] == by_name[layer["name"]]["renderer"]
        assert (layer["opacity"], layer["labels"]) == (OPACITY, False)
    assert project["layers"][-1]["opacity"] == OPACITY
    named = [[entry.value, entry.name, entry.style.lower(), 255] for entry in DEFAULT_LEGEND]
    assert project["layers"][-1]["renderer"]["classes"] == [[0, "nodata", "#000000", 0], *named]


def test_a_merged_map_opens_like_any_other(answers):
    merged, project = answers["projects"]["merged"], answers["projects"]["map"]
    assert merged["tree"] == [["merged", True, project["tree"][0][2]]]
    assert [layer["renderer"] for layer in merged["layers"]] == [layer["renderer"] for layer in project["layers"][:-1]]
    assert merged["extent"] == pytest.approx(project["extent"], abs=1)


def test_layers_in_longitude_and_latitude_lie_in_a_project_of_the_rasters_crs(answers):
    project = answers["projects"]["one"]
    assert [layer["crs"] for layer in project["layers"]] == ["EPSG:4326", "EPSG:32640"]
    renderer = project["layers"][0]["renderer"]
    assert renderer["type"] == "categorizedSymbol"
    assert renderer["categories"] == [[entry.name, entry.name] for entry in DEFAULT_LEGEND]


def test_a_scene_is_shown_as_the_network_saw_it(answers):
    deep, gray, color = (answers["projects"][name] for name in ("deep", "gray", "color"))
    assert deep["crs"] == ""
    assert "+proj=laea" in deep["proj"]
    assert all("+proj=laea" in layer["proj"] for layer in deep["layers"])
    scene = deep["layers"][-1]["renderer"]
    assert scene["bands"] == [1, 2, 3, -1]
    assert all(300 < low < 400 and 2900 < high < 3000 for low, high in scene["limits"])
    scene = gray["layers"][-1]["renderer"]
    assert (scene["type"], scene["bands"], scene["limits"]) == ("singlebandgray", [1], [[0, 255]])
    assert [entry[:2] for entry in gray["tree"]] == [
        ["gray final", True], ["gray", False], ["gray sure", False], ["gray scene", True],
    ]  # fmt: skip
    assert color["layers"][-1]["renderer"]["bands"] == [4, 3, 2, -1]
    assert [entry[:2] for entry in color["tree"]] == [["color scene", True], ["color", False], ["color scene", True]]


def picture(answers, name):
    with rasterio.open(answers["projects"][name]["picture"]) as file:
        return file.read()[:3].astype(float)


def test_the_map_looks_as_it_should(answers):
    """Places of known classes, on white; no seam between neighbours is brighter than both."""
    seen = picture(answers, "map")
    scale = 400 / 128
    for (row, col), value in {(35, 25): 1, (90, 100): 3, (65, 25): 4, (10, 100): 5}.items():
        fill = np.array(list(bytes.fromhex(DEFAULT_LEGEND.by_value(value).style[1:])), float)
        found = seen[:, int(row * scale), int(col * scale)]
        np.testing.assert_allclose(found, OPACITY * fill + (1 - OPACITY) * 255, atol=2)
    across = seen[:, int(90 * scale), int(72 * scale) : int(110 * scale)]  # from land into water
    assert across.max() <= seen[:, int(10 * scale), int(100 * scale)].max() + 2


@pytest.mark.parametrize("name", ["map", "degrees"])
def test_a_road_is_drawn_as_wide_as_it_is_in_metres_and_in_degrees(answers, name):
    """Blue tells the light band, on 128 m across, from sand."""
    row = picture(answers, name)[2, 40]
    band = np.flatnonzero(row > 210)
    source = answers["projects"][name]["layers"][1]["source"].split("|")[0]
    (width_m,) = pyogrio.read_dataframe(source, layer="road_centerlines").width_m
    assert width_m == pytest.approx(ROAD_M, abs=2)
    assert (band.max() - band.min() + 1) / 400 * 128 == pytest.approx(width_m, abs=0.5)


def test_qgis_reads_the_exported_styles(answers):
    read = [name for name in answers["styled"] if not (name.startswith("map_classes") and name.endswith(".sld"))]
    assert len(read) == 6 * 2 + 2 + 1  # QGIS reads no SLD for rasters
    for name in read:
        assert answers["styled"][name]["worked"], (name, answers["styled"][name]["message"])
    by_layer = {layer["name"]: layer["renderer"] for layer in answers["layers"]["map"]}
    for entry in DEFAULT_LEGEND:
        assert answers["styled"][f"map.gpkg {entry.layer}.qml"]["renderer"] == by_layer[entry.layer]
        drawing = drawing_of(answers["styled"][f"map.gpkg {entry.layer}.sld"])
        assert (drawing["color"], drawing["alpha"]) == (entry.style.lower(), round(OPACITY * 255 - 0.5))
        assert drawing["edge_style"] == ("solid" if area_look(entry).outlined else "no")
    lines = answers["styled"]["map.gpkg road_centerlines.sld"]["renderer"]["symbols"]
    assert [one["color"] for (one,) in lines] == [LineLook().band.lower(), LineLook().axis.lower()]
    for ending in (".qml", ".sld"):
        symbols = answers["styled"][f"one.geojson one{ending}"]["renderer"]["symbols"]
        assert [one["color"] for (one,) in symbols] == [entry.style.lower() for entry in DEFAULT_LEGEND]
    classes = answers["styled"]["map_classes.tif map_classes.qml"]["renderer"]["classes"]
    assert classes == [[entry.value, entry.name, entry.style.lower(), 255] for entry in DEFAULT_LEGEND]
