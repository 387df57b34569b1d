"""What pixels are once they are read: nodata, masks, palettes, stretches, damage, and real files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.errors import InputError
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from geoseg.scene.stretch import StretchRequest, parse_stretch
from tests.read_scenes import FILL, noise, read, whole, write

DATA = Path(__file__).parents[1].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="real files are not here")


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
