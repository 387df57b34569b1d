"""The demo: a pure function of seed and place, with a truth that agrees with itself."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from geoseg.demo import write
from geoseg.demo.render import render
from geoseg.demo.world import centerlines, footprints
from geoseg.demo.write import demo_grid, write_demo
from geoseg.errors import OutputError
from geoseg.vocabulary import DEFAULT_LEGEND, Window

BUILDING, ROAD, WATER, VEGETATION, LAND = (entry.value for entry in DEFAULT_LEGEND)
CITY = Window(0, 0, 1024, 1024)
LAYERS = [str(entry.layer) for entry in DEFAULT_LEGEND]


@pytest.fixture(scope="module")
def city():
    """Return seed 0's first square: RGB and classes."""
    return render(0, CITY)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write a small demo, in strips that do not divide it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "STRIP", 256)
        return write_demo(tmp_path_factory.mktemp("demo"), size=400, seed=3)


def inside(parts, shape):
    """Return which pixel middles lie in polygons."""
    if not parts:
        return np.zeros(shape, bool)
    return rasterize(parts, shape).astype(bool)


def test_shapes_and_values(city):
    rgb, classes = city
    assert rgb.shape == (3, 1024, 1024)
    assert rgb.dtype == classes.dtype == np.uint8
    assert set(np.unique(classes)) == {BUILDING, ROAD, WATER, VEGETATION, LAND}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1023), st.integers(0, 1023), st.integers(1, 200), st.integers(1, 200))
@example(0, 0, 1, 1)
@example(1023, 0, 1, 200)
def test_any_window_equals_the_crop(city, row, col, height, width):
    window = Window(row, col, height, width).intersection(CITY)
    rgb, classes = render(0, window)
    assert np.array_equal(rgb, city[0][:, *window.slices()])
    assert np.array_equal(classes, city[1][window.slices()])


@pytest.mark.parametrize("seed", [5, 12, 1_000_003])
@pytest.mark.parametrize("corner", [(-700, -1300), (70_000, 31_000)])
def test_windows_elsewhere_equal_the_crop(seed, corner):
    row, col = corner
    rgb, classes = render(seed, Window(row, col, 260, 300))
    part = render(seed, Window(row + 90, col + 130, 111, 77))
    assert np.array_equal(part[0], rgb[:, 90:201, 130:207])
    assert np.array_equal(part[1], classes[90:201, 130:207])


def test_empty_window():
    rgb, classes = render(0, Window(5, 5, 0, 7))
    assert rgb.shape == (3, 0, 7)
    assert classes.shape == (0, 7)


def test_seeds_differ(city):
    other = render(1, Window(0, 0, 128, 128))
    assert not np.array_equal(other[0], city[0][:, :128, :128])


def test_shares_of_the_default_scene(city):
    shares = np.bincount(city[1].ravel(), minlength=6)[1:] / city[1].size
    assert 0.18 < shares[BUILDING - 1] < 0.30
    assert 0.12 < shares[ROAD - 1] < 0.20
    assert 0.05 < shares[WATER - 1] < 0.15
    assert 0.08 < shares[VEGETATION - 1] < 0.20


def test_shares_over_many_places():
    pixels = [render(seed, Window(seed * 977, -seed * 1311, 256, 256))[1] for seed in range(40)]
    shares = np.bincount(np.stack(pixels).ravel(), minlength=6)[1:] / np.stack(pixels).size
    assert np.all(shares > [0.15, 0.12, 0.03, 0.05, 0.25])
    assert np.all(shares < [0.32, 0.24, 0.20, 0.25, 0.60])


def test_classes_look_different_but_not_trivially(city):
    rgb, classes = city
    grey = rgb.mean(axis=0)
    means = {value: grey[classes == value].mean() for value in (BUILDING, ROAD, LAND)}
    assert means[BUILDING] > means[ROAD] + 15
    # No threshold on brightness tells buildings from land.
    low, high = np.percentile(grey[classes == BUILDING], [10, 90])
    assert np.mean((grey[classes == LAND] > low) & (grey[classes == LAND] < high)) > 0.5


def test_footprints_are_buildings(city):
    found = list(footprints(0, CITY))
    assert len(found) > 300
    assert all(one.polygon.is_valid and one.height_m > 2 for one in found)
    assert any(one.polygon.interiors for one in found)
    covered = inside([one.polygon for one in found], (1024, 1024))
    assert np.mean(city[1][covered] == BUILDING) > 0.95
    assert np.mean(covered[city[1] == BUILDING]) > 0.99


def test_footprints_are_cut_at_the_window():
    window = Window(100, 200, 150, 120)
    frame = shapely.box(200, 100, 320, 250).buffer(1e-6)
    some = list(footprints(0, window))
    assert some
    assert all(frame.covers(one.polygon) for one in some)


def test_centerlines_lie_on_roads(city):
    found = list(centerlines(0, CITY))
    assert {round(one.width_m) for one in found} & set(range(16, 31))
    places = np.concatenate([shapely.segmentize(one.line, 2.0).coords for one in found])
    rows, cols = (np.clip(places[:, k].astype(int), 0, 1023) for k in (1, 0))
    # The rest are medians, tree crowns and the ends under other arterials' medians.
    assert np.mean(city[1][rows, cols] == ROAD) > 0.75
    near = inside([one.line.buffer(one.width_m / 2 + 1) for one in found], (1024, 1024))
    assert np.mean(near[city[1] == ROAD]) > 0.9


def test_file_is_the_rendering(files):
    rgb, classes = render(3, Window(0, 0, 400, 400))
    with rasterio.open(files.scene) as scene, rasterio.open(files.reference) as reference:
        assert np.array_equal(scene.read(), rgb)
        assert np.array_equal(reference.read(1), classes)
        assert scene.crs.to_epsg() == reference.crs.to_epsg() == 32640
        assert scene.transform == reference.transform == demo_grid(400).transform
        assert scene.res == (1.0, 1.0)
        assert reference.nodata == 0
        assert reference.colormap(1)[BUILDING] == (0x3C, 0x10, 0x98, 255)


def test_polygons_are_the_raster(files):
    with rasterio.open(files.reference) as reference:
        classes, transform = reference.read(1), reference.transform
    burnt = np.zeros_like(classes)
    area = 0.0
    for entry in DEFAULT_LEGEND:
        frame = pyogrio.read_dataframe(files.vectors, layer=entry.layer)
        assert frame.crs.to_epsg() == 32640
        assert set(frame["class"]) <= {entry.name}
        assert frame.is_valid.all()
        assert frame.area.sum() == np.sum(classes == entry.value)
        area += frame.area.sum()
        if len(frame):
            rasterize([(one, entry.value) for one in frame.geometry], out=burnt, transform=transform)
    assert np.array_equal(burnt, classes)
    assert area == classes.size


def test_layers_and_fields(files):
    layers = dict(pyogrio.list_layers(files.vectors))
    assert {
        **dict.fromkeys([*LAYERS, "building_footprints"], "Polygon"),
        "road_centerlines": "LineString",
    }.items() <= layers.items()
    houses = pyogrio.read_dataframe(files.vectors, layer="building_footprints")
    assert {"height_m", "kind"} <= set(houses)
    assert houses.within(shapely.box(325_000, 2_784_600, 325_400, 2_785_000)).all()
    roads = pyogrio.read_dataframe(files.vectors, layer="road_centerlines")
    assert roads["width_m"].between(4, 31).all()


def test_existing_files_are_kept(files):
    before = files.scene.read_bytes()
    with pytest.raises(OutputError, match="overwrite"):
        write_demo(files.scene.parent, size=64, seed=4)
    assert files.scene.read_bytes() == before
    assert sorted(path.name for path in files.scene.parent.iterdir()) == sorted(
        ["reference.gpkg", "reference.tif", "reference.tif.aux.xml", "scene.tif"]
    )


def test_overwrite_and_jpeg(tmp_path):
    first = write_demo(tmp_path, size=96, seed=0)
    lossless = first.scene.stat().st_size
    again = write_demo(tmp_path, size=96, seed=0, overwrite=True, compress="jpeg")
    assert again.scene.stat().st_size < lossless
    with rasterio.open(again.scene) as scene:
        assert scene.compression.name == "jpeg"
        difference = scene.read().astype(int) - render(0, Window(0, 0, 96, 96))[0]
    assert np.abs(difference).mean() < 6


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(OutputError, match="taken"):
        write_demo(tmp_path / "taken", size=64)


def test_verb_prints_the_paths(tmp_path):
    from click.testing import CliRunner

    from geoseg.cli.demo import command

    result = CliRunner().invoke(command, ["--out", str(tmp_path / "new"), "--size", "64", "--seed", "7"])
    assert result.exit_code == 0, result.output
    assert [line.rsplit("/", 1)[-1].rsplit("\\", 1)[-1] for line in result.stdout.split()] == [
        "scene.tif",
        "reference.tif",
        "reference.gpkg",
    ]
