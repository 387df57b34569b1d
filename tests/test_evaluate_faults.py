"""``evaluate``: what cannot be compared is refused in a sentence."""

from functools import cache
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.errors import InputError, UsageError
from geoseg.pipeline.evaluate.two_maps import MapsRequest
from tests.maps import NORTH_UP, UTM, blobs, polygons_of, scores, write_layers, write_raster


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


@pytest.mark.parametrize("moved", [(80, 0), (0, 60), (80, 60)])
def test_neighbours_that_only_touch_share_no_ground(tmp_path, raster, moved):
    beside = write_raster(tmp_path / "beside.tif", blobs(), NORTH_UP @ Affine.translation(*moved))
    for maps in ((beside, raster), (raster, beside)):
        with pytest.raises(InputError, match="shares no ground"):
            scores(*maps)


def test_a_raster_without_a_crs_is_refused_with_a_way_that_there_is(tmp_path, raster):
    """Flags on scenes' CRSs are not about maps."""
    bare = write_raster(tmp_path / "bare.tif", blobs(), crs=None)
    for maps in ((bare, raster), (raster, bare)):
        with pytest.raises(InputError, match=r"bare\.tif: .* no CRS, .* gdal_edit\.py -a_srs EPSG:n") as refused:
            scores(*maps)
        assert "--src-crs" not in str(refused.value)


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
        ("labels.shp", b"\0\0\x27\x0a" + b"\0" * 100, "write it as one with: ogr2ogr out.gpkg"),
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
