"""What is held out: neighbours become one image, and no ground is on both sides."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from affine import Affine
from rasterio.features import rasterize

from geoseg.errors import UsageError
from geoseg.labels.classes import taught
from geoseg.labels.material import Material, gathered
from geoseg.labels.mosaic import clusters, in_line, joined
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, paired, read_scenes
from geoseg.labels.split import LEAKY, split
from geoseg.scene.read_request import ReadRequest
from tests.labelled_ground import HOUSES, ORIGIN, UTM, plain, square, tiles_of, write_scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("drift", [0.0, 1e-4])
def test_touching_tiles_become_one_image_again(tmp_path, drift):
    folder, labels, whole, houses = tiles_of(tmp_path, 3, 2, drift=drift)
    found = gathered(Material(scenes=(ScenePair((folder,), labels),), how="none"), None, print)
    (image,) = found.learned
    np.testing.assert_array_equal(image.pixels, whole)
    expected = rasterize(houses, whole.shape[1:], transform=Affine(1, 0, ORIGIN[0], 0, -1, ORIGIN[1]))
    np.testing.assert_array_equal(image.labels == 1, expected == 1)


def test_a_block_at_the_end_of_touching_tiles_is_held_out(tmp_path):
    folder, labels, whole, _ = tiles_of(tmp_path, 7, 1)
    told = []
    found = gathered(Material(scenes=(ScenePair((folder,), labels),)), None, told.append)
    (learned,), (held,) = found.learned, found.held_out
    np.testing.assert_array_equal(learned.pixels, whole[:, :120])
    np.testing.assert_array_equal(held.pixels, whole[:, 120:])
    assert "the last 1 of 7 images of one scene" in found.split
    assert any(found.split in sentence for sentence in told)
    named = gathered(Material(scenes=(ScenePair((folder,), labels),), hold_out=("z70",)), None, print)
    assert named.held_out[0].name == "z70"
    np.testing.assert_array_equal(named.held_out[0].pixels, whole[:, 40:60])


@pytest.mark.parametrize("name", ["z50", "z60", "z80", "z90"])
def test_the_tile_that_is_named_is_held_out_and_no_other(tmp_path, name):
    folder, labels, whole, _ = tiles_of(tmp_path, 5, 1)  # z50 is the first by name, the last by place
    found = gathered(Material(scenes=(ScenePair((folder,), labels),), hold_out=(name,)), None, print)
    (held,) = found.held_out
    top = 20 * (9 - int(name[1]))
    np.testing.assert_array_equal(held.pixels, whole[:, top : top + 20])
    assert sum(np.count_nonzero(image.labels) for image in found.learned) == 4 * 20 * 24
    assert name in held.names
    assert not held.names & {"z50", "z60", "z70", "z80", "z90"} - {name}


def test_a_part_of_a_file_is_of_that_file_whatever_its_name(tmp_path):
    scene = write_scene(tmp_path / "scene (1).tif")
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    (part,) = gathered(Material(scenes=(ScenePair((scene,), labels),)), None, print).aside
    assert "scene (1).tif" in part.sources


def test_tiles_far_apart_stay_images_of_their_own(tmp_path):
    near, far = write_scene(tmp_path / "a.tif"), write_scene(tmp_path / "b.tif", row=5000)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=[*HOUSES, square(5010, 10, 9)], crs=UTM).to_file(labels, layer="buildings")
    found = read_scenes(paired([near, far], [labels]), ReadRequest(), ClassField(), print)
    tiles = [one.image for one in found]
    assert [len(cluster) for cluster in clusters(tiles)] == [1, 1]
    assert [image.name for image in joined(tiles)] == ["a", "b"], "a mosaic of both would be nothing but a hole"
    assert [tile.name for tile in in_line(tiles)] == ["a", "b"]
    lesson = taught(found, None, "background")
    assert [tile.image.labels.max() for tile in lesson.images] == [2, 2]


def test_scenes_of_one_stem_have_names_of_their_own(tmp_path):
    for place in ("north", "south"):
        (tmp_path / place).mkdir()
    same = [write_scene(tmp_path / name) for name in ("north/ortho.tif", "south/ortho.tif", "north/a.tif", "b.tif")]
    other = write_scene(tmp_path / "north/a.img.tif").rename(tmp_path / "north/a.img")
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    pairs = [ScenePair((*same, other), labels), ScenePair((same[3],), labels)]
    names = [one.image.name for one in read_scenes(pairs, ReadRequest(), ClassField(), print)]
    assert names == ["north/ortho.tif", "south/ortho.tif", "a.tif", "b", "a.img", "b"], "given twice, it is one scene"
    write_scene(same[1], row=5000)
    geopandas.GeoDataFrame(geometry=[*HOUSES, square(5010, 10, 9)], crs=UTM).to_file(labels, layer="buildings")
    held = gathered(Material(scenes=(pairs[0],), hold_out=("south/ortho.tif",)), None, print)
    assert [image.name for image in held.held_out] == ["south/ortho.tif"]
    assert "north/ortho.tif" in {image.name for image in held.learned}


def test_whole_groups_are_held_out_and_never_all():
    images = [plain(f"{group}/{i}", group) for group in "abcdefgh" for i in range(3)]
    for seed in range(5):
        told = split(images, (), "auto", seed)
        aside = {image.group for image in told.held_out}
        assert aside.isdisjoint({image.group for image in told.learned})
        assert len(aside) == 2, "an eighth is too little, two are enough"
        assert len(told.learned) + len(told.held_out) == len(images)
        assert split(images, (), "auto", seed) == told
    assert len({split(images, (), "auto", seed).text for seed in range(9)}) > 1
    two = split(images[:6], (), "auto", 0)
    assert {len(two.learned), len(two.held_out)} == {3}


def test_hundreds_of_images_held_out_are_a_sentence_still():
    images = [plain(f"chip{i:04}", f"chip{i:04}") for i in range(2000)]
    few, many = split(images, [f"chip{i:04}" for i in range(12)], "auto", 0), split(images, (), "auto", 0)
    assert few.text == ", ".join(f"chip{i:04}" for i in range(12))
    assert many.text.endswith(f", … ({len(many.held_out)} in all)")
    assert len(many.held_out) == 300
    assert len(many.text) < 200


def test_the_only_image_is_cut_in_two():
    image = plain("a", "a", (40, 100))
    told = split([image], (), "auto", 0)
    np.testing.assert_array_equal(np.concatenate([told.learned[0].labels, told.held_out[0].labels], 1), image.labels)
    assert told.held_out[0].labels.shape == (40, 15)


def test_random_patches_say_that_their_score_is_leaky():
    told = split([plain("a", "a", (700, 800)), plain("b", "b", (300, 300))], (), "patch", 1)
    assert told.text == LEAKY
    assert "leaky" in LEAKY
    assert sum(i.labels.size for i in (*told.learned, *told.held_out)) == 700 * 800 + 300 * 300
    assert told.held_out
    with pytest.raises(UsageError, match="1 patches"):
        split([plain("a", "a", (30, 30))], (), "patch", 0)


def test_nothing_is_held_out_where_nothing_shall_be():
    told = split([plain("a", "a")], (), "none", 0)
    assert (told.held_out, told.text) == ([], "")


def test_two_pictures_of_one_ground_are_never_on_both_sides(tmp_path):
    """Two dates, and two pixel sizes: whatever lies under what is held out is not learned from."""
    for name, pixel, shape in (("a", 1.0, (60, 80)), ("b", 0.5, (120, 160))):
        write_scene(tmp_path / f"tiles/{name}.tif", shape, pixel=pixel)
    write_scene(tmp_path / "tiles/c.tif", (60, 80), col=70)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=[*HOUSES, square(58, 148, 2)], crs=UTM).to_file(labels, layer="buildings")
    wanted = Material(scenes=(ScenePair((tmp_path / "tiles",), labels),), hold_out=("c",), resolution_m=1.0)
    found = gathered(wanted, None, print)
    assert [image.name for image in found.held_out] == ["c"]
    assert {image.group for image in found.learned} == {"a and 2 touching"}
    for image in found.learned:
        assert (image.labels[:, 70:80] == 0).all()
        assert (image.labels[:, :68] > 0).all()


def test_large_groups_are_not_held_out_where_there_are_smaller_ones():
    images = [plain(f"train/{i}", "train") for i in range(18)] + [plain(f"val/{i}", "val") for i in range(2)]
    for seed in range(6):
        told = split(images, (), "auto", seed)
        assert {image.group for image in told.held_out} == {"val"}


def test_the_end_that_is_held_out_holds_labels():
    image = plain("a", "a", (100, 40))
    image.labels[60:] = 0
    told = split([image], (), "auto", 0)
    held = np.count_nonzero(told.held_out[0].labels)
    assert 0.1 < held / np.count_nonzero(image.labels) < 0.2
    images = [plain(f"{i}", "g") for i in range(10)]
    for blank in images[7:]:
        blank.labels[:] = 0
    told = split(images, (), "auto", 0)
    assert np.count_nonzero(told.held_out[0].labels) > 0


def test_made_up_scenes_do_not_mix_with_other_classes(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    with pytest.raises(UsageError, match=r"--demo-scenes.*those to learn are building, background"):
        gathered(Material(scenes=(ScenePair((scene,), labels),), demo_scenes=2), None, print)
