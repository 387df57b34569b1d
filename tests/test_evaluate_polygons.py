"""``evaluate`` of vector files against rasters and against each other."""

from functools import cache

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from geoseg.errors import InputError
from tests.maps import NORTH_UP, ROTATED, SOUTH_UP, UTM, blobs, perfect, polygons_of, scores, write_layers, write_raster


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


@pytest.mark.parametrize("below", ["yard", "garden", "land", "vegetation"])
@pytest.mark.parametrize("order", [1, -1])
def test_of_classes_that_overlap_smaller_polygons_lie_on_top_whatever_they_are_called(tmp_path, below, order):
    """By their names alone a yard covered the houses on it, and any ground of the default legend did."""
    whole = shapely.box(500_000, 4_999_990, 500_010, 5_000_000)
    houses = [shapely.box(500_000 + x, 4_999_991, 500_002 + x, 4_999_993) for x in (1, 4, 7)]
    road = shapely.box(500_000, 4_999_996, 500_010, 4_999_998)
    names, shapes = [below, "house", "house", "house", "road"][::order], [whole, *houses, road][::order]
    geopandas.GeoDataFrame({"class": names}, geometry=shapes, crs=UTM).to_file(tmp_path / "a.gpkg")
    classes = scores(tmp_path / "a.gpkg", tmp_path / "a.gpkg").to_json()["classes"]
    assert {name: one["support"] for name, one in classes.items()} == {below: 100 - 12 - 20, "house": 12, "road": 20}


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
    assert [note.removeprefix(f"{path}: ") for note in report.warnings] == [
        "left out building_footprints, which name no classes",
        "left out road_centerlines, which hold lines or points, not polygons",
    ]
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
    assert any("left out 1 features without a geometry" in note for note in report.warnings)
    assert any(
        "its 1 features without a class are unlabelled ground where no other lies" in note for note in report.warnings
    )
    assert len(report.warnings) == 3


def test_lines_among_polygons_are_left_out_with_a_note_and_alone_refused(tmp_path, raster):
    x, y = 500_000, 5_000_000
    ways = [shapely.LineString([(x, y), (x + 50, y - 50)]), shapely.Point(x + 3, y - 3)]
    box = shapely.box(x, y - 20, x + 8, y - 10)
    mixed = geopandas.GeoDataFrame({"class": ["road", "tree", "road"]}, geometry=[*ways, box], crs=UTM)
    mixed.to_file(tmp_path / "a.geojson", engine="pyogrio")
    report = scores(tmp_path / "a.geojson", raster)
    assert any("left out 2 features that are no polygons" in note for note in report.warnings)
    mixed[:1].to_file(tmp_path / "lines.gpkg", layer="roads", engine="pyogrio")
    with pytest.raises(InputError, match=r"lines\.gpkg: holds lines or points \(roads\), expected polygons"):
        scores(tmp_path / "lines.gpkg", raster)


@pytest.mark.parametrize("first", [0, 1])
def test_ground_that_somebody_drew_without_a_class_is_no_other_ground(tmp_path, first):
    """It is not known, but takes nothing away from what is, wherever it stands in the file."""
    x, y = 500_000, 5_000_000
    boxes = [shapely.box(x, y - 10, x + 10, y), shapely.box(x + 5, y - 10, x + 20, y)]
    for name, names in (("some", ["building", None]), ("all", ["building", "road"])):
        frame = geopandas.GeoDataFrame({"class": names}, geometry=boxes, crs=UTM)
        frame.iloc[[first, 1 - first]].to_file(tmp_path / f"{name}.gpkg")
    report = scores(tmp_path / "all.gpkg", tmp_path / "some.gpkg").to_json()
    assert np.sum(report["confusion"]) == 100
    assert report["classes"]["building"]["iou"] == 1
    mirrored = scores(tmp_path / "some.gpkg", tmp_path / "all.gpkg").to_json()
    assert np.sum(mirrored["confusion"]) == 200, "a prediction of no class is wrong where there is one"
    assert mirrored["classes"]["building"]["iou"] == 1


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
