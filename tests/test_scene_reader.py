"""Strips of a scene against an oracle: the whole scene read by rasterio and padded by numpy."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from geoseg.errors import InputError
from geoseg.resample import resample_valid, weights
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from geoseg.scene.stretch import StretchRequest, parse_stretch

DATA = Path(__file__).parents[1].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="real files are not here")
UTM = {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 0.5, 0.5)}
FILL = (7, 8, 9)


def write(path, pixels, **profile):
    mask, colors, table = (profile.pop(key, None) for key in ("mask", "colors", "table"))
    height, width = pixels.shape[1:]
    size = {"height": height, "width": width, "count": len(pixels), "dtype": pixels.dtype}
    with rasterio.open(path, "w", **{"driver": "GTiff", **size, **UTM, **profile}) as file:
        if colors:
            file.colorinterp = [ColorInterp[color] for color in colors]
        file.write(pixels)
        if table:
            file.write_colormap(1, table)
        if mask is not None:
            file.write_mask(mask)
    return path


def noise(shape, dtype="uint8", low=0, high=255, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(dtype)


def read(path, spans, cols, **request):
    with open_scene(path, ReadRequest(fill=FILL, **request)) as scene:
        return list(scene.iter_rows(spans, cols)), scene


def whole(path, **request):
    with open_scene(path, ReadRequest(**{"fill": FILL, **request})) as scene:
        (rows,) = scene.iter_rows([(0, scene.grid.height)], (0, scene.grid.width))
    return rows.pixels, rows.valid


def pad(array, rows, cols, mode):
    """Cut any rectangle out of an array that goes on outside."""
    height, width = array.shape[-2:]
    frame = ((max(0, -rows[0]), max(0, rows[1] - height)), (max(0, -cols[0]), max(0, cols[1] - width)))
    kinds = {"mode": "reflect"} if mode == "reflect" else {"mode": "constant", "constant_values": False}
    padded = np.pad(array, ((0, 0),) * (array.ndim - 2) + frame, **kinds)
    (above, _), (before, _) = frame
    return padded[..., rows[0] + above : rows[1] + above, cols[0] + before : cols[1] + before]


def assert_strips(strips, spans, cols, pixels, valid):
    assert [strip.row for strip in strips] == [start for start, _ in spans]
    for strip, span in zip(strips, spans, strict=True):
        np.testing.assert_array_equal(strip.pixels, pad(pixels, span, cols, "reflect"))
        np.testing.assert_array_equal(strip.valid, pad(valid, span, cols, "constant"))


@st.composite
def spans_and_cols(draw):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    starts = sorted(draw(st.lists(st.integers(-30, height + 20), min_size=1, max_size=5)))
    lengths = draw(st.lists(st.integers(1, 50), min_size=len(starts), max_size=len(starts)))
    stops = np.maximum.accumulate([start + length for start, length in zip(starts, lengths, strict=True)])
    left = draw(st.integers(-30, width + 20))
    cols = (left, left + draw(st.integers(1, 60)))
    return (height, width), list(zip(starts, map(int, stops), strict=True)), cols


LAYOUTS = [{}, {"blockysize": 7}, {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band"}]


@settings(max_examples=60, deadline=None)
@given(
    spans_and_cols(),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["plain", "nodata", "alpha", "mask", "nan", "uint16"]),
)
def test_any_strips_equal_the_padded_scene(tmp_path_factory, drawn, layout, kind):
    shape, spans, cols = drawn
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    pixels, valid, request = noise((3, *shape)), np.ones(shape, bool), {}
    if kind == "nodata":
        pixels = noise((3, *shape), high=1)
        valid = pixels.any(axis=0)
        layout = {**layout, "nodata": 0}
    elif kind in ("alpha", "mask"):
        valid = noise(shape, high=1).astype(bool)
    elif kind == "nan":
        pixels = pixels.astype("float32")
        pixels[noise(pixels.shape, high=20) == 0] = np.nan
        pixels[noise(pixels.shape, high=20, seed=1) == 0] = np.inf
        valid = np.isfinite(pixels).all(axis=0)
        request["stretch"] = StretchRequest("none")
    elif kind == "uint16":
        pixels = pixels.astype("uint16") * 100
        request["stretch"] = StretchRequest("values", 0, 25500)
    if kind == "alpha":
        opaque = np.concatenate([pixels, (valid * 255).astype("uint8")[None]])
        write(path, opaque, colors=["red", "green", "blue", "alpha"], **layout)
    else:
        write(path, pixels, mask=valid if kind == "mask" else None, **layout)
    expected = np.nan_to_num(pixels).clip(0, 65535)
    expected = (expected / (100 if kind == "uint16" else 1)).astype("uint8")
    for band, value in zip(expected, FILL, strict=True):
        band[~valid] = value
    strips, _ = read(path, spans, cols, **request)
    assert_strips(strips, spans, cols, expected, valid)


@settings(max_examples=40, deadline=None)
@given(spans_and_cols(), st.sampled_from([0.3, 0.77, 1.4, 3.1]), st.booleans())
def test_resampled_strips_do_not_depend_on_how_they_are_cut(tmp_path_factory, drawn, resolution, holes):
    shape, spans, cols = drawn
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    pixels = noise((3, *shape))
    if holes:
        pixels[:, noise(shape, high=5) == 0] = 0
    write(path, pixels, nodata=0 if holes else None, blockysize=4)
    full, valid = whole(path, resolution_m=resolution)
    strips, _ = read(path, spans, cols, resolution_m=resolution)
    assert_strips(strips, spans, cols, full, valid)


@pytest.mark.parametrize(("n_in", "n_out"), [(40, 13), (40, 40), (13, 40), (1, 5), (5, 1), (64, 32), (3, 2)])
def test_weights_sum_to_one_and_keep_positions(n_in, n_out):
    source, weight = weights(n_in, n_out)
    assert source.shape == weight.shape
    assert source.min() >= 0
    assert source.max() < n_in
    np.testing.assert_allclose(weight.sum(axis=1), 1, rtol=1e-6)
    ramp = (weight * (source + 0.5)).sum(axis=1) * n_out / n_in  # a ramp stays a ramp away from the edges
    inner = slice(2, -2) if n_out > 8 else slice(0, 0)
    np.testing.assert_allclose(ramp[inner], (np.arange(n_out) + 0.5)[inner], atol=0.01)
    constant = np.full((2, n_in, n_in), 9, np.uint8)
    taps = weights(n_in, n_out)
    made, valid = resample_valid(constant, np.ones((n_in, n_in), bool), taps, taps)
    np.testing.assert_allclose(made, 9, rtol=1e-5)
    assert valid.all()


def test_invalid_pixels_are_not_smeared():
    pixels = np.full((1, 8, 8), 100, np.uint8)
    valid = np.ones((8, 8), bool)
    pixels[:, :, 4:] = 255
    valid[:, 4:] = False
    for size in (3, 16):
        made, known = resample_valid(pixels, valid, weights(8, size), weights(8, size))
        np.testing.assert_allclose(made[:, known], 100, rtol=1e-5)
        assert known[:, : size // 2].all()
        assert not known[:, -(size // 3) :].any()


def test_enlarging_by_two_is_bilinear_between_centres(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[[0, 100], [0, 100]]] * 3, "uint8"), crs="EPSG:3035",
                 transform=from_origin(4321000, 3210000, 2, 2))  # fmt: skip
    pixels, _ = whole(path, resolution_m=1.0)
    assert pixels.shape == (3, 4, 4)
    assert pixels[0, 0].tolist() == [0, 25, 75, 100]


def test_every_source_row_is_decoded_once(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", noise((3, 100, 30)), blockysize=16)
    for resolution in (None, 1.2):
        with open_scene(path, ReadRequest(resolution_m=resolution)) as scene:
            height, seen = scene.grid.height, []
            decode = "geoseg.scene.decode.NativeRows._decode"
            monkeypatch.setattr(decode, lambda _self, window, pixels, valid, seen=seen: seen.append(window))
            spans = [(row - 9, min(row + 20, height) + 9) for row in range(0, height, 20)]
            list(scene.iter_rows(spans, (-9, 40)))
            monkeypatch.undo()
        rows = sorted((window.row_off, window.row_off + window.height) for window in seen)
        assert rows[0][0] == 0
        assert rows[-1][1] == 100
        assert all(before[1] == after[0] for before, after in pairwise(rows))


def test_only_the_rows_and_columns_asked_for_are_decoded(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", noise((3, 100, 90)), tiled=True, blockxsize=16, blockysize=16)
    with open_scene(path) as scene:
        seen = []
        decode = "geoseg.scene.decode.NativeRows._decode"
        monkeypatch.setattr(decode, lambda _self, window, pixels, valid: seen.append(window))
        list(scene.iter_rows([(33, 40), (70, 75)], (20, 30)))
    assert {(w.row_off, w.height) for w in seen} == {(33, 15), (70, 10)}
    assert {(w.col_off, w.width) for w in seen} == {(20, 10)}


def test_wide_scenes_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.scene.decode._PIECE_BYTES", 700)
    monkeypatch.setattr("geoseg.scene.strips._PIECE_BYTES", 700)
    pixels = noise((3, 50, 90))
    path = write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=16, blockysize=16)
    spans = [(-5, 20), (10, 55)]
    strips, _ = read(path, spans, (-3, 95))
    assert_strips(strips, spans, (-3, 95), pixels, np.ones((50, 90), bool))


def test_partial_strips_release_memory_of_their_neighbours(tmp_path):
    path = write(tmp_path / "a.tif", noise((3, 60, 20)))
    with open_scene(path) as scene:
        strips = scene.iter_rows([(0, 30), (30, 60)], (0, 20))
        first = next(strips).pixels
        first[...] = 0  # a strip belongs to the caller
        assert next(strips).pixels.any()


def test_nodata_of_one_band_alone_is_a_measurement_in_integers_but_not_in_floats(tmp_path):
    pixels = np.ones((3, 2, 2), "uint8") * 50
    pixels[0, 0, 0] = 0
    pixels[:, 1, 1] = 0
    valid = whole(write(tmp_path / "a.tif", pixels, nodata=0))[1]
    assert valid.tolist() == [[True, True], [True, False]]
    path = write(tmp_path / "b.tif", pixels.astype("float32"), nodata=0)
    assert whole(path)[1].tolist() == [[False, True], [True, False]]
    assert whole(path, nodata="none")[1].all()
    assert whole(path, nodata=50.0)[1].sum() == 1


def test_nodata_just_above_the_largest_float(tmp_path):
    pixels = np.full((3, 2, 2), 1, "float32")
    pixels[:, 0, 0] = np.finfo("float32").max
    valid = whole(write(tmp_path / "a.tif", pixels), nodata=3.4028235e38)[1]
    assert valid.tolist() == [[False, True], [True, True]]


def test_nodata_outside_the_type_never_matches(tmp_path):
    path = write(tmp_path / "a.tif", noise((3, 4, 4)))
    assert whole(path, nodata=-9999.0)[1].all()
    assert whole(path, nodata=0.5)[1].all()


def test_mask_file_beside_the_scene(tmp_path):
    mask = noise((20, 20), high=1).astype(bool)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write(tmp_path / "a.tif", noise((3, 20, 20)), mask=mask)
    assert (tmp_path / "a.tif.msk").exists()
    np.testing.assert_array_equal(whole(path)[1], mask)


def test_palette_is_expanded_and_its_transparent_colour_is_missing(tmp_path):
    indexes = noise((1, 9, 9), high=3)
    table = {0: (0, 0, 0, 0), 1: (200, 10, 20, 255), 2: (1, 2, 3, 255), 3: (90, 80, 70, 255)}
    path = write(tmp_path / "a.png", indexes, driver="PNG", table=table)
    pixels, valid = whole(path)
    np.testing.assert_array_equal(valid, indexes[0] != 0)
    assert pixels[:, indexes[0] == 1].T.tolist() == [[200, 10, 20]] * int((indexes == 1).sum())
    with open_scene(path) as scene:
        assert scene.sample().shape == (3, int(valid.sum()))


@pytest.mark.parametrize("placing", [
    Affine(0.4, 0.3, 500000, 0.3, -0.4, 5000000),
    Affine(0.5, 0, 500000, 0, 0.5, 5000000),
])  # fmt: skip
def test_rotated_and_south_up_scenes_keep_their_pixels(tmp_path, placing):
    pixels = noise((3, 12, 10))
    path = write(tmp_path / "a.tif", pixels, transform=placing)
    strips, scene = read(path, [(0, 12)], (0, 10))
    np.testing.assert_array_equal(strips[0].pixels, pixels)
    assert scene.grid.transform == placing
    assert scene.ground_pixel_m == pytest.approx((0.5, 0.5), rel=1e-3)


def test_sixteen_bits_are_stretched_and_the_stretch_is_told(tmp_path):
    pixels = noise((3, 64, 64), "uint16", 200, 3000)
    pixels[:, :10] = 0
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    strips, scene = read(path, [(0, 64)], (0, 64))
    low, high = np.percentile(pixels[0, 10:], (2, 98))
    assert scene.stretch.low[0] == low
    expected = np.rint(np.clip((pixels[0, 10:] - low) * 255 / (high - low), 0, 255))
    np.testing.assert_array_equal(strips[0].pixels[0, 10:], expected)
    assert "2%,98% = " in scene.stretch.text
    assert any("--stretch" in note for note in scene.notes)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
@pytest.mark.parametrize("wish", ["-20,90", "5%,95%", "none", "auto"])
def test_stretch_of_every_type_agrees_with_arithmetic(tmp_path, dtype, wish):
    pixels = noise((3, 8, 8), dtype, 0 if dtype.startswith("u") else -60, 120)
    path = write(tmp_path / "a.tif", pixels)
    strips, scene = read(path, [(0, 8)], (0, 8), stretch=parse_stretch(wish))
    low, high = (np.array(ends)[:, None, None] for ends in (scene.stretch.low, scene.stretch.high))
    expected = np.rint(np.clip((pixels - low) * (255 / (high - low)), 0, 255))
    np.testing.assert_array_equal(strips[0].pixels, expected)


def test_other_value_ranges_give_floats(tmp_path):
    path = write(tmp_path / "a.tif", noise((3, 8, 8)))
    pixels, _ = whole(path, value_range=(0, 1))
    assert pixels.dtype == np.float32
    with rasterio.open(path) as file:
        np.testing.assert_allclose(pixels, file.read() / 255, atol=1e-6)


def test_all_nodata_is_read_and_nothing_is_valid(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((3, 9, 9), "uint16"), nodata=0)
    pixels, valid = whole(path)
    assert not valid.any()
    assert pixels[:, 0, 0].tolist() == list(FILL)


def damaged(path):
    """Spoil the compressed bytes of the block in the second row and first column of blocks."""
    write(path, noise((3, 64, 64)), tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_0_1", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = b"\xff" * 40
    path.write_bytes(content)
    return path


def test_unreadable_rows_are_named(tmp_path, capfd):
    path = damaged(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: rows 16 to 31 cannot be read .*--on-read-error nodata"):
        whole(path)
    assert not capfd.readouterr().err


def test_unreadable_blocks_become_nodata_on_request(tmp_path):
    path = damaged(tmp_path / "a.tif")
    strips, scene = read(path, [(0, 40), (30, 64)], (0, 64), on_read_error="nodata")
    expected = np.ones((64, 64), bool)
    expected[16:32, :16] = False
    np.testing.assert_array_equal(strips[0].valid, expected[:40])
    assert strips[0].pixels[:, 20, 5].tolist() == list(FILL)
    assert [note for note in scene.notes if "1 unreadable block" in note]


def test_a_scene_that_changes_while_it_is_read(tmp_path):
    path = write(tmp_path / "a.tif", noise((3, 30, 30)))
    with open_scene(path) as scene:
        strips = scene.iter_rows([(0, 10), (10, 30)], (0, 30))
        next(strips)
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(InputError, match="changed while it was read"):
            list(strips)


def test_too_many_pixels_after_enlarging(tmp_path):
    path = write(tmp_path / "a.tif", noise((3, 30, 30)))
    with pytest.raises(InputError, match="over --max-pixels"), open_scene(
        path, ReadRequest(resolution_m=0.001, max_pixels=1e6)
    ):  # fmt: skip
        pass


@needs_data
def test_banepa_tile_is_a_jpeg_placed_by_its_sidecar():
    path = next((DATA / "banepa" / "tiles").glob("*.tif"))
    strips, scene = read(path, [(-8, 64)], (-8, 520))
    assert rasterio.crs.CRS.from_wkt(scene.grid.crs) == rasterio.crs.CRS.from_epsg(4326)
    assert scene.ground_pixel_m == pytest.approx((0.132, 0.132), rel=0.01)
    assert strips[0].pixels.shape == (3, 72, 528)


@needs_data
def test_near_infrared_tagged_alpha_is_imagery():
    path = DATA / "naip" / "chico_2018_6.tif"
    assert whole(path)[1].all()
    pixels, _ = whole(path, model_bands=("red", "green", "blue", "nir"), fill=(0, 0, 0, 0))
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(pixels, file.read())


REAL = [
    *("RGB.byte.tif", "RGB2.byte.tif", "RGBA.byte.tif", "RGBA.uint16.tif", "alpha.tif", "cogeo.tif"),
    *("red.tif", "rgb1.tif", "world.rgb.tif", "all-nodata.tif"),
]


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_files_agree_with_rasterio(name):
    path = DATA / "awkward" / "rasterio" / name
    pixels, valid = whole(path, stretch=StretchRequest("none"))
    with warnings.catch_warnings(), rasterio.open(path) as file:
        warnings.simplefilter("ignore")
        order = [[color.name for color in file.colorinterp].index(name) + 1 for name in ("red", "green", "blue")]
        np.testing.assert_array_equal(valid, file.dataset_mask() > 0)
        np.testing.assert_array_equal(pixels[:, valid], file.read(order).clip(0, 255)[:, valid])
