"""Folders of images with masks: each pixel gets what its mask says, in whatever way masks say it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.features import rasterize

from geoseg.errors import InputError, UsageError
from geoseg.labels.folders import ground_pixel_of, read_folder
from geoseg.labels.mask_key import MaskKey
from geoseg.labels.material import Material, gathered
from geoseg.labels.scenes import ScenePair
from geoseg.model.file import load_card
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass
from tests.labelled_ground import HOUSES, ORIGIN, UTM, classes, colored, noise, write, write_scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("masks", ["masks", "labels"])
@pytest.mark.parametrize("kind", ["colours", "palette", "values", "named values"])
def test_every_kind_of_mask_says_the_same(tmp_path, masks, kind):
    truth = classes((20, 30))
    truth[:4, :5] = 0
    write(tmp_path / "images/a[1].png", noise(truth.shape), "PNG")
    mask = tmp_path / masks / "a[1].png"
    if kind == "colours":
        write(mask, colored(truth), "PNG")
    elif kind == "palette":
        colors = colored(np.arange(6, dtype=np.uint8)[None])[:, 0].T
        write(mask, truth[None], "PNG", palette={i: (*map(int, color), 255) for i, color in enumerate(colors)})
    elif kind == "values":
        write(mask, truth[None], "PNG")
    else:  # other numbers, named in the file as geoseg names them
        mask = mask.with_suffix(".tif")
        legend = [
            {"value": 10 * c.value, "name": c.name, "layer": c.layer, "color": c.color, "style": c.style}
            for c in DEFAULT_LEGEND
        ]
        write(mask, truth[None] * 10, nodata=0)
        with rasterio.open(mask, "r+") as file:
            file.update_tags(GEOSEG_LEGEND=json.dumps(legend))
    (image,) = read_folder(tmp_path)
    np.testing.assert_array_equal(image.labels, truth)
    assert image.name == "a[1]"


def test_groups_are_tiles_then_names_without_their_numbers(tmp_path):
    for name in ("north_1", "north_2", "south_1", "odd"):
        write(tmp_path / "flat/images" / f"{name}.png", noise((8, 8)), "PNG")
        write(tmp_path / "flat/masks" / f"{name}.png", classes((8, 8))[None], "PNG")
    groups = {image.name: image.group for image in read_folder(tmp_path / "flat")}
    assert groups == {"north_1": "north", "north_2": "north", "south_1": "south", "odd": "odd"}
    for number in range(3):
        write(tmp_path / "one/images" / f"a{number}.png", noise((8, 8)), "PNG")
        write(tmp_path / "one/masks" / f"a{number}.png", classes((8, 8))[None], "PNG")
    assert {image.group for image in read_folder(tmp_path / "one")} == {"a"}


def test_masks_are_listed_once_however_many_there_are(tmp_path, monkeypatch):
    """Thousands of chips: looking through all masks for each image took a quarter of an hour for 6000."""
    for i in range(30):
        write(tmp_path / f"images/{i}.png", noise((8, 8)), "PNG")
        write(tmp_path / f"{'labels' if i % 2 else 'masks'}/{i}.png", classes((8, 8))[None], "PNG")
    listed, glob = [], Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: listed.append(pattern) or glob(self, pattern))
    assert len(read_folder(tmp_path)) == 30
    assert len(listed) <= 4


def test_a_legend_of_ones_own_and_masks_that_do_not_follow_it(tmp_path):
    legend = Legend(
        (MapClass(3, "roof", "roofs", "#FF0000", "#FF0000"), MapClass(9, "yard", None, "#00FF00", "#00FF00"))
    )
    truth = np.where(classes((20, 20)) > 2, 3, 9).astype(np.uint8)
    write(tmp_path / "images/a.png", noise(truth.shape), "PNG")
    write(tmp_path / "masks/a.png", colored(truth, legend), "PNG")
    (image,) = read_folder(tmp_path, MaskKey.of(legend))
    np.testing.assert_array_equal(image.labels, truth)
    with pytest.raises(InputError, match="colours that are no class of the legend"):
        read_folder(tmp_path)
    write(tmp_path / "masks/a.png", (truth * 20)[None], "PNG")
    with pytest.raises(InputError, match=r"values \(60, 180\) that are no class"):
        read_folder(tmp_path, MaskKey.of(legend))
    file = tmp_path / "legend.csv"
    file.write_text("3,roof,#FF0000\n9,yard,#00FF00\n")
    write(tmp_path / "masks/a.png", colored(truth, legend), "PNG")
    found = gathered(Material(tmp_path, legend_file=file, how="none"), None, print)
    assert [entry.name for entry in found.key.legend] == ["roof", "yard"]
    np.testing.assert_array_equal(found.learned[0].labels, truth)


@pytest.mark.parametrize("shape", ["values", "grey picture", "colours", "palette"])
def test_masks_of_black_and_white(tmp_path, shape):
    """The commonest masks there are: 255 where a building is, 0 where there is none."""
    truth = classes((20, 20)) > 3
    colored = "" if shape in ("values", "grey picture") else ",#FFFFFF"
    file = tmp_path / "legend.csv"
    file.write_text(f"0,Background{colored and ',#000000'}\n255,Buildings{colored}\n")
    white = (truth[None] * 255).astype(np.uint8)
    palette = {0: (0, 0, 0, 255), 255: (255, 255, 255, 255)} if shape == "palette" else None
    write(tmp_path / "images/a.png", noise(truth.shape), "PNG")
    write(
        tmp_path / "masks/a.png", white if shape in ("values", "palette") else np.repeat(white, 3, 0), "PNG",
        palette=palette,
    )  # fmt: skip
    found = gathered(Material(tmp_path, legend_file=file, how="none"), None, print)
    assert [(entry.value, entry.name, entry.layer) for entry in found.key.legend] == [
        (1, "building", "buildings"),
        (2, "background", None),
    ]
    np.testing.assert_array_equal(found.learned[0].labels, np.where(truth, 1, 2))
    file.write_text(f"255,Buildings{colored}\n")
    with pytest.raises(InputError, match="name the rest with --legend, as in 0,background"):
        gathered(Material(tmp_path, legend_file=file, how="none"), None, print)


def test_a_legend_of_masks_joins_values_of_one_name_and_knows_what_is_none(tmp_path):
    file = tmp_path / "legend.csv"
    file.write_text("1,building\n2,house\n3,Buildings\n4,ignore\n7,bare soil\n8,Bare_Soil\n9,bare.soil\n0,No_Data\n")
    mask = np.array([[0, 1, 2, 3, 4, 7, 8, 9] * 2], np.uint8).repeat(4, 0)
    write(tmp_path / "images/a.png", noise(mask.shape), "PNG")
    write(tmp_path / "masks/a.tif", mask[None], nodata=8)
    (image,) = read_folder(tmp_path, key := MaskKey.read(file))
    assert image.labels[0, :8].tolist() == [0, 1, 2, 1, 0, 7, 7, 9]
    assert [(entry.value, entry.name, entry.layer) for entry in key.legend] == [
        (1, "building", "buildings"),
        (2, "house", "house"),
        (7, "bare soil", "bare_soil"),
        (9, "bare.soil", "class_9"),
    ]
    for text, words in (
        ("0,ignore\n255,unlabelled\n", "names no class, only what is unlabelled"),
        ("1,building,#FF0000\n2,road,#ff0000\n", "two classes the colour #FF0000"),
        ("".join(f"{value},zone {value}\n" for value in range(256)), "more than 254 classes"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=words):
            MaskKey.read(file)


def test_what_a_mask_shows_through_or_calls_nodata_teaches_nothing(tmp_path):
    truth = np.array([[1, 1, 2, 2, 1, 2]], np.uint8).repeat(8, 0)
    opaque = np.array([[1, 1, 1, 0, 0, 1]], np.uint8).repeat(8, 0) * 255
    file = tmp_path / "legend.csv"
    file.write_text("0,background\n255,building\n")
    grey = ((truth == 1) * 255).astype(np.uint8)
    write(tmp_path / "images/a.png", noise(truth.shape), "PNG")
    for bands in ([grey] * 3, [grey]):
        write(tmp_path / "masks/a.png", np.stack([*bands, opaque]), "PNG")
        (image,) = read_folder(tmp_path, MaskKey.read(file))
        np.testing.assert_array_equal(image.labels, np.where(opaque, truth, 0))
    (tmp_path / "masks/a.png").unlink()
    for nodata, dtype in ((2, "uint8"), (np.nan, "float32")):  # 2 is a road, unless the file says that it is nothing
        lost = np.where(truth == 2, nodata, truth).astype(dtype)
        write(tmp_path / "masks/a.tif", lost[None], nodata=nodata)
        (image,) = read_folder(tmp_path)
        np.testing.assert_array_equal(image.labels, np.where(truth == 2, 0, truth))
    write(tmp_path / "masks/a.tif", np.stack([truth.astype(np.uint16)] * 3))
    with pytest.raises(InputError, match="3 bands of uint16, expected colours in uint8"):
        read_folder(tmp_path)


def test_a_legend_of_few_colours(tmp_path):
    """Names alone: the usual colours are known. A colour for some: values count wherever a mask has any."""
    truth = classes((20, 20), most=2)
    file = tmp_path / "legend.csv"
    file.write_text("1,building\n2,road\n")
    write(tmp_path / "images/a.png", noise(truth.shape), "PNG")
    write(tmp_path / "masks/a.png", colored(truth), "PNG")
    (image,) = read_folder(tmp_path, MaskKey.read(file))
    np.testing.assert_array_equal(image.labels, truth)
    file.write_text("0,background\n255,building,#FFFFFF\n")
    white = ((truth == 1) * 255).astype(np.uint8)
    for mask, palette in ((np.stack([white] * 3), None), (white[None], {0: (0, 0, 0, 255), 255: (255, 255, 255, 255)})):
        write(tmp_path / "masks/a.png", mask, "PNG", palette=palette)
        (image,) = read_folder(tmp_path, MaskKey.read(file))
        np.testing.assert_array_equal(image.labels, truth)


def test_ground_that_polygons_call_ignored_teaches_nothing(tmp_path):
    scene, labels = write_scene(tmp_path / "scene.tif"), tmp_path / "labels.gpkg"
    frame = geopandas.GeoDataFrame({"class": ["building", "ignore", "road"]}, geometry=HOUSES[:3], crs=UTM)
    frame.to_file(labels)
    found = gathered(Material(scenes=(ScenePair((scene,), labels),), how="none"), None, print)
    assert [entry.name for entry in found.key.legend] == ["building", "road", "background"]
    ignored = rasterize([HOUSES[1]], found.learned[0].labels.shape, transform=rasterio.open(scene).transform) > 0
    assert (found.learned[0].labels[ignored] == 0).all()


def test_somebodys_legend_goes_before_names_in_the_mask(tmp_path):
    mask = np.array([[1, 3, 3]], np.uint8).repeat(8, 0)
    write(tmp_path / "images/a.png", noise(mask.shape), "PNG")
    write(tmp_path / "masks/a.tif", mask[None])
    with rasterio.open(tmp_path / "masks/a.tif", "r+") as file:
        file.update_tags(GEOSEG_LEGEND=json.dumps([asdict(replace(DEFAULT_LEGEND.by_value(1), value=3))]))
    (image,) = read_folder(tmp_path)
    assert image.labels[0].tolist() == [0, 1, 1]
    file = tmp_path / "legend.csv"
    file.write_text("1,water\n3,road\n")
    (image,) = read_folder(tmp_path, MaskKey.read(file))
    assert image.labels[0].tolist() == [1, 3, 3]


def test_a_folder_of_georeferenced_images_says_its_ground_pixel(tmp_path):
    def put(name, metres, side=8):
        at = Affine(metres, 0, ORIGIN[0], 0, -metres, ORIGIN[1])
        write(tmp_path / f"images/{name}.tif", noise((side, side)), crs=UTM, transform=at)
        write(tmp_path / f"masks/{name}.png", classes((side, side))[None], "PNG")

    write(tmp_path / "images/a.png", noise((8, 8)), "PNG")
    write(tmp_path / "masks/a.png", classes((8, 8))[None], "PNG")
    assert ground_pixel_of(tmp_path) is None
    assert gathered(Material(tmp_path, how="none"), None, print).resolution_m is None
    put("b", 0.5)
    assert ground_pixel_of(tmp_path) == pytest.approx(0.5, rel=2e-3)  # UTM's scale
    assert gathered(Material(tmp_path, how="none"), None, print).resolution_m == pytest.approx(0.5, rel=2e-3)
    told = []
    gathered(Material(tmp_path, how="none"), load_card("default"), told.append)
    assert told[0] == f"{tmp_path}: its images have pixels of 0.5 m, those of the model to begin with 1 m"
    write(tmp_path / "other/images/a.png", noise((8, 8)), "PNG")
    write(tmp_path / "other/masks/a.png", classes((8, 8))[None], "PNG")
    gathered(Material(tmp_path / "other", resolution_m=0.3, how="none"), load_card("default"), told.append)
    assert f"{tmp_path}/other: its images have pixels of 0.3 m, those of the model to begin with 1 m" in told
    with pytest.raises(UsageError, match="learned from as they are"):
        gathered(Material(tmp_path, resolution_m=1.0, how="none"), None, print)
    put("c", 0.3)
    with pytest.raises(InputError, match="expected images of one ground pixel"):
        ground_pixel_of(tmp_path)


def test_images_that_do_not_say_their_ground_pixel_need_it_said_beside_scenes(tmp_path):
    write(tmp_path / "data/images/a.png", noise((8, 8)), "PNG")
    write(tmp_path / "data/masks/a.png", classes((8, 8))[None], "PNG")
    scene = write_scene(tmp_path / "scene.tif", (120, 160), pixel=0.5)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    both = {"dataset": tmp_path / "data", "scenes": (ScenePair((scene,), labels),), "how": "none"}
    with pytest.raises(UsageError, match="do not say their ground pixel"):
        gathered(Material(**both), None, print)
    found = gathered(Material(**both, resolution_m=1.0), None, print)
    assert found.resolution_m == 1.0
    assert found.learned[-1].labels.shape == (60, 80)
