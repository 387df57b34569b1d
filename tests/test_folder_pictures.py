"""Pictures of a folder are read as scenes are: what is nodata or transparent is nothing to learn from or to score."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import LabelledImage
from geoseg.labels.material import Material
from geoseg.learn.chips import ChipPlan
from geoseg.learn.lesson import Recipe
from geoseg.learn.train import TrainRequest, train_model
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from geoseg.vocabulary import DEFAULT_LEGEND
from tests.labelled_ground import ORIGIN, UTM, classes, colored, noise, write

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PLACE = {"crs": UTM, "transform": Affine(1, 0, ORIGIN[0], 0, -1, ORIGIN[1])}
SHAPE = (64, 96)
ENTRY = ("value", "name", "layer", "color", "style")


def gone():
    """Return a corner and a few lines that were not measured."""
    missing = np.zeros(SHAPE, bool)
    missing[:40, :30] = missing[50:53] = True
    return missing


def write_image(path, kind, missing):
    """Write a picture that says in some way what of it is missing; returns its pixels."""
    pixels = np.maximum(noise(SHAPE), 1)
    if kind == "nodata":
        write(path, np.where(missing, 0, pixels).astype(np.uint8), nodata=0, **PLACE)
    elif kind == "alpha":
        alpha = np.where(missing, 0, 255).astype(np.uint8)
        write(path, np.concatenate([pixels, alpha[None]]), photometric="RGB", alpha="yes", **PLACE)
    elif kind == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            write(path, pixels, **PLACE)
            with rasterio.open(path, "r+") as file:
                file.write_mask(~missing)
    elif kind == "palette":
        index = np.where(missing, 0, pixels[0] % 15 + 1).astype(np.uint8)
        colors = {i: (10 * i, 255 - 9 * i, 40, 255 * (i > 0)) for i in range(16)}
        write(path, index[None], "PNG", palette=colors, **PLACE)
    elif kind == "grey and alpha":
        alpha = np.where(missing, 0, 255).astype(np.uint8)
        write(path, np.stack([pixels[0], alpha]), photometric="minisblack", alpha="yes", **PLACE)
    elif kind == "blue first":
        write(path, np.where(missing, 0, pixels).astype(np.uint8), nodata=0, photometric="minisblack", **PLACE)
        with rasterio.open(path, "r+") as file:
            names = rasterio.enums.ColorInterp
            file.colorinterp = [names.blue, names.green, names.red]
    return pixels


@pytest.mark.parametrize("kind", ["nodata", "alpha", "mask", "palette", "grey and alpha", "blue first"])
def test_a_picture_is_what_the_same_file_is_as_a_scene(tmp_path, kind):
    image = tmp_path / "images" / ("a.png" if kind == "palette" else "a.tif")
    write_image(image, kind, missing := gone())
    truth = classes(SHAPE)
    write(tmp_path / "masks/a.png", colored(truth), "PNG")
    (read,) = read_folder(tmp_path)
    bands = (1, 1, 1) if kind == "grey and alpha" else None
    with open_scene(image, ReadRequest(bands=bands)) as scene:
        (rows,) = scene.iter_rows([(0, SHAPE[0])], (0, SHAPE[1]))
        assert read.grid == scene.grid
    np.testing.assert_array_equal(read.pixels, rows.pixels)
    np.testing.assert_array_equal(~read.missing, rows.valid)
    np.testing.assert_array_equal(read.missing, missing)
    np.testing.assert_array_equal(read.labels, np.where(missing, 0, truth))


def test_a_palette_beside_a_band_of_something_else_is_still_a_palette(tmp_path):
    index = (noise(SHAPE)[0] % 16).astype(np.uint8)
    colors = {i: (10 * i, 255 - 9 * i, 40, 255) for i in range(16)}
    write(tmp_path / "images/a.tif", np.stack([index, index]), palette=colors, photometric="palette", **PLACE)
    write(tmp_path / "masks/a.png", colored(classes(SHAPE)), "PNG")
    (image,) = read_folder(tmp_path)
    np.testing.assert_array_equal(image.pixels[:2], [10 * index, 255 - 9 * index])


def test_black_in_one_band_is_a_colour_and_whole_pictures_miss_nothing(tmp_path):
    pixels = noise(SHAPE)
    pixels[0] = 0
    write(tmp_path / "images/a.tif", np.maximum(pixels, np.array([0, 1, 1], np.uint8)[:, None, None]), nodata=0)
    write(tmp_path / "masks/a.png", colored(classes(SHAPE)), "PNG")
    (image,) = read_folder(tmp_path)
    assert image.missing is None
    assert image.grid is None
    assert (image.labels > 0).all()


def evaluated(*given):
    told = CliRunner().invoke(
        geoseg, ["evaluate", "--json", "--threads", "1", *map(str, given)], catch_exceptions=False
    )
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)


def test_a_picture_of_a_folder_has_the_score_that_it_has_as_a_scene(tmp_path, tiny_model_path):
    """What lies near nodata is answered beside the model's mean colour, and what is nodata is not scored."""
    write_image(tmp_path / "city/images/a.tif", "nodata", missing := gone())
    truth = classes(SHAPE)
    write(tmp_path / "city/masks/a.tif", truth[None], **PLACE)
    legend = [{name: getattr(entry, name) for name in ENTRY} for entry in DEFAULT_LEGEND]
    with rasterio.open(tmp_path / "city/masks/a.tif", "r+") as file:
        file.update_tags(GEOSEG_LEGEND=json.dumps(legend))
    folder = evaluated("--model", tiny_model_path, tmp_path / "city")
    given = ("--scene", tmp_path / "city/images/a.tif", "--labels", tmp_path / "city/masks/a.tif")
    scene = evaluated("--model", tiny_model_path, *given)
    assert sum(map(sum, folder["confusion"])) == np.count_nonzero(~missing)
    assert folder["confusion"] == scene["confusion"]


def test_what_is_missing_has_no_part_in_the_cards_statistics_and_is_the_mean(tmp_path):
    """A network is shown its own mean colour where nothing was measured, when it learns as when it answers."""
    for name in "ab":
        write_image(tmp_path / f"city/images/{name}.tif", "nodata", missing := gone())
        write(tmp_path / f"city/masks/{name}.tif", classes(SHAPE)[None], **PLACE)
    material = Material(tmp_path / "city", how="none")
    recipe = Recipe(steps=1, shares={})
    request = TrainRequest(
        material, tmp_path / "m.safetensors", None, widths=(4, 8), recipe=recipe, chips=ChipPlan(32, 2)
    )
    card = train_model(request)
    measured = np.maximum(noise(SHAPE), 1)[:, ~missing]
    np.testing.assert_allclose(card.mean, measured.mean(1), atol=1e-3)
    np.testing.assert_allclose(card.std, measured.std(1), atol=1e-3)
    image = LabelledImage("a", "a", noise(SHAPE), classes(SHAPE), missing=missing)
    image.paint_missing(card.mean)
    assert (image.pixels[:, missing] == np.round(card.mean).astype(np.uint8)[:, None]).all()
    np.testing.assert_array_equal(image.pixels[:, ~missing], noise(SHAPE)[:, ~missing])
