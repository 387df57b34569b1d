"""``evaluate``: two maps of any kind and CRS, compared pixel by pixel."""

import json
from functools import cache
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from rasterio.features import shapes
from rasterio.warp import Resampling, calculate_default_transform, reproject

from geoseg.cli.evaluate import command
from geoseg.errors import InputError, UsageError
from geoseg.layers.legend import legend_tags
from geoseg.pipeline.evaluate import EvaluateRequest, evaluate
from geoseg.pipeline.evaluation import WantedScores
from geoseg.pipeline.two_maps import MapsRequest, TwoMaps
from geoseg.scores.boundary import Borders
from geoseg.scores.calibration import Calibration
from geoseg.scores.compared import ComparedRows
from geoseg.scores.mapped import NOTHING, RasterMap
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass, Window

UTM = "EPSG:32633"
NORTH_UP = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
ROTATED = Affine.translation(500_000, 5_000_000) @ Affine.rotation(25) @ Affine.scale(0.5, -0.5)
SOUTH_UP = Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000)
NAMES = {entry.value: entry.name for entry in DEFAULT_LEGEND}
LAYERS = {entry.value: entry.layer for entry in DEFAULT_LEGEND}


def blobs(height=60, width=80, classes=5, seed=0):
    """Return a map of patches with crooked borders, every pixel of one of the classes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, classes + 1, (height // 10 + 1, width // 10 + 1)).astype(np.uint8)
    rows, cols = np.indices((height, width)) + rng.integers(0, 4, (2, height, width))
    return coarse[np.minimum(rows // 10, height // 10), np.minimum(cols // 10, width // 10)]


def write_raster(path, classes, transform=NORTH_UP, crs=UTM, *, legend=DEFAULT_LEGEND, nodata=0, mask=None):
    profile = {"driver": "GTiff", "count": 1, "dtype": classes.dtype, "crs": crs, "transform": transform}
    with rasterio.open(path, "w", height=classes.shape[0], width=classes.shape[1], nodata=nodata, **profile) as file:
        file.write(classes, 1)
        if legend is not None:
            file.update_tags(**legend_tags(legend))
        if mask is not None:
            file.write_mask(mask)
    return path


def polygons_of(classes, transform=NORTH_UP, crs=UTM, names=NAMES):
    pairs = list(shapes(classes, mask=classes > 0, transform=transform))
    return geopandas.GeoDataFrame(
        {"class": [names[int(value)] for _, value in pairs]},
        geometry=[shapely.geometry.shape(polygon) for polygon, _ in pairs],
        crs=crs,
    )


def write_layers(path, frame, crs=None):
    """Write one layer per class, as segment does, empty ones included."""
    frame = frame if crs is None else frame.to_crs(crs)
    for value, name in NAMES.items():
        layer = frame[frame["class"] == name]
        pyogrio.write_dataframe(layer, path, layer=LAYERS[value], geometry_type="Polygon", append=path.exists())
    return path


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    """A class raster that no test changes."""
    return write_raster(tmp_path_factory.mktemp("raster") / "a.tif", blobs())


@pytest.fixture(scope="module")
def layers_in(tmp_path_factory):
    """Its exact polygons in a CRS, written once."""
    return cache(lambda crs: write_layers(tmp_path_factory.mktemp("layers") / "a.gpkg", polygons_of(blobs()), crs))


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Its layers without any polygon."""
    return write_layers(tmp_path_factory.mktemp("empty") / "empty.gpkg", polygons_of(blobs()).iloc[:0])


def scores(predicted, reference, **request):
    return evaluate(EvaluateRequest(MapsRequest(Path(predicted), Path(reference), **request)))


def perfect(report):
    found = report.to_json()
    return found["pixel_accuracy"] == found["mean_iou"] == 1


# --- rasters ---------------------------------------------------------------------------------------------


def test_two_rasters_of_one_grid_give_counts_by_hand(tmp_path):
    reference = np.array([[1, 1, 1, 2], [2, 2, 3, 0]], np.uint8)
    predicted = np.array([[1, 1, 2, 2], [2, 0, 3, 1]], np.uint8)
    report = scores(write_raster(tmp_path / "p.tif", predicted), write_raster(tmp_path / "r.tif", reference))
    found = report.to_json()
    assert found["schema"] == 1
    assert found["predicted"].endswith("p.tif")
    assert found["reference"].endswith("r.tif")
    assert found["confusion_rows"] == ["building", "road", "water", "vegetation", "land"]
    assert found["confusion_columns"] == [*found["confusion_rows"], "nodata"]
    assert found["confusion"][:3] == [[2, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]
    assert found["pixel_accuracy"] == round(5 / 7, 6)
    assert found["mean_iou"] == round((2 / 3 + 2 / 4 + 1) / 3, 6)
    assert found["classes"]["road"] == {
        "iou": 0.5,
        "f1": round(4 / 6, 6),
        "precision": round(2 / 3, 6),
        "recall": round(2 / 3, 6),
        "support": 3,
    }
    assert found["classes"]["land"]["iou"] is None
    assert found["warnings"] == []
    assert report.confusion.bucket is None


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED, SOUTH_UP])
def test_a_raster_agrees_with_itself(tmp_path, transform):
    path = write_raster(tmp_path / "a.tif", blobs(), transform)
    report = scores(path, path)
    assert perfect(report)
    assert report.confusion.counts.sum() == 60 * 80


@pytest.mark.parametrize(("down", "across"), [(7, 5), (-7, 5), (0, -11)])
def test_shifted_rasters_are_compared_where_they_overlap(tmp_path, down, across):
    whole = blobs(90, 110)
    one = write_raster(tmp_path / "one.tif", whole[20:70, 20:90], NORTH_UP @ Affine.translation(20, 20))
    row, col = 20 + down, 20 + across
    moved = NORTH_UP @ Affine.translation(col, row)
    other = write_raster(tmp_path / "other.tif", whole[row : row + 50, col : col + 70], moved)
    report = scores(one, other)
    assert perfect(report)
    assert report.confusion.counts.sum() == (50 - abs(down)) * (70 - abs(across))
    assert any("only that is scored" in note for note in report.warnings)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32634"])
def test_a_raster_warped_to_another_crs_and_finer_pixels_still_agrees(tmp_path, crs):
    reference = write_raster(tmp_path / "r.tif", blobs(), NORTH_UP)
    with rasterio.open(reference) as file:
        transform, width, height = calculate_default_transform(file.crs, crs, 80, 60, *file.bounds)
        transform, width, height = transform @ Affine.scale(0.2), width * 5, height * 5
        warped = np.zeros((height, width), np.uint8)
        reproject(
            rasterio.band(file, 1),
            warped,
            dst_crs=crs,
            dst_transform=transform,
            resampling=Resampling.nearest,
        )
    report = scores(write_raster(tmp_path / "p.tif", warped, transform, crs), reference)
    assert report.to_json()["pixel_accuracy"] > 0.98
    assert report.confusion.counts.sum() == 60 * 80


def test_missing_pixels_of_the_reference_do_not_count_and_of_the_prediction_are_wrong(tmp_path):
    labels = blobs()
    holes = labels.copy()
    holes[:10] = 0
    full, holed = write_raster(tmp_path / "full.tif", labels), write_raster(tmp_path / "holed.tif", holes)
    report = scores(full, holed)
    assert perfect(report)
    assert report.confusion.counts.sum() == 50 * 80
    report = scores(holed, full)
    assert report.confusion.counts[:, -1].sum() == 10 * 80
    assert report.confusion.pixel_accuracy == 50 / 60


@pytest.mark.parametrize("warped", [False, True])
@pytest.mark.parametrize("kind", ["nodata 0", "nodata 255", "mask", "int16 -9999", "float nan"])
def test_every_way_to_say_missing(tmp_path, kind, warped):
    labels = blobs()
    missing = np.zeros_like(labels, bool)
    missing[:, :15] = True
    value, dtype = {
        "nodata 255": (255, "uint8"),
        "int16 -9999": (-9999, "int16"),
        "float nan": (np.nan, "float32"),
    }.get(kind, (0, "uint8"))
    holed = np.where(missing, np.array(value, dtype), labels.astype(dtype))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        mask = {"mask": (~missing).astype(np.uint8) * 255}.get(kind)
        reference = write_raster(tmp_path / "r.tif", holed, nodata=None if mask is not None else value, mask=mask)
    shift = NORTH_UP @ Affine.translation(-3, -2)
    grown = np.pad(labels, ((2, 2), (3, 3)), mode="edge")
    other = write_raster(tmp_path / "p.tif", grown, shift) if warped else write_raster(tmp_path / "p.tif", labels)
    report = scores(other, reference)
    assert perfect(report)
    assert report.confusion.counts.sum() == 60 * 65
    report = scores(reference, other)  # the other way round the holes are wrong, and the frame does not count
    assert report.confusion.counts[:, -1].sum() == 60 * 15
    assert report.confusion.counts.sum() == 60 * 80


def test_rasters_are_matched_by_name_not_by_value(tmp_path):
    own = Legend(
        (
            MapClass(7, "Building", "houses", "#000000", "#000000"),
            MapClass(2, "Tree", "trees", "#000000", "#000000"),
        )
    )
    predicted = np.array([[7, 7, 2, 2]], np.uint8)
    reference = np.array([[1, 2, 4, 4]], np.uint8)
    report = scores(
        write_raster(tmp_path / "p.tif", predicted, legend=own), write_raster(tmp_path / "r.tif", reference)
    )
    found = report.to_json()
    assert found["confusion_rows"] == ["building", "other"]
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0]]
    assert found["classes"]["building"]["precision"] == 0.5
    assert any("has tree, which" in note for note in report.warnings)


def test_background_goes_by_its_short_name_too(tmp_path):
    short, long = (
        Legend((MapClass(1, "house", None, "#000000", "#000000"), MapClass(2, name, None, "#000000", "#000000")))
        for name in ("bg", "background")
    )
    labels = np.array([[1, 1, 2, 2]], np.uint8)
    maps = write_raster(tmp_path / "p.tif", labels, legend=short), write_raster(tmp_path / "r.tif", labels, legend=long)
    assert scores(*maps).to_json()["confusion"] == [[2, 0, 0], [0, 2, 0]]


def test_a_raster_without_names_is_matched_by_value_and_says_so(tmp_path):
    labels = blobs()
    bare = write_raster(tmp_path / "bare.tif", labels, legend=None)
    named = write_raster(tmp_path / "named.tif", labels)
    report = scores(bare, named)
    assert perfect(report)
    assert report.confusion.legend.classes[0].name == "building"
    assert any("no class names; its values are taken as 1 = building" in note for note in report.warnings)
    assert perfect(scores(bare, bare))
    own = Legend(tuple(MapClass(v, f"crop{v}", None, "#000000", "#000000") for v in range(1, 6)))
    report = scores(write_raster(tmp_path / "crops.tif", labels, legend=own), bare)
    assert perfect(report)
    assert [entry.name for entry in report.confusion.legend] == [f"crop{v}" for v in range(1, 6)]


def test_two_rasters_without_names_and_with_foreign_values_keep_their_numbers(tmp_path):
    labels = blobs() + 40
    bare = write_raster(tmp_path / "bare.tif", labels, legend=None)
    report = scores(bare, bare)
    assert perfect(report)
    assert [entry.name for entry in report.confusion.legend] == [f"class_{v}" for v in range(41, 46)]


def test_zero_that_is_not_declared_missing_counts_as_other(tmp_path):
    reference = write_raster(tmp_path / "r.tif", np.array([[0, 0, 1, 1]], np.uint8), legend=None, nodata=None)
    predicted = write_raster(tmp_path / "p.tif", np.array([[0, 1, 1, 1]], np.uint8), legend=None, nodata=None)
    report = scores(predicted, reference)
    assert report.to_json()["confusion"] == [[2, 0, 0], [1, 1, 0]]
    assert report.to_json()["confusion_rows"] == ["building", "other"]
    assert any("not declared missing" in note for note in report.warnings)


# --- polygons --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED, SOUTH_UP])
@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".fgb", ".parquet"])
def test_a_raster_agrees_with_its_own_polygons(tmp_path, ending, transform):
    labels = blobs()
    raster = write_raster(tmp_path / "a.tif", labels, transform)
    frame, path = polygons_of(labels, transform), tmp_path / f"a{ending}"
    if ending == ".gpkg":
        write_layers(path, frame)
    elif ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, engine="pyogrio")
    there, back = scores(path, raster), scores(raster, path)
    assert perfect(there)
    assert perfect(back)
    assert there.confusion.counts.sum() == back.confusion.counts.sum() == 60 * 80
    assert there.warnings == ()
    if transform != ROTATED:  # there the box around the polygons is larger than the raster
        assert back.warnings == ()
    assert there.confusion.bucket is None


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32634"])
def test_polygons_of_another_crs_agree(raster, layers_in, crs):
    layers = layers_in(crs)
    for report in (scores(layers, raster), scores(raster, layers)):
        assert report.to_json()["pixel_accuracy"] > 0.999
        assert report.to_json()["mean_iou"] > 0.999
        assert abs(report.confusion.counts.sum() - 60 * 80) < 100


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("metres", [None, 0.5])
def test_two_vector_files_meet_on_a_grid_of_true_metres(layers_in, crs, metres):
    predicted, reference = layers_in(UTM), layers_in(crs)
    report = scores(predicted, reference, resolution_m=metres)
    assert report.to_json()["pixel_accuracy"] > 0.98
    ground = 60 * 80 * 0.25  # square metres
    assert report.confusion.counts.sum() == pytest.approx(ground / (metres or 1.0) ** 2, rel=0.06)
    assert perfect(scores(reference, reference))


def test_classes_that_only_one_map_has_become_other(tmp_path):
    labels = blobs()
    reference = write_raster(tmp_path / "r.tif", labels)
    some = polygons_of(labels)
    path = tmp_path / "p.gpkg"
    for layer in ("buildings", "roads", "water"):
        part = some[some["class"] == layer.removesuffix("s")]
        pyogrio.write_dataframe(part, path, layer=layer, geometry_type="Polygon", append=path.exists())
    report = scores(path, reference)
    found = report.to_json()
    assert found["confusion_rows"] == ["building", "road", "water", "other"]
    assert list(found["classes"]) == ["building", "road", "water"]
    assert found["mean_iou"] == found["pixel_accuracy"] == 1
    assert found["confusion"][3][3] == ((labels == 4) | (labels == 5)).sum()
    assert any("has vegetation, land, which" in note and "counted as other" in note for note in report.warnings)
    found = scores(path, reference, classes="buildings").to_json()
    assert found["confusion_rows"] == ["building", "other"]
    assert found["mean_iou"] == 1
    found = scores(path, reference, classes="all").to_json()
    assert list(found["classes"]) == ["building", "road", "water", "vegetation", "land"]
    assert found["classes"]["land"]["iou"] == 0
    assert found["mean_iou"] == 0.6


def test_an_empty_layer_declares_its_class(tmp_path):
    labels = np.full((10, 10), 1, np.uint8)
    labels[0, 0] = labels[9, 9] = 3
    labels[5] = 2
    predicted = np.where(labels == 2, 1, labels).astype(np.uint8)
    layers = write_layers(tmp_path / "p.gpkg", polygons_of(predicted))
    report = scores(layers, write_raster(tmp_path / "r.tif", labels))
    road = report.to_json()["classes"]["road"]
    assert (road["iou"], road["support"]) == (0, 10)


def test_a_prediction_without_polygons_misses_everything(raster, layers_in, empty):
    report = scores(empty, raster)
    assert report.confusion.counts.sum() == 60 * 80
    assert report.to_json()["mean_iou"] == report.to_json()["pixel_accuracy"] == 0
    assert scores(empty, layers_in(UTM), resolution_m=0.5).confusion.counts.sum() == 60 * 80


def test_unlabelled_ground_inside_a_vector_reference_is_other(tmp_path):
    ends = [
        shapely.box(500_000, 4_999_999, 500_001, 5_000_000),
        shapely.box(500_009, 4_999_990, 500_010, 4_999_991),
    ]
    reference = tmp_path / "r.gpkg"
    geopandas.GeoDataFrame(geometry=ends, crs=UTM).to_file(reference, layer="buildings")
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(500_000, 4_999_990, 500_010, 5_000_000)], crs=UTM)
    frame.to_file(tmp_path / "p.gpkg", layer="Buildings")
    report = scores(tmp_path / "p.gpkg", reference)
    assert report.to_json()["confusion"] == [[2, 0, 0], [98, 0, 0]]
    assert report.to_json()["confusion_rows"] == ["building", "other"]


def test_overlapping_labels_go_to_the_class_that_stands_on_top(tmp_path):
    below, above = (
        shapely.box(500_000, 4_999_990, 500_010, 5_000_000),
        shapely.box(500_002, 4_999_992, 500_006, 4_999_996),
    )
    frame = geopandas.GeoDataFrame({"class": ["building", "land"]}, geometry=[above, below], crs=UTM)
    frame.to_file(tmp_path / "a.gpkg")
    report = scores(tmp_path / "a.gpkg", tmp_path / "a.gpkg")
    assert report.confusion.counts.tolist() == [[16, 0, 0], [0, 84, 0]]


@pytest.mark.parametrize("name", ["ignore", "Not-Labelled", "No_Data", "void"])
def test_what_polygons_call_unlabelled_does_not_count_whatever_lies_below(tmp_path, name):
    whole, some = (
        shapely.box(500_000, 4_999_990, 500_010, 5_000_000),
        shapely.box(500_002, 4_999_992, 500_006, 4_999_996),
    )
    for file, names in (("p.gpkg", ["building"]), ("r.gpkg", ["building", name])):
        frame = geopandas.GeoDataFrame({"class": names}, geometry=[whole, some][: len(names)], crs=UTM)
        frame.to_file(tmp_path / file)
    report = scores(tmp_path / "p.gpkg", tmp_path / "r.gpkg")
    assert report.confusion.counts.tolist() == [[84, 0]]
    missing = scores(tmp_path / "r.gpkg", tmp_path / "p.gpkg")
    assert missing.confusion.counts.tolist() == [[84, 16]], "a prediction that says nothing is wrong there"


def test_a_field_of_another_name_and_layers_that_say_nothing(tmp_path, raster):
    frame = polygons_of(blobs()).rename(columns={"class": "Kind"})
    path = tmp_path / "osm.gpkg"
    frame.to_file(path, layer="landuse")
    line = geopandas.GeoDataFrame(geometry=[shapely.LineString([(500_000, 5e6), (500_010, 5e6)])], crs=UTM)
    line.to_file(path, layer="road_centerlines")
    frame[[frame.geometry.name]].to_file(path, layer="building_footprints")
    report = scores(path, raster, class_field="kind")
    assert perfect(report)
    assert len(report.warnings) == 1
    assert "left out road_centerlines, building_footprints" in report.warnings[0]
    with pytest.raises(InputError, match=r"no polygon layer with a field 'class'.*--class-field"):
        scores(path, raster)


def test_invalid_null_and_unclassed_features_are_repaired_or_left_out_with_notes(tmp_path):
    x, y = 500_000, 5_000_000
    bow_tie = shapely.Polygon([(x, y), (x + 8, y - 8), (x + 8, y), (x, y - 8)])
    frame = geopandas.GeoDataFrame(
        {"class": ["building", "road", None, "road"]},
        geometry=[bow_tie, shapely.box(x, y - 20, x + 8, y - 10), shapely.box(x, y, x + 1, y + 1), None],
        crs=UTM,
    )
    frame.to_file(tmp_path / "a.geojson", engine="pyogrio")
    report = scores(tmp_path / "a.geojson", tmp_path / "a.geojson")
    assert report.to_json()["mean_iou"] == 1
    assert report.to_json()["classes"]["road"]["support"] == 80
    assert 24 <= report.to_json()["classes"]["building"]["support"] <= 40
    assert any("repaired 1 invalid" in note for note in report.warnings)
    assert any("left out 2 features without" in note for note in report.warnings)
    assert len(report.warnings) == 2


def test_maps_far_larger_than_the_other_are_cut_to_its_surroundings(tmp_path, raster):
    """The box of a map of the world makes no sense in the CRS of a town; nor would its polygons."""
    frame = polygons_of(blobs()).to_crs("EPSG:4326")
    world = [
        shapely.box(-170, -89.9, -160, -80),
        shapely.box(160, 80, 170, 89.9),
        shapely.box(14, 40, 16, 45.15),
    ]
    more = geopandas.GeoDataFrame({"class": ["water", "road", "land"]}, geometry=world, crs="EPSG:4326")
    pd.concat([frame, more]).to_file(tmp_path / "world.fgb", engine="pyogrio")
    report = scores(tmp_path / "world.fgb", raster)
    assert report.confusion.pixel_accuracy > 0.999
    assert report.confusion.counts.sum() == 60 * 80
    report = scores(raster, tmp_path / "world.fgb")
    assert report.confusion.pixel_accuracy > 0.999
    assert any("covers a small part of" in note for note in report.warnings)


# --- strips ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strip_pixels", [1, 300, 1500])
def test_strips_equal_the_whole(tmp_path, layers_in, strip_pixels):
    layers = layers_in(UTM)
    raster = write_raster(tmp_path / "r.tif", blobs(seed=1), ROTATED)
    whole = scores(layers, raster).confusion
    done = []

    strips = TwoMaps.strips
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwoMaps, "strips", lambda maps, tell, _pixels: strips(maps, tell, strip_pixels))
        report = evaluate(EvaluateRequest(MapsRequest(layers, raster)), lambda *step: done.append(step))
    assert (report.confusion.counts == whole.counts).all()
    assert [step[0] for step in done] == list(range(1, len(done) + 1))
    assert done[-1][0] == done[-1][1] > 1


def test_a_rotated_raster_counts_only_where_both_lie(tmp_path):
    """The frame around a rotated raster is neither nodata nor wrong."""
    here = write_raster(tmp_path / "here.tif", np.full((60, 80), 2, np.uint8), ROTATED)
    frame = np.full((200, 200), 2, np.uint8)
    around = write_raster(tmp_path / "around.tif", frame, Affine(0.5, 0, 499_960, 0, -0.5, 5_000_060))
    report = scores(here, around)
    assert report.confusion.pixel_accuracy == 1
    assert report.confusion.counts.sum() == pytest.approx(60 * 80, rel=0.02)
    assert report.confusion.counts[:, -1].sum() == 0


def test_codes_of_a_window_are_those_of_the_file(tmp_path):
    labels = blobs()
    labels[3, 4] = 0
    with rasterio.open(write_raster(tmp_path / "a.tif", labels)) as file:
        one = RasterMap("a.tif", file)
        with one.onto(one.grid) as rows:
            codes = rows(Window(2, 3, 5, 6))
    expected = labels[2:7, 3:9].astype(np.uint16)
    expected[1, 1] = NOTHING
    assert (codes == expected).all()


# --- what cannot be compared -----------------------------------------------------------------------------


def test_maps_of_different_places_are_refused_with_both_bounds(tmp_path, raster, layers_in):
    labels, here, near = blobs(), raster, layers_in(UTM)
    there = write_raster(tmp_path / "there.tif", labels, NORTH_UP @ Affine.translation(5000, 0))
    layers = tmp_path / "there.geojson"
    polygons_of(labels, NORTH_UP @ Affine.translation(5000, 0)).to_file(layers, engine="pyogrio")
    for predicted, reference in ((here, there), (here, layers), (layers, here), (layers, near)):
        with pytest.raises(InputError, match=r"shares no ground.*500000.*502500|502500.*500000"):
            scores(predicted, reference)


def test_a_large_map_of_another_place_and_crs_is_refused(tmp_path, raster):
    far = geopandas.GeoDataFrame({"class": ["land"]}, geometry=[shapely.box(-60, -20, -50, -10)], crs="EPSG:4326")
    far.to_file(tmp_path / "far.fgb", engine="pyogrio")
    for maps in ((tmp_path / "far.fgb", raster), (raster, tmp_path / "far.fgb")):
        with pytest.raises(InputError, match=r"shares no ground.*EPSG:4326"):
            scores(*maps)


def test_a_reference_without_labels_is_refused(tmp_path, raster, empty):
    blank = write_raster(tmp_path / "blank.tif", np.zeros((60, 80), np.uint8))
    with pytest.raises(InputError, match="no labelled pixel"):
        scores(raster, blank)
    with pytest.raises(InputError, match=r"empty\.gpkg: has no polygons"):
        scores(raster, empty)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.gpkg", None, "does not exist"),
        ("missing.tif", None, "does not exist"),
        ("empty.gpkg", b"", "0 bytes"),
        ("text.geojson", b"hello", "of another kind"),
        ("vrt.geojson", b"<OGRVRTDataSource/>", "of another kind"),
        ("half.gpkg", b"SQLite format 3\0" + b"x" * 500, "damaged or not supported"),
        ("half.geojson", b'{"type": "FeatureCollection", "features": [', "damaged or not supported"),
        ("half.fgb", b"fgb\x03fgb\x00" + b"x" * 50, "damaged or not supported"),
        ("half.parquet", b"PAR1" + b"x" * 500, "damaged or not supported"),
        ("labels.shp", b"\0\0\x27\x0a" + b"\0" * 100, "convert it with: ogr2ogr labels.gpkg"),
    ],
)
@pytest.mark.parametrize("side", ["predicted", "reference"])
def test_unusable_files_are_told_in_one_sentence(tmp_path, raster, name, content, words, side):
    bad = tmp_path / name
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        scores(*((bad, raster) if side == "predicted" else (raster, bad)))
    assert str(caught.value).startswith(str(bad))
    assert "\n" not in str(caught.value)


def test_layers_without_a_crs_are_refused(tmp_path, raster):
    frame = polygons_of(blobs()).set_crs(None, allow_override=True)
    with pytest.warns(UserWarning, match="crs"):
        frame.to_file(tmp_path / "a.gpkg", engine="pyogrio")
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.gpkg", "a.parquet"):
        with pytest.raises(InputError, match="has no CRS"):
            scores(tmp_path / name, raster)


def test_pictures_and_measurements_are_no_class_rasters(tmp_path, raster):
    picture = tmp_path / "rgb.tif"
    with rasterio.open(
        picture, "w", driver="GTiff", height=60, width=80, count=3, dtype="uint8", crs=UTM, transform=NORTH_UP
    ) as file:
        file.write(np.ones((3, 60, 80), np.uint8))
    with pytest.raises(InputError, match="has 3 bands"):
        scores(picture, raster)
    heights = write_raster(tmp_path / "dem.tif", np.full((60, 80), 312.5, np.float32), legend=None, nodata=None)
    with pytest.raises(InputError, match=r"holds the value 312\.5"):
        scores(raster, heights)


def test_maps_without_a_common_class_are_refused(tmp_path, raster):
    crops = polygons_of(blobs(), names={v: f"crop {v}" for v in range(1, 6)})
    crops.to_file(tmp_path / "crops.gpkg", layer="fields")
    with pytest.raises(InputError, match=r"has the classes crop 1.*but.*has building.*--class-field"):
        scores(tmp_path / "crops.gpkg", raster)


@pytest.mark.parametrize("classes", ["boats", "building,boats", ",", "other"])
def test_classes_that_no_map_has_are_a_usage_error(raster, classes):
    with pytest.raises(UsageError, match=r"--classes: .* use all, or any of building, road, water"):
        scores(raster, raster, classes=classes)


@pytest.mark.parametrize("metres", [0, -1, float("nan"), float("inf")])
def test_a_resolution_must_be_a_length(metres):
    with pytest.raises(UsageError, match="--resolution"):
        MapsRequest(Path("a.gpkg"), Path("b.gpkg"), resolution_m=metres)


def test_too_fine_a_resolution_is_refused_and_one_beside_a_raster_is_noted(raster, layers_in):
    layers = layers_in(UTM)
    with pytest.raises(UsageError, match="larger pixels"):
        scores(layers, layers, resolution_m=1e-5)
    report = scores(layers, raster, resolution_m=3.0)
    assert report.confusion.counts.sum() == 60 * 80
    assert any("--resolution is for two vector files" in note for note in report.warnings)


# --- borders, objects, confidences, pictures --------------------------------------------------------------


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


# --- command line ----------------------------------------------------------------------------------------


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
