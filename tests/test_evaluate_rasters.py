"""``evaluate`` of class rasters: of any grid and CRS, by name or value, in strips or as a whole."""

from functools import cache

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject

from geoseg.maps.raster_map import NOTHING, RasterMap
from geoseg.pipeline.evaluate.maps import EvaluateRequest, evaluate
from geoseg.pipeline.evaluate.two_maps import MapsRequest, TwoMaps
from geoseg.vocabulary import Legend, MapClass, Window
from tests.maps import NORTH_UP, ROTATED, SOUTH_UP, UTM, blobs, perfect, polygons_of, scores, write_layers, write_raster


@pytest.fixture(scope="module")
def layers_in(tmp_path_factory):
    """Its exact polygons in a CRS, written once."""
    return cache(lambda crs: write_layers(tmp_path_factory.mktemp("layers") / "a.gpkg", polygons_of(blobs()), crs))


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
