"""What goes wrong in other people's folders of images and masks."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from affine import Affine

from geoseg.errors import InputError
from geoseg.labels.folders import read_folder
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
    with pytest.raises(InputError, match=r"ogr2ogr houses\.gpkg .*houses\.shp"):
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
