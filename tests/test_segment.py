"""The whole of ``segment`` against oracles: one forward pass, the class raster itself, and the files reopened."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.inference.windows import WindowRequest
from geoseg.model.file import load_model
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest, VectorRequest
from geoseg.pipeline.segment import segment
from geoseg.resample import resample, weights
from geoseg.scene.stretch import parse_stretch
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from pathlib import Path

NO_CODE = (
    'PROJCS["site grid",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",25.1],PARAMETER["central_meridian",55.2],PARAMETER["scale_factor",1],'
    'PARAMETER["false_easting",1000],PARAMETER["false_northing",2000],UNIT["metre",1]]'
)
DEGREE = 1 / 111_320
GRIDS = {
    "UTM": ("EPSG:32640", Affine(1, 0, 325000, 0, -1, 2785000)),
    "degrees": ("EPSG:4326", Affine(DEGREE, 0, 55.2, 0, -DEGREE, 25.1)),
    "web mercator": ("EPSG:3857", Affine(1.1, 0, 6144000, 0, -1.1, 2889000)),
    "no code": (NO_CODE, Affine(1, 0, 900, 0, -1, 2400)),
    "rotated": (
        "EPSG:32640",
        Affine.translation(325000, 2785000) @ Affine.rotation(17) @ Affine.scale(1, -1),
    ),
    "south-up": ("EPSG:32640", Affine(1, 0, 325000, 0, 1, 2785000)),
}


def write(path: Path, pixels: np.ndarray, crs: str = "EPSG:32640", transform: Affine = GRIDS["UTM"][1], **more) -> Path:
    """Write (bands, height, width) as a GeoTIFF."""
    bands, height, width = pixels.shape
    profile = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": pixels.dtype.name,
    }
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile, **more) as scene:
        scene.write(pixels)
    return path


def city(height: int, width: int, seed: int = 11) -> np.ndarray:
    """Render a made-up city, (3, height, width)."""
    from geoseg.demo.render import render
    from geoseg.vocabulary import Window

    return render(seed, Window(0, 0, height, width))[0]


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1)


def run(scene: Path, folder: Path, name: str = "out", **given) -> np.ndarray:
    """Segment to a class raster in fp32 and return it."""
    raster = folder / f"{name}.tif"
    output = OutputRequest(raster=raster, overwrite=True)
    segment(SegmentRequest(scene, output, runs_on=RunsOn("cpu", "fp32"), **given))
    return read(raster)


def forward(model, pixels: np.ndarray, halo: int = 96) -> np.ndarray:
    """Return the classes of one pass over the scene padded by the halo, then up to the stride: DESIGN's oracle."""
    _, height, width = pixels.shape
    stride = model.card.network.stride
    below, right = -height % stride, -width % stride
    padded = np.pad(pixels, ((0, 0), (halo, halo + below), (halo, halo + right)), mode="reflect")
    shape = WindowShape(padded.shape[1], padded.shape[2], halo)
    index, _ = build_network(model, shape, RunsOn("cpu", "fp32")).decide(padded)
    return np.array([c.value for c in model.card.legend], np.uint8)[index][:height, :width]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A city whose size the stride does not divide."""
    return write(tmp_path_factory.mktemp("scene") / "scene.tif", city(701, 587))


@pytest.mark.parametrize("window", [None, 208, 384, 512])
def test_exact_is_one_forward_pass(scene, tmp_path, window):
    with rasterio.open(scene) as opened:
        pixels = opened.read()
    expected = forward(load_model("default"), pixels)
    found = run(scene, tmp_path, windows=WindowRequest("exact", window))
    assert np.mean(found != expected) <= 1e-5
    assert len(np.unique(expected)) >= 4  # an oracle of one class would prove nothing


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (20, 31), (97, 16)])
def test_exact_on_scenes_smaller_than_the_halo(tmp_path, size):
    pixels = city(*size)
    found = run(write(tmp_path / "s.tif", pixels), tmp_path, windows=WindowRequest("exact"))
    assert np.array_equal(found, forward(load_model("default"), pixels))


def test_a_cut_out_is_the_crop_of_the_whole(scene, tmp_path):
    whole = run(scene, tmp_path, windows=WindowRequest("exact", 384))
    bounds = (325000 + 130, 2785000 - 640, 325000 + 555, 2785000 - 205)
    part = run(scene, tmp_path, "part", windows=WindowRequest("exact", 384), reading=SceneRequest(bounds=bounds))
    assert np.array_equal(part, whole[205:640, 130:555])
    with rasterio.open(tmp_path / "part.tif") as raster:
        assert tuple(raster.bounds) == bounds


@pytest.mark.parametrize("blend", ["crop", "taper"])
def test_other_blends_agree_with_exact_almost_everywhere(scene, tmp_path, blend):
    exact = run(scene, tmp_path)
    other = run(scene, tmp_path, "other", windows=WindowRequest(blend, 320, 128))
    assert np.mean(exact != other) < 0.01


@pytest.mark.parametrize("name", GRIDS)
def test_layers_and_raster_say_the_same_in_every_crs(tmp_path, name):
    crs, transform = GRIDS[name]
    path = write(tmp_path / "scene.tif", city(150, 130), crs, transform)
    with rasterio.open(path) as opened:
        source_crs = opened.crs
    layers, raster = tmp_path / "all.gpkg", tmp_path / "classes.tif"
    vectors = VectorRequest("all", {"*": 0}, 0)
    report = segment(SegmentRequest(path, OutputRequest(layers, raster), vectors=vectors))

    with rasterio.open(raster) as opened:
        classes, found_crs, found_transform = opened.read(1), opened.crs, opened.transform
        assert opened.nodata == 0
        assert opened.colormap(1)[1][:3] == tuple(bytes.fromhex(DEFAULT_LEGEND.by_value(1).color[1:]))
    assert found_crs == source_crs
    assert found_transform.almost_equals(transform, 1e-9)

    burnt = np.zeros_like(classes)
    total = 0.0
    for entry in DEFAULT_LEGEND:
        frame = pyogrio.read_dataframe(layers, layer=entry.layer)
        assert frame.crs == source_crs.to_wkt()
        assert list(frame.columns) == ["class", "area_m2", "perimeter_m", "confidence", "geometry"]
        assert shapely.is_valid(frame.geometry.values).all()
        assert set(frame["class"]) <= {entry.name}
        if len(frame):
            shapes = [(geometry, entry.value) for geometry in frame.geometry]
            part = rasterize(shapes, classes.shape, transform=transform, dtype=np.uint8)
            assert not burnt[part > 0].any()
            burnt[part > 0] = entry.value
            total += shapely.area(frame.geometry.values).sum()
            assert frame["confidence"].between(0, 1).all()
    assert np.array_equal(burnt, classes)
    assert total == pytest.approx(classes.size * abs(transform.determinant), rel=1e-9)
    assert sum(layer["features"] for layer in report.layers) > 3


def test_default_layers_are_a_valid_coverage_and_styled(scene, tmp_path):
    layers, final = tmp_path / "c.gpkg", tmp_path / "final.tif"
    output = OutputRequest(layers, raster_final=final)
    segment(SegmentRequest(scene, output, vectors=VectorRequest("all")))
    faces = np.concatenate([pyogrio.read_dataframe(layers, layer=c.layer).geometry.values for c in DEFAULT_LEGEND])
    assert shapely.is_valid(faces).all()
    assert shapely.coverage_is_valid(faces)
    assert shapely.area(faces).sum() == pytest.approx(701 * 587, rel=1e-9)  # no gap either
    final_classes = read(final)
    assert (final_classes > 0).all()
    with sqlite3.connect(layers) as database:
        assert database.execute("pragma user_version").fetchone() == (10300,)
        styles = dict(database.execute("select f_table_name, styleQML from layer_styles where useAsDefault = 1"))
        assert set(styles) == {c.layer for c in DEFAULT_LEGEND}
        (metadata,) = database.execute("select metadata from gpkg_metadata").fetchone()
        assert json.loads(metadata)["GEOSEG_MODEL"].startswith(load_model("default").card.name)


def test_all_nodata_gives_empty_layers(tmp_path):
    path = write(tmp_path / "none.tif", np.zeros((3, 40, 50), np.uint8), nodata=0)
    layers, raster, confidence = tmp_path / "c.gpkg", tmp_path / "c.tif", tmp_path / "p.tif"
    report = segment(SegmentRequest(path, OutputRequest(layers, raster, confidence=confidence)))
    assert [layer["features"] for layer in report.layers] == [0, 0, 0]
    assert any("nodata" in warning for warning in report.warnings)
    assert not read(raster).any()
    assert (read(confidence) == 255).all()
    assert pyogrio.read_info(layers, layer="water")["geometry_type"] == "Polygon"


def test_nodata_stays_nodata_and_changes_nothing_far_away(tmp_path):
    pixels = city(400, 400)
    holed = pixels.copy()
    holed[:, 300:, 300:] = 0
    whole = run(write(tmp_path / "a.tif", pixels), tmp_path, "whole")
    part = run(write(tmp_path / "b.tif", holed, nodata=0), tmp_path, "part")
    missing = (holed == 0).all(0)
    assert not part[missing].any()
    assert (part[~missing] > 0).all()
    assert np.array_equal(part[:200, :200], whole[:200, :200])


def test_finer_scene_is_read_at_the_models_resolution(tmp_path):
    pixels = city(180, 160).repeat(4, 1).repeat(4, 2)
    fine = write(tmp_path / "fine.tif", pixels, transform=Affine(0.25, 0, 325000, 0, -0.25, 2785000))
    seen = resample(pixels, weights(720, 180), weights(640, 160))
    coarse = write(tmp_path / "coarse.tif", np.rint(seen).astype(np.uint8))
    found = run(fine, tmp_path, "fine_classes")
    expected = run(coarse, tmp_path, "coarse_classes").repeat(4, 0).repeat(4, 1)
    assert found.shape == (720, 640)
    assert np.mean(found == expected) > 0.95  # they differ along borders, where scores are interpolated
    native = run(fine, tmp_path, "native", reading=SceneRequest(resolution="native"))
    assert native.shape == (720, 640)
    assert np.mean(native == found) < 0.99

    layers = tmp_path / "c.gpkg"
    segment(SegmentRequest(fine, OutputRequest(layers), vectors=VectorRequest("all", simplify_px=0)))
    found = [pyogrio.read_dataframe(layers, layer=name).geometry.values for name, _ in pyogrio.list_layers(layers)[:5]]
    corners = shapely.get_coordinates(np.concatenate(found))
    assert len(corners) > 3
    assert np.allclose(corners, np.rint(corners))  # traced on the model's metre, not on the scene's quarter


def test_cut_out_of_a_resampled_scene_is_the_crop(tmp_path):
    pixels = city(300, 260).repeat(2, 1).repeat(2, 2)
    fine = write(tmp_path / "fine.tif", pixels, transform=Affine(0.5, 0, 325000, 0, -0.5, 2785000))
    whole = run(fine, tmp_path, "whole")
    bounds = (325000 + 50, 2785000 - 250, 325000 + 201.5, 2785000 - 20)
    part = run(fine, tmp_path, "part", reading=SceneRequest(bounds=bounds))
    assert np.array_equal(part, whole[40:500, 100:403])


def test_area_of_interest(scene, tmp_path):
    import geopandas

    triangle = shapely.Polygon([(325100, 2784900), (325400, 2784900), (325250, 2784500)])
    aoi = tmp_path / "aoi.gpkg"
    geopandas.GeoDataFrame(geometry=[triangle], crs="EPSG:32640").to_crs("EPSG:4326").to_file(aoi)
    whole = run(scene, tmp_path, "whole")
    part = run(scene, tmp_path, "part", reading=SceneRequest(aoi=aoi))
    with rasterio.open(tmp_path / "part.tif") as raster:
        inside = rasterize([triangle], raster.shape, transform=raster.transform) > 0
        col, row = ~Affine(1, 0, 325000, 0, -1, 2785000) @ raster.transform @ (0, 0)
    row, col = round(row), round(col)
    expected = np.where(inside, whole[row : row + part.shape[0], col : col + part.shape[1]], 0)
    assert np.mean(part != expected) < 0.001  # pixel centres on the triangle's sides may fall either way
    assert 0 < (part > 0).sum() < part.size


def test_bands_can_be_chosen_and_repeated(scene, tmp_path):
    with rasterio.open(scene) as opened:
        pixels = opened.read()
    turned = write(tmp_path / "bgr.tif", pixels[::-1])
    found = run(turned, tmp_path, "turned", reading=SceneRequest({"bands": (3, 2, 1)}))
    assert np.array_equal(found, run(scene, tmp_path, "rgb"))
    grey = run(turned, tmp_path, "grey", reading=SceneRequest({"bands": (1, 1, 1)}))
    assert not np.array_equal(grey, found)


def test_sixteen_bits_are_stretched_and_it_is_said(scene, tmp_path):
    with rasterio.open(scene) as opened:
        pixels = opened.read()
    deep = write(tmp_path / "deep.tif", pixels.astype(np.uint16) * 40 + 300)
    known = run(deep, tmp_path, "known", reading=SceneRequest({"stretch": parse_stretch("300,10500")}))
    assert np.array_equal(known, run(scene, tmp_path))  # exactly the values of the eight-bit scene
    report = segment(SegmentRequest(deep, OutputRequest(raster=tmp_path / "auto.tif")))
    assert "stretched" in " ".join(report.warnings)
    assert report.stretch != "none"


def test_report_has_every_field_of_the_contract(scene, tmp_path):
    report = segment(SegmentRequest(scene, OutputRequest(tmp_path / "c.gpkg"))).to_json()
    assert report["schema"] == 1
    wanted = "scene out raster crs pixels model device precision blend window overlap windows stretch seconds "
    wanted += "megapixels_per_second peak_rss_mb layers warnings"
    assert set(report) - {"schema"} == set(wanted.split())
    assert set(report["seconds"]) == {"read", "forward", "vector", "write", "total"}
    assert report["pixels"] == 701 * 587
    assert report["windows"] == 1
    assert report["crs"] == "EPSG:32640"
    json.dumps(report, allow_nan=False)


def test_a_scene_unlike_the_training_data_is_warned_about(tmp_path):
    noise = np.random.default_rng(0).integers(0, 6, (3, 200, 200)).astype(np.uint8)
    noise[0] += 249  # brighter in red and darker in green and blue than any image it has learned from
    report = segment(SegmentRequest(write(tmp_path / "n.tif", noise), OutputRequest(raster=tmp_path / "c.tif")))
    assert any("may not suit" in warning and "geoseg train" in warning for warning in report.warnings)


@pytest.mark.parametrize("ending", [".geojson", ".fgb", ".parquet"])
def test_one_layer_formats(scene, tmp_path, ending):
    import geopandas

    path = tmp_path / f"c{ending}"
    report = segment(SegmentRequest(scene, OutputRequest(path), vectors=VectorRequest("all")))
    frame = geopandas.read_parquet(path) if ending == ".parquet" else geopandas.read_file(path)
    assert frame.crs == "EPSG:32640"
    counts = frame["class"].value_counts()
    assert {layer["class"]: layer["features"] for layer in report.layers if layer["features"]} == counts.to_dict()
