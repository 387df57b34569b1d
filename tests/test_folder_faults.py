"""What goes wrong in other people's folders of images and masks."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from affine import Affine

from geoseg.errors import InputError
from geoseg.labels.folders import read_folder
from geoseg.labels.mask_key import MaskKey
from geoseg.labels.material import Material, gathered
from geoseg.labels.scenes import ScenePair
from tests.labelled_ground import HOUSES, ORIGIN, UTM, classes, colored, noise, square, write, write_scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_a_raster_without_a_name_for_zero_has_background_there(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    x, y = ORIGIN
    truth = (classes((60, 80)) > 3).astype(np.uint8)
    write(tmp_path / "binary.tif", truth[None], crs=UTM, transform=Affine(1, 0, x, 0, -1, y))
    found = gathered(Material(scenes=(ScenePair((scene,), tmp_path / "binary.tif"),), how="none"), None, print)
    assert [entry.name for entry in found.key.legend] == ["class_1", "background"]
    np.testing.assert_array_equal(found.learned[0].labels, np.where(truth, 1, 2))


def test_names_in_any_script_stay_names(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "l.gpkg"
    frame = geopandas.GeoDataFrame(
        {"class": ["طريق", "建物"]}, geometry=[square(0, 0, 20), square(30, 50, 30)], crs=UTM
    )
    frame.to_file(labels)
    found = gathered(Material(scenes=(ScenePair((scene,), labels),), how="none"), None, print)
    assert {entry.name for entry in found.key.legend} == {"طريق", "建物", "background"}


def test_folders_hold_other_things_too(tmp_path):
    scene = write_scene(tmp_path / "tiles/a.tif")
    (tmp_path / "tiles/._a.tif").write_bytes(b"left by a file manager")
    far = write_scene(tmp_path / "tiles/far.tif", row=9000)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    notes = []
    found = gathered(Material(scenes=(ScenePair((scene.parent,), labels),), how="none"), None, notes.append)
    assert [image.name for image in found.learned] == ["a"]
    assert any(str(far) in note and "left out" in note for note in notes)
    geopandas.read_file(labels).to_file(tmp_path / "houses.shp")
    with pytest.raises(InputError, match=r"ogr2ogr out\.gpkg .*houses\.shp"):
        gathered(Material(scenes=(ScenePair((scene,), tmp_path / "houses.shp"),)), None, print)


def test_pictures_of_other_kinds(tmp_path):
    truth = classes((20, 30))
    write(tmp_path / "images/a.tif", noise(truth.shape).astype(np.uint16) * 30)
    write(tmp_path / "masks/a.png", truth[None], "PNG")
    with pytest.raises(InputError, match="uint16, expected bytes; give it as --scene"):
        read_folder(tmp_path)
    (tmp_path / "images/a.tif").unlink()
    index = classes((20, 30), 1)
    colors = {int(i): (10 * int(i), 50, 200, 255) for i in range(6)}
    write(tmp_path / "images/a.png", index[None], "PNG", palette=colors)
    write(tmp_path / "masks/a.b.png", (6 - truth)[None], "PNG")
    (image,) = read_folder(tmp_path)
    np.testing.assert_array_equal(image.pixels[0], index * 10)
    np.testing.assert_array_equal(image.labels, truth)


def test_a_transparent_mask_says_nothing_and_strange_colours_are_told(tmp_path):
    truth = classes((20, 30))
    write(tmp_path / "images/a.png", noise(truth.shape), "PNG")
    alpha = np.full((1, 20, 30), 255, np.uint8)
    alpha[:, :5] = 0
    painted = colored(truth)
    painted[:, 10:14] = 77
    write(tmp_path / "masks/a.png", np.concatenate([painted, alpha]), "PNG")
    notes = []
    (image,) = read_folder(tmp_path, note=notes.append)
    assert (image.labels[:5] == 0).all()
    assert (image.labels[10:14] == 0).all()
    np.testing.assert_array_equal(image.labels[14:], truth[14:])
    assert len(notes) == 1
    assert "20% of its pixels have colours" in notes[0]


def test_footprints_as_masks_of_one_class_are_refused(tmp_path):
    write(tmp_path / "images/a.png", noise((20, 30)), "PNG")
    write(tmp_path / "masks/a.png", (classes((20, 30)) > 3).astype(np.uint8)[None], "PNG")
    with pytest.raises(InputError, match="all labels say the same"):
        gathered(Material(tmp_path, how="none"), None, print)


def test_pictures_and_masks_without_a_partner_are_named(tmp_path):
    for name in ("Tile 1/images/a.png", "Tile 1/images/lone.png", "Tile 2/images/b.jpg"):
        write(tmp_path / name, noise((20, 30)), "PNG" if name.endswith("png") else "JPEG")
    for name in ("Tile 1/masks/a.png", "Tile 1/masks/left.png", "Tile 2/masks/b.png", "Tile 2/masks/.b.png"):
        write(tmp_path / name, classes((20, 30))[None], "PNG")
    notes = []
    assert len(read_folder(tmp_path, note=notes.append)) == 2
    assert notes == [
        f"{tmp_path}: 1 of its images have no mask of the same name and are left out: Tile 1/images/lone.png",
        f"{tmp_path}: 1 of its masks have no image of the same name and are left out: Tile 1/masks/left.png",
    ]


def test_masks_as_jpeg_are_refused_with_the_reason(tmp_path):
    write(tmp_path / "images/a.png", noise((20, 30)), "PNG")
    write(tmp_path / "masks/a.jpg", colored(classes((20, 30))), "JPEG")
    with pytest.raises(InputError, match="JPEG blurs the colours and values of masks"):
        read_folder(tmp_path)


def test_scenes_in_folders_within_a_folder_have_to_be_named(tmp_path):
    write_scene(tmp_path / "tiles/north/a.tif")
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(tmp_path / "l.gpkg", layer="buildings")
    with pytest.raises(InputError, match=r"has no rasters.*are not looked into, so name them, as in .*tiles/north"):
        gathered(Material(scenes=(ScenePair((tmp_path / "tiles",), tmp_path / "l.gpkg"),)), None, print)


def test_a_metre_of_the_map_may_be_a_little_more_on_the_ground(tmp_path):
    """Near its central meridian, a metre of UTM is more than one, and four times finer is still not refused."""
    scene = write_scene(tmp_path / "scene.tif")
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(tmp_path / "l.gpkg", layer="buildings")
    pair = (ScenePair((scene,), tmp_path / "l.gpkg"),)
    assert gathered(Material(scenes=pair, resolution_m=0.249, how="none"), None, print).learned
    with pytest.raises(InputError, match=r"give a --resolution of 0\.2"):
        gathered(Material(scenes=pair, resolution_m=0.2, how="none"), None, print)


def test_classes_that_lie_on_no_pixel_are_told(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    boxes = [square(0, 0, 20), square(30, 50, 0.2), square(9000, 0, 20)]
    frame = geopandas.GeoDataFrame({"class": ["road", "well", "mine"]}, geometry=boxes, crs=UTM)
    frame.to_file(tmp_path / "l.gpkg")
    told = []
    gathered(Material(scenes=(ScenePair((scene,), tmp_path / "l.gpkg"),), how="none"), None, told.append)
    assert any(sentence.startswith("the labels have mine, well, which no pixel is of: away from") for sentence in told)
    assert "classes to learn, and their shares of the labels: road 13.3%, background 86.7%" in told


def test_numbers_as_classes_keep_their_numbers_in_the_names_of_layers(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    frame = geopandas.GeoDataFrame({"class": [2, 7]}, geometry=[square(0, 0, 20), square(30, 50, 9)], crs=UTM)
    frame.to_file(tmp_path / "l.gpkg")
    found = gathered(Material(scenes=(ScenePair((scene,), tmp_path / "l.gpkg"),), how="none"), None, print)
    layers = [(entry.name, entry.layer) for entry in found.key.legend]
    assert layers == [("2", "class_2"), ("7", "class_7"), ("background", None)]


@pytest.mark.parametrize(
    "names",
    [["2", "class_2", "٣"], ["2", "class_1"], ["5", "class_1", "class_2"], ["1", "class_1"], ["2", "7", "tree"]],
)
def test_numbers_and_names_of_layers_stay_classes_of_their_own(tmp_path, names):
    scene = write_scene(tmp_path / "scene.tif")
    boxes = [square(0, 0, 20), square(30, 50, 9), square(0, 40, 9)][: len(names)]
    geopandas.GeoDataFrame({"class": names}, geometry=boxes, crs=UTM).to_file(tmp_path / "l.gpkg")
    found = gathered(Material(scenes=(ScenePair((scene,), tmp_path / "l.gpkg"),), how="none"), None, print)
    counts = np.bincount(found.learned[0].labels.ravel(), minlength=9)
    of_name = {entry.name: counts[entry.value] for entry in found.key.legend}
    assert [of_name[name] for name in names] == [400, 81, 81][: len(names)]
    layers = {entry.name: entry.layer for entry in found.key.legend}
    assert all(layers[name] == f"class_{name}" for name in names if name.isascii() and name.isdigit())


def test_a_legend_of_numbers_keeps_them(tmp_path):
    (tmp_path / "legend.csv").write_text("1,2\n2,1\n3,class_2\n7,٣\n")
    legend = {entry.value: (entry.name, entry.layer) for entry in MaskKey.read(tmp_path / "legend.csv").legend}
    assert legend == {1: ("2", "class_2"), 2: ("1", "class_1"), 3: ("class_2", "class_3"), 7: ("class_7", "class_7")}
