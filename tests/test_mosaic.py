"""Tiles as one scene: the same pixels, classes and polygons as of the raster that they were cut from."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import InputError
from geoseg.model.file import load_card
from geoseg.pipeline import parts as in_parts
from geoseg.pipeline.parts import Finished, join_parts, parts_of, rows_of, segment_part
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest, VectorRequest
from geoseg.pipeline.segment import segment
from geoseg.scene import many_files as many
from geoseg.scene.many_files import open_mosaic
from geoseg.scene.mosaic import look_at, mosaics
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from geoseg.scene.tiling import drift_px, tilings
from geoseg.vocabulary import Grid

PLACE = Affine(0.5, 0, 330_000, 0, -0.5, 2_780_000)
WISH = ReadRequest(fill=(9, 8, 7))


def a_grid(row, col, height=40, width=50, *, drift=(0.0, 0.0), place=PLACE, crs="EPSG:32640"):
    """Return the grid of a tile that lies at a pixel of the common grid, and a little beside it."""
    return Grid(crs, place @ Affine.translation(col + drift[1], row + drift[0]), height, width)


# ---- which tiles belong together


def test_tiles_that_continue_one_another_are_one_grid():
    grids = [a_grid(row, col) for row in (0, 40) for col in (0, 50, 100)]
    (found,) = tilings(grids)
    assert found.grid == Grid("EPSG:32640", PLACE, 80, 150)
    assert [(w.row, w.col) for w in found.windows] == [(r, c) for r in (0, 40) for c in (0, 50, 100)]


@given(
    st.lists(st.tuples(st.floats(-0.04, 0.04), st.floats(-0.04, 0.04)), min_size=6, max_size=6),
    st.sampled_from([PLACE, Affine(1.2e-6, 0, 85.5, 0, -1.1e-6, 27.6), Affine(0.4, 0.3, 5e5, 0.3, -0.4, 4e6)]),
)
def test_drift_of_hundredths_of_a_pixel_does_not_matter(drifts, place):
    corners = list(itertools.product((0, 40), (0, 50, 100)))
    grids = [a_grid(*corner, drift=drift, place=place) for corner, drift in zip(corners, drifts, strict=True)]
    (found,) = tilings(grids)
    first = found.windows[0]
    assert [(w.row - first.row, w.col - first.col) for w in found.windows] == corners
    assert found.grid.shape == (80, 150)
    assert drift_px(grids, found) <= 0.12


def test_tiles_out_of_step_of_another_size_or_crs_are_apart():
    one = a_grid(0, 0)
    half = a_grid(0, 50, drift=(0.5, 0))
    coarse = Grid("EPSG:32640", PLACE @ Affine.scale(2), 40, 50)
    other = replace(a_grid(0, 50), crs="EPSG:32639")
    assert [found.members for found in tilings([one, half, coarse, other])] == [(0,), (1,), (2,), (3,)]


def test_a_missing_tile_does_not_tear_a_grid_and_distance_does():
    near = [a_grid(0, 0), a_grid(0, 200)]  # three tiles are missing between them
    assert [found.members for found in tilings(near)] == [(0, 1)]
    far = [a_grid(0, 0), a_grid(0, 50_000)]
    assert [found.members for found in tilings(far)] == [(0,), (1,)]


def test_order_is_that_of_the_first_tiles():
    grids = [a_grid(0, 50_000), a_grid(0, 0), a_grid(0, 50_050), a_grid(0, 50)]
    assert [found.members for found in tilings(grids)] == [(0, 2), (1, 3)]


def test_ten_thousand_tiles_are_laid_out_at_once():
    grids = [a_grid(40 * row, 50 * col) for row in range(100) for col in range(100)]
    (found,) = tilings(grids)
    assert found.grid.shape == (4000, 5000)


# ---- the pixels of a mosaic


@pytest.fixture
def cut(tmp_path, write_scene):
    """Return a function that writes parts of an array as tiles."""

    def write(pixels, windows, *, folder="tiles", **profile):
        (tmp_path / folder).mkdir(exist_ok=True)
        paths = []
        for number, (row, col, height, width) in enumerate(windows):
            path = tmp_path / folder / f"{number:03d}.tif"
            transform = PLACE @ Affine.translation(col, row)
            tile = pixels[:, row : row + height, col : col + width]
            paths.append(write_scene(path, tile, **{"transform": transform, **profile}))
        return [str(path) for path in paths]

    return write


def one_mosaic(paths, wish=WISH):
    (found,) = mosaics([look_at(path, wish) for path in paths], wish, "the mosaic")
    return found


def noise(height, width, *, dtype="uint8", high=256, seed=0):
    return np.random.default_rng(seed).integers(0, high, (3, height, width)).astype(dtype)


def squares(height, width, step):
    return [
        (row, col, min(step, height - row), min(step, width - col))
        for row in range(0, height, step)
        for col in range(0, width, step)
    ]


@pytest.mark.parametrize("resolution", [None, 1.0, 0.3])
@pytest.mark.parametrize("profile", [{}, {"nodata": 7}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_rows_are_those_of_the_whole(tmp_path, cut, write_scene, resolution, profile):
    pixels = noise(90, 110)
    if "nodata" in profile:
        pixels[:, 20:50, 30:70] = 7
    whole = write_scene(tmp_path / "whole.tif", pixels, transform=PLACE, **profile)
    wish = replace(WISH, resolution_m=resolution)
    spans, cols = [(-20, 30), (10, 60), (40, 130)], (-16, 200)
    with open_scene(whole, wish) as scene:
        expected = list(scene.iter_rows(spans, cols))
    with open_mosaic(one_mosaic(cut(pixels, squares(90, 110, 32), **profile)), wish) as scene:
        found = list(scene.iter_rows(spans, cols))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(other.valid, one.valid)
        np.testing.assert_array_equal(other.pixels, one.pixels)


@settings(max_examples=25)
@given(st.data())
def test_any_tiles_give_the_pixels_of_the_first_that_knows(tmp_path_factory, data):
    """Overlapping, missing, in any order: each pixel is that of the first tile with a valid one there."""
    height, width = 40, 60
    base = tmp_path_factory.mktemp("any")
    windows = data.draw(
        st.lists(
            st.tuples(st.integers(0, 30), st.integers(0, 50), st.integers(4, 30), st.integers(4, 30)),
            min_size=1,
            max_size=6,
        )
    )
    windows = [(r, c, min(h, height - r), min(w, width - c)) for r, c, h, w in windows]
    expected = np.zeros((3, height, width), np.uint8)
    known = np.zeros((height, width), bool)
    paths = []
    for number, (row, col, high, wide) in enumerate(windows):
        pixels = noise(high, wide, high=40, seed=number)  # some are 0, which is nodata
        path = base / f"{number}.tif"
        profile = {"driver": "GTiff", "count": 3, "height": high, "width": wide, "dtype": "uint8", "nodata": 0}
        placing = {"crs": "EPSG:32640", "transform": PLACE @ Affine.translation(col, row)}
        with rasterio.open(path, "w", **profile, **placing) as file:
            file.write(pixels)
        here = slice(row, row + high), slice(col, col + wide)
        fresh = pixels.any(0) & ~known[here]
        expected[:, *here][:, fresh] = pixels[:, fresh]
        known[here] |= fresh
        paths.append(str(path))
    found = one_mosaic(paths)
    top, left = min(w[0] for w in windows), min(w[1] for w in windows)
    step = data.draw(st.integers(1, 40))
    spans = [(row, min(row + step, found.grid.height)) for row in range(0, found.grid.height, step)]
    with open_mosaic(found, WISH) as scene:
        strips = list(scene.iter_rows(spans, (0, found.grid.width)))
    valid = np.concatenate([strip.valid for strip in strips])
    pixels = np.concatenate([strip.pixels for strip in strips], axis=1)
    here = slice(top, top + valid.shape[0]), slice(left, left + valid.shape[1])
    np.testing.assert_array_equal(valid, known[here])
    np.testing.assert_array_equal(pixels[:, valid], expected[:, *here][:, valid])
    assert (pixels[:, ~valid] == np.array([[9], [8], [7]])).all()


def test_few_files_are_open_at_once(cut, monkeypatch):
    monkeypatch.setattr(many, "_OPEN", 3)
    pixels = noise(64, 160)
    found = one_mosaic(cut(pixels, squares(64, 160, 16)))
    most = 0
    opened = many.open_raster

    def counted(*args, **options):
        nonlocal most
        most = max(most, len(source._open))
        return opened(*args, **options)

    monkeypatch.setattr(many, "open_raster", counted)
    with open_mosaic(found, WISH) as scene:
        source = scene._source
        (strip,) = scene.iter_rows([(0, 64)], (0, 160))
        assert len(source._open) <= 3
    np.testing.assert_array_equal(strip.pixels, pixels)
    assert most <= 3
    assert source._open == {}


def test_one_stretch_holds_for_all_tiles(cut):
    dark, bright = noise(32, 32, dtype="uint16", high=500), noise(32, 32, dtype="uint16", high=500, seed=1) + 3000
    pixels = np.concatenate([dark, bright], axis=2).astype("uint16")
    found = one_mosaic(cut(pixels, squares(32, 64, 32)))
    with open_mosaic(found, WISH) as scene:
        (strip,) = scene.iter_rows([(0, 32)], (0, 64))
    assert strip.pixels[:, :, :32].max() < strip.pixels[:, :, 32:].min()
    assert found.stretch.text.startswith("2%,98%")


def test_a_mosaic_travels_and_knows_no_more_tiles_than_it_needs(cut):
    found = one_mosaic(cut(noise(64, 64), squares(64, 64, 16)))
    part = found.seen_from(20, 30)
    assert len(part.tiles) == 4
    assert part.grid == found.grid
    assert len(found.seen_from(9000, 9001).tiles) == 1
    again = pickle.loads(pickle.dumps(part))
    assert again.windows == part.windows
    assert len(pickle.dumps(part)) < 16_000


def test_a_lost_or_damaged_tile_is_nodata_and_named_or_ends_the_run(cut):
    paths = cut(noise(64, 64), squares(64, 64, 32))
    found = one_mosaic(paths)
    Path(paths[1]).unlink()
    whole = Path(paths[2]).read_bytes()
    Path(paths[2]).write_bytes(whole[: len(whole) // 2])
    lenient = replace(WISH, on_read_error="nodata")
    with open_mosaic(found, lenient) as scene, pytest.raises(InputError, match="changed while it was read"):
        list(scene.iter_rows([(0, 64)], (0, 64)))
    assert set(scene.unreadable) == {paths[1], paths[2]}
    with open_mosaic(found, WISH) as scene, pytest.raises(InputError, match="does not exist"):
        list(scene.iter_rows([(0, 64)], (0, 64)))


def test_a_mosaic_over_max_pixels_is_refused(cut):
    found = one_mosaic(cut(noise(64, 64), squares(64, 64, 32)))
    with (
        pytest.raises(InputError, match="the mosaic: 64 x 64 pixels is over --max-pixels 4000"),
        open_mosaic(found, replace(WISH, max_pixels=4000)),
    ):
        pass


# ---- maps of parts and tiles


def results(folder, name, classes="all"):
    """Return a request's outputs: layers, class raster, final raster and confidences."""
    return OutputRequest(
        folder / f"{name}.gpkg",
        folder / f"{name}.classes.tif",
        folder / f"{name}.final.tif",
        folder / f"{name}.confidence.tif",
        overwrite=True,
    )


def assert_same_results(folder, one, other):
    import pyogrio

    for kind in ("classes", "final", "confidence"):
        with rasterio.open(folder / f"{one}.{kind}.tif") as a, rasterio.open(folder / f"{other}.{kind}.tif") as b:
            assert a.transform == b.transform
            np.testing.assert_array_equal(a.read(), b.read(), err_msg=kind)
    layers = [name for name, _ in pyogrio.list_layers(folder / f"{one}.gpkg")]
    assert layers == [name for name, _ in pyogrio.list_layers(folder / f"{other}.gpkg")]
    assert "roads" in layers
    for layer in (name for name in layers if name != "layer_styles"):
        a, b = (pyogrio.read_dataframe(folder / f"{name}.gpkg", layer=layer) for name in (one, other))
        assert a.equals(b), layer


@pytest.fixture
def blobs():
    """Return noise smooth enough for regions of many sizes, shape (3, 300, 260)."""
    coarse = np.random.default_rng(5).integers(0, 256, (3, 40, 35)).astype(np.float32)
    return np.kron(coarse, np.ones((8, 8)))[:, :300, :260].astype(np.uint8)


@pytest.mark.parametrize("resolution", ["native", 1.0, 0.4])
@pytest.mark.parametrize("blend", [None, "taper"])
def test_tile_by_tile_and_part_by_part_equal_the_whole(
    tmp_path, cut, write_scene, blobs, tiny_model_path, monkeypatch, resolution, blend
):
    from geoseg.inference.windows import WindowRequest

    whole = write_scene(tmp_path / "whole.tif", blobs, transform=PLACE)
    tiles = one_mosaic(cut(blobs, squares(300, 260, 100)))
    windows = WindowRequest(blend=blend, window=None if blend is None else 192)
    if blend is None:  # several rows of windows
        windows = WindowRequest(window=2 * 96 + 64)

    def wanted(scene, name):
        return SegmentRequest(
            scene,
            results(tmp_path, name),
            str(tiny_model_path),
            SceneRequest(resolution=resolution),
            windows,
            vectors=VectorRequest("all", simplify_px=1.0),
        )

    segment(wanted(whole, "whole"))
    segment(wanted(tiles, "mosaic"))
    assert_same_results(tmp_path, "whole", "mosaic")

    monkeypatch.setattr(in_parts, "_PIXELS", 1)
    card = load_card(str(tiny_model_path))
    cuts = parts_of(wanted(tiles, "joined"), card)
    assert len(cuts) > 1
    files = []
    for number, part in enumerate(cuts):
        seen = wanted(tiles.seen_from(*part.sees), "joined")
        files.append(tmp_path / f"{number}.rows")
        report = segment_part(seen, part, files[-1])
    join_parts([Finished(wanted(tiles, "joined"), tuple(files))], report)
    assert_same_results(tmp_path, "whole", "joined")


def test_parts_of_a_single_file_within_an_area(tmp_path, write_scene, blobs, tiny_model_path, monkeypatch):
    from geoseg.inference.windows import WindowRequest

    whole = write_scene(tmp_path / "whole.tif", blobs, transform=PLACE)
    bounds = (330_020.0, 2_779_880.0, 330_100.0, 2_779_990.0)

    def wanted(name):
        reading = SceneRequest(resolution=0.7, bounds=bounds)
        return SegmentRequest(
            whole, results(tmp_path, name), str(tiny_model_path), reading, WindowRequest(window=2 * 96 + 32)
        )

    segment(wanted("whole"))
    monkeypatch.setattr(in_parts, "_PIXELS", 1)
    files = []
    for number, part in enumerate(parts_of(wanted("joined"), load_card(str(tiny_model_path)))):
        files.append(tmp_path / f"{number}.rows")
        report = segment_part(wanted("joined"), part, files[-1])
    assert len(files) > 1
    join_parts([Finished(wanted("joined"), tuple(files))], report)
    assert_same_results(tmp_path, "whole", "joined")


def test_a_damaged_part_is_an_error(tmp_path, write_scene, tiny_model_path):
    scene = write_scene(tmp_path / "a.tif", noise(40, 40))
    wanted = SegmentRequest(scene, OutputRequest(raster=tmp_path / "a.classes.tif"), str(tiny_model_path))
    (part,) = parts_of(wanted, load_card(str(tiny_model_path)))
    path = tmp_path / "a.rows"
    segment_part(wanted, part, path)
    assert sum(len(rows.classes) for rows in rows_of([path], "trace", 0)) == 40
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="missing or damaged"):
        list(rows_of([path], "trace", 0))
    path.unlink()
    with pytest.raises(InputError, match="missing or damaged"):
        list(rows_of([path], "trace", 0))
