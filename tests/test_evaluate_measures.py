"""``evaluate``: borders, objects, confidences and pictures of two maps, and the command line."""

import json
from functools import cache
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

from geoseg.class_names import made_color
from geoseg.cli.evaluate import command
from geoseg.errors import InputError, UsageError
from geoseg.pipeline.evaluate.maps import EvaluateRequest, evaluate
from geoseg.pipeline.evaluate.report import WantedScores
from geoseg.pipeline.evaluate.two_maps import MapsRequest, TwoMaps
from geoseg.scores.boundary import Borders
from geoseg.scores.calibration import Calibration
from geoseg.scores.compared import ComparedRows
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass, Window
from tests.maps import NORTH_UP, ROTATED, UTM, blobs, polygons_of, write_layers, write_raster
from tests.read_scenes import write


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    """A class raster that no test changes."""
    return write_raster(tmp_path_factory.mktemp("raster") / "a.tif", blobs())


@pytest.fixture(scope="module")
def layers_in(tmp_path_factory):
    """Its exact polygons in a CRS, written once."""
    return cache(lambda crs: write_layers(tmp_path_factory.mktemp("layers") / "a.gpkg", polygons_of(blobs()), crs))


def more_scores(predicted, reference, *, confidence=None, scene=None, maps=None, **wanted):
    request = MapsRequest(Path(predicted), Path(reference), **(maps or {}))
    return evaluate(EvaluateRequest(request, confidence, scene, WantedScores(**wanted)))


def noisy(classes, seed=0):
    """Return a map in which some patches and some pixels are another class."""
    rng = np.random.default_rng(seed)
    wrong = np.kron(rng.random((13, 17)) < 0.2, np.ones((5, 5), bool))[: classes.shape[0], : classes.shape[1]]
    return np.where(wrong, classes % 5 + 1, classes).astype(np.uint8)


@pytest.mark.parametrize("strip_pixels", [100, 2**21])
def test_borders_of_rasters_are_those_of_their_arrays_however_they_are_read(tmp_path, strip_pixels):
    labels = blobs()
    labels[20:30, 10:50] = 0
    predicted = noisy(blobs())
    expected = Borders(DEFAULT_LEGEND.classes, (3, 3), 80)
    expected.add(ComparedRows(0, predicted, labels))
    files = write_raster(tmp_path / "p.tif", predicted), write_raster(tmp_path / "r.tif", labels)
    strips = TwoMaps.strips
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwoMaps, "strips", lambda maps, tell, *_pixels: strips(maps, tell, strip_pixels))
        for tolerance in ({"tolerance_px": 3}, {"tolerance_m": 1.5}):
            found = more_scores(*files, boundary=True, **tolerance)
            np.testing.assert_equal(found.boundary.to_json(), expected.finish().to_json())
    assert found.to_json()["boundary"]["tolerance"] == "1.5 m"
    assert 0 < found.to_json()["boundary_f1"] < 1


def test_objects_of_rasters_are_their_regions_without_specks(tmp_path):
    reference = np.full((60, 80), 5, np.uint8)
    reference[5:25, 5:25] = reference[5:25, 40:60] = reference[40:55, 5:25] = 1
    reference[30, 30] = 1  # a speck of a quarter of a square metre
    predicted = np.full((60, 80), 5, np.uint8)
    predicted[6:25, 5:25] = 1  # found
    predicted[5:25, 52:72] = 1  # too far away
    predicted[50, 70] = 1
    files = write_raster(tmp_path / "p.tif", predicted), write_raster(tmp_path / "r.tif", reference)
    found = more_scores(*files, objects=True).to_json()["objects"]
    assert found["building"] == {
        "precision": 0.5, "recall": round(1 / 3, 6), "f1": 0.4, "predicted": 2, "right": 1, "reference": 3, "found": 1,
    }  # fmt: skip
    assert found["land"]["f1"] == 1
    reference[:, 30:] = 0  # what is not labelled has no objects, in either map
    write_raster(tmp_path / "r.tif", reference)
    found = more_scores(*files, objects=True).to_json()["objects"]
    assert found["building"]["predicted"] == 1
    assert found["building"]["recall"] == 0.5


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
def test_objects_of_vector_files_are_their_polygons(tmp_path, crs):
    x, y = 500_000, 5_000_000
    ours = [shapely.box(x, y, x + 10, y + 10), shapely.box(x + 10, y, x + 20, y + 10), shapely.box(x, y, x + 4, y + 4)]
    theirs = [shapely.box(x, y, x + 10, y + 9), shapely.box(x + 14, y, x + 24, y + 10)]
    for name, shapes_, to in (("p.fgb", ours, UTM), ("r.fgb", theirs, crs)):
        frame = geopandas.GeoDataFrame({"class": "building"}, geometry=shapes_, crs=UTM, index=range(len(shapes_)))
        frame.to_crs(to).to_file(tmp_path / name, engine="pyogrio")
    found = more_scores(tmp_path / "p.fgb", tmp_path / "r.fgb", objects=True).to_json()["objects"]["building"]
    assert (found["predicted"], found["right"], found["reference"]) == (3, 1, 2)
    same = more_scores(tmp_path / "r.fgb", tmp_path / "r.fgb", objects=True).to_json()["objects"]["building"]
    assert same["f1"] == 1


def test_polygons_beyond_the_shared_ground_are_no_objects(tmp_path):
    x, y = 500_000, 5_000_000
    far = [shapely.box(x, y, x + 10, y + 10), shapely.box(x + 100, y, x + 110, y + 10)]
    for name, some in (("p.fgb", far), ("r.fgb", far[:1])):
        frame = geopandas.GeoDataFrame({"class": ["building"] * len(some)}, geometry=some, crs=UTM)
        frame.to_file(tmp_path / name, engine="pyogrio")
    found = more_scores(tmp_path / "p.fgb", tmp_path / "r.fgb", objects=True).to_json()["objects"]["building"]
    assert (found["predicted"], found["f1"]) == (1, 1)


def test_a_raster_agrees_with_its_own_polygons_in_borders_and_objects(raster, layers_in):
    for one, other in ((raster, layers_in(UTM)), (layers_in(UTM), raster), (layers_in(UTM), layers_in(UTM))):
        found = more_scores(one, other, boundary=True, objects=True, maps={"resolution_m": 0.5}).to_json()
        assert found["boundary_f1"] == 1
        assert {score["f1"] for score in found["objects"].values()} == {1}


def test_confidences_lie_on_their_own_grid(tmp_path):
    labels = blobs()
    predicted = noisy(labels)
    percent = np.random.default_rng(0).integers(20, 101, labels.shape).astype(np.uint8)
    percent[:3] = 255
    files = write_raster(tmp_path / "p.tif", predicted), write_raster(tmp_path / "r.tif", labels)
    whole = write_raster(tmp_path / "conf.tif", percent, legend=None, nodata=255)
    expected = Calibration.empty().add(ComparedRows(0, predicted, labels, percent))
    report = more_scores(*files, confidence=whole)
    assert report.to_json()["ece"] == round(expected.ece, 6)
    assert (report.calibration.pixels == expected.pixels).all()
    shifted = NORTH_UP @ Affine.translation(10, 5)
    part = write_raster(tmp_path / "part.tif", percent[5:, 10:70], shifted, legend=None, nodata=255)
    expected = Calibration.empty().add(ComparedRows(0, predicted[5:, 10:70], labels[5:, 10:70], percent[5:, 10:70]))
    assert (more_scores(*files, confidence=part).calibration.pixels == expected.pixels).all()


@pytest.mark.parametrize(
    ("percent", "words"),
    [(np.full((60, 80), 180, np.uint8), "holds the value 180"), (np.full((60, 80), 0.5, np.float32), "has float32")],
)
def test_other_rasters_are_no_confidences(tmp_path, raster, percent, words):
    path = write_raster(tmp_path / "conf.tif", percent, legend=None, nodata=None)
    with pytest.raises(InputError, match=words):
        more_scores(raster, raster, confidence=path)
    with pytest.raises(InputError, match="is a class raster, expected confidences"):
        more_scores(raster, raster, confidence=raster)


def test_all_passes_over_the_maps_are_one_progress(tmp_path, raster):
    done = []
    wanted = WantedScores(boundary=True, objects=True)
    evaluate(EvaluateRequest(MapsRequest(raster, raster), wanted=wanted), lambda *step: done.append(step))
    assert [step[0] for step in done] == [1, 2, 3, 4]
    assert {step[1] for step in done} == {4}
    assert done[-1][2] == 60 * 80


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED])
def test_the_worst_place_is_looked_up_in_maps_and_scene(tmp_path, transform):
    labels = blobs(600, 500)
    predicted = labels.copy()
    predicted[310:340, 260:300] = labels[310:340, 260:300] % 5 + 1
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 600, 500)).astype(np.uint8)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": UTM, "transform": transform}
    with rasterio.open(tmp_path / "scene.tif", "w", height=600, width=500, **profile) as file:
        file.write(pixels)
    files = write_raster(tmp_path / "p.tif", predicted, transform), write_raster(tmp_path / "r.tif", labels, transform)
    page = tmp_path / "page.html"
    report = more_scores(*files, scene=tmp_path / "scene.tif", places=5, report=page)
    place, *rest = report.places
    assert rest == []
    window = place.found.window
    assert (place.found.wrong, window) == (1200, Window(300, 250, 300, 250))
    here = window.slices()
    assert (place.predicted == predicted[here]).all()
    assert (place.reference == labels[here]).all()
    assert (place.pixels == pixels[:, *here]).all()
    assert report.to_json()["worst"][0]["share"] == round(1200 / (300 * 250), 6)


def test_a_picture_needs_no_colours_of_a_model(tmp_path, raster):
    """One band is grey, a palette has its colours, of more bands the first three are taken."""
    rng = np.random.default_rng(0)
    bands = rng.integers(1, 256, (4, 60, 80)).astype(np.uint8)
    table = {value: (value, 255 - value, 7, 255) for value in range(256)}
    colors = np.array([table[value] for value in range(256)], np.uint8)[bands[0]].transpose(2, 0, 1)[:3]
    predicted, expected = write_raster(tmp_path / "p.tif", noisy(blobs())), {}
    for name, shown, more in (
        ("grey", bands[:1], {}),
        ("alpha", bands[:1], {"colors": ("gray", "alpha")}),
        ("palette", bands[:1], {"table": table}),
        ("four", bands, {"colors": ("undefined",) * 4}),
    ):
        pixels = np.stack([*shown, np.full((60, 80), 255, np.uint8)]) if name == "alpha" else shown
        write(tmp_path / f"{name}.tif", pixels, transform=NORTH_UP, **more)
        expected[name] = colors if name == "palette" else bands[:3] if name == "four" else np.stack([bands[0]] * 3)
    for name, picture in expected.items():
        wanted = {"places": 1, "report": tmp_path / f"{name}.html"}
        (place,) = more_scores(predicted, raster, scene=tmp_path / f"{name}.tif", **wanted).places
        np.testing.assert_array_equal(place.pixels, picture[:, *place.found.window.slices()])


def test_a_scene_of_other_ground_or_of_none_is_refused_before_anything_is_read(tmp_path, raster, monkeypatch):
    monkeypatch.setattr(TwoMaps, "strips", lambda *_: pytest.fail("maps were read"))
    pixels = np.ones((3, 60, 80), np.uint8)
    far = write(tmp_path / "far.tif", pixels, transform=NORTH_UP @ Affine.translation(0, 60), crs=UTM)
    both = (
        r"shares no ground with the maps \(it lies at 500000, 4999940.*they lie at 500000, 4999970, 500040, 5000000 in"
    )
    with pytest.raises(InputError, match=both):
        more_scores(raster, raster, scene=far, places=1, report=tmp_path / "page.html")
    bare = write(tmp_path / "bare.tif", pixels, transform=NORTH_UP, crs=None)
    with pytest.raises(InputError, match=r"no CRS.* gdal_edit.py -a_srs EPSG:n FILE"):
        more_scores(raster, raster, scene=bare, places=1, report=tmp_path / "page.html")


def test_classes_have_the_colours_of_their_maps_and_background_comes_last(tmp_path):
    own = Legend(
        (
            MapClass(1, "background", None, "#000000", "#111111"),
            MapClass(2, "hut", "huts", "#123456", "#654321"),
            MapClass(3, "road", "roads", "#010203", "#AABBCC"),
        )
    )
    classes = blobs(classes=3)
    mine = write_raster(tmp_path / "a.tif", classes, legend=own)
    layers = polygons_of(classes, names={1: "background", 2: "Hut", 3: "roads"})
    layers.to_file(tmp_path / "b.gpkg", engine="pyogrio")
    for files in ((mine, mine), (tmp_path / "b.gpkg", mine), (mine, tmp_path / "b.gpkg")):
        legend = more_scores(*files).confusion.legend
        found = {entry.name: entry.style for entry in legend}
        assert found == {"road": "#AABBCC", "hut": "#654321", "background": "#111111"}
        assert list(found) == ["road", "hut", "background"]
    nameless = write_raster(tmp_path / "c.tif", classes + 6, legend=None)
    legend = more_scores(nameless, nameless).confusion.legend
    assert {entry.name: entry.style for entry in legend} == {f"class_{i}": made_color(i) for i in (7, 8, 9)}


def test_a_scene_without_a_report_and_a_page_of_another_kind_are_refused(raster):
    with pytest.raises(UsageError, match="--scene is for the pictures of a report"):
        more_scores(raster, raster, scene=Path("scene.tif"))
    with pytest.raises(UsageError, match=r"--report: page\.pdf is an HTML page"):
        WantedScores(report=Path("page.pdf"))


def test_a_page_of_two_maps_has_everything(tmp_path, raster, layers_in):
    predicted, page = write_raster(tmp_path / "p<b>.tif", noisy(blobs())), tmp_path / "page.html"
    percent = write_raster(tmp_path / "conf.tif", np.full((60, 80), 70, np.uint8), legend=None, nodata=255)
    arguments = [str(predicted), str(layers_in(UTM)), "--confidence", str(percent), "--report", str(page), "--json"]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    found = json.loads(shown.stdout)
    assert {"boundary_f1", "objects", "ece", "worst"} <= set(found)
    text = page.read_text("utf-8")
    assert "p&lt;b&gt;.tif" in text
    assert "p<b>" not in text
    for words in ("Classes", "Confusion", "Confidence", "Worst places", "border pixels predicted"):
        assert words in text
    assert CliRunner().invoke(command, arguments).exception is not None  # it is there already
    assert page.read_text("utf-8") == text


def test_command_prints_a_table_or_one_json_object(raster, layers_in):
    raster, layers = str(raster), str(layers_in(UTM))
    shown = CliRunner().invoke(command, [layers, raster], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "building" in shown.stdout
    assert "mean IoU        1.0000" in shown.stdout
    told = CliRunner().invoke(
        command,
        [layers, raster, "--json", "--classes", "roads", "--progress", "json"],
        catch_exceptions=False,
    )
    found = json.loads(told.stdout)
    assert list(found) == [
        "schema", "predicted", "reference", "pixel_accuracy", "mean_iou", "classes", "confusion",
        "confusion_rows", "confusion_columns", "warnings",
    ]  # fmt: skip
    assert list(found["classes"]) == ["road"]
    assert json.loads(told.stderr.splitlines()[0])["stage"] == "evaluate"
    assert CliRunner().invoke(command, [layers, raster, "--resolution", "0"]).exit_code == 2
