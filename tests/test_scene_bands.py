"""Which bands of a scene the network sees."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from geoseg.errors import InputError, UsageError
from geoseg.scene.bands import choose_bands, parse_bands
from geoseg.scene.open import open_raster
from geoseg.scene.stretch import StretchRequest, parse_stretch
from geoseg.scene.validity import parse_nodata

RGB = ("red", "green", "blue")
RGBN = (*RGB, "nir")


def choose(path, colors, wanted=None, model=RGB, *, descriptions=(), last=None, dtype="uint8"):
    """Choose bands of a noise scene with these colours; ``last`` replaces the pixels of its last band."""
    pixels = np.random.default_rng(0).integers(1, 250, (len(colors), 40, 40)).astype(dtype)
    if last is not None:
        pixels[-1] = last
    shape = {"count": len(colors), "height": 40, "width": 40, "dtype": dtype}
    placed = {"crs": "EPSG:32633", "transform": from_origin(0, 9, 1, 1)}
    with rasterio.open(path, "w", driver="GTiff", photometric="minisblack", **shape, **placed) as file:
        file.colorinterp = [ColorInterp[color] for color in colors]
        file.write(pixels)
        for band, text in enumerate(descriptions, start=1):
            file.set_band_description(band, text)
    with open_raster(path) as raster:
        return choose_bands(raster, wanted, model)


def test_colours_are_found_wherever_they_stand(tmp_path):
    choice = choose(tmp_path / "a.tif", ["blue", "green", "red", "undefined"])
    assert choice.indexes == (3, 2, 1)
    assert choice.alpha is None
    assert not choice.notes


def test_descriptions_name_bands_too(tmp_path):
    names = ("NIR", "Red", "Green", "Blue")
    colors = ["gray", "undefined", "undefined", "undefined"]
    assert choose(tmp_path / "a.tif", colors, descriptions=names).indexes == (2, 3, 4)
    assert choose(tmp_path / "b.tif", colors, model=RGBN, descriptions=names).indexes == (2, 3, 4, 1)


def test_nameless_bands_are_taken_in_order_and_told(tmp_path):
    choice = choose(tmp_path / "a.tif", ["gray", *["undefined"] * 7])
    assert choice.indexes == (1, 2, 3)
    assert "1 as red, 2 as green, 3 as blue" in choice.notes[0]


def test_the_user_chooses_with_repeats(tmp_path):
    choice = choose(tmp_path / "a.tif", ["gray"], wanted=(1, 1, 1))
    assert choice.indexes == (1, 1, 1)
    assert not choice.notes


@pytest.mark.parametrize("opaque", [255, np.repeat([0, 255], [800, 800]).reshape(40, 40), 0])
def test_alpha_of_two_values_is_transparency(tmp_path, opaque):
    choice = choose(tmp_path / "a.tif", [*RGB, "alpha"], last=opaque)
    assert (choice.indexes, choice.alpha) == ((1, 2, 3), 4)


def test_feathered_alpha_is_still_transparency(tmp_path):
    edge = np.full((40, 40), 255)
    edge[:2] = np.arange(80).reshape(2, 40)
    assert choose(tmp_path / "a.tif", [*RGB, "alpha"], last=edge).alpha == 4


def test_alpha_that_is_near_infrared_is_imagery(tmp_path):
    choice = choose(tmp_path / "a.tif", [*RGB, "alpha"])
    assert choice.alpha is None
    assert "tagged alpha but holds imagery" in choice.notes[0]
    assert choose(tmp_path / "b.tif", [*RGB, "alpha"], model=RGBN).indexes == (1, 2, 3, 4)


def test_transparency_does_not_count_as_a_band(tmp_path):
    with pytest.raises(InputError, match="the file has 1; use --bands 1,1,1"):
        choose(tmp_path / "a.tif", ["gray", "alpha"], last=255)
    choice = choose(tmp_path / "b.tif", ["gray", "alpha"], wanted=(1, 1, 1), last=255)
    assert choice.alpha == 2


def test_a_band_the_user_names_is_imagery(tmp_path):
    choice = choose(tmp_path / "a.tif", [*RGB, "alpha"], wanted=(4, 1, 2), last=255)
    assert (choice.indexes, choice.alpha) == ((4, 1, 2), None)


def test_bands_from_text():
    assert parse_bands("3,2,1") == (3, 2, 1)
    for text in ("", "0,1,2", "a", "1;2"):
        with pytest.raises(UsageError, match="--bands"):
            parse_bands(text)


def test_nodata_from_text():
    assert parse_nodata(" None ") == "none"
    assert parse_nodata("-9999") == -9999
    with pytest.raises(UsageError, match="--nodata"):
        parse_nodata("black")


def test_stretch_from_text():
    assert parse_stretch("auto") == StretchRequest()
    assert parse_stretch("0, 10000") == StretchRequest("values", 0, 10000)
    assert parse_stretch("1%,99.5%") == StretchRequest("percentiles", 1, 99.5)
    for text in ("", "1", "5,1", "1%,101%", "1%,9", "nan,1", "a,b", "1,2,3"):
        with pytest.raises(UsageError, match="--stretch"):
            parse_stretch(text)
