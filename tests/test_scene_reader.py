"""Strips of a scene against an oracle: the whole scene read by rasterio and padded by numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from geoseg.resample import resample_valid, weights
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from geoseg.scene.stretch import StretchRequest
from tests.read_scenes import FILL, noise, read, whole, write


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
