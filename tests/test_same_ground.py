"""Ground that several images show: whatever shows it, none of it is learned from and scored on."""

from __future__ import annotations

from dataclasses import replace

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import InputError
from geoseg.labels.labelled import LabelledImage
from geoseg.labels.material import Material, gathered
from geoseg.labels.mosaic import clusters, share_ground
from geoseg.labels.same_ground import SLIVER, ends, overlap, unseen
from geoseg.labels.scenes import ScenePair
from geoseg.labels.split import split
from geoseg.maps.common_ground import Outline
from geoseg.scene.georeference import grid_of
from geoseg.scene.open import open_raster
from geoseg.vocabulary import Grid
from tests.labelled_ground import ORIGIN, UTM, classes, noise, square, write, write_scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

METRES = pyproj.CRS("EPSG:32640").to_wkt()


def lying(name, row, col, size=(20, 24), pixel=1.0, turned=0.0, group="g"):
    """Return an image whose first pixel lies so many metres down and to the right."""
    at = Affine.translation(33e4 + col, 278e4 - row) @ Affine.rotation(turned) @ Affine.scale(pixel, -pixel)
    return LabelledImage(name, group, noise(size), classes(size), grid=Grid(METRES, at, *size))


def centres(image, where):
    """Return the ground under the centres of some pixels, (n, 2)."""
    rows, cols = np.nonzero(where)
    x, y = image.grid.transform @ (cols + 0.5, rows + 0.5)
    return np.stack([x, y], axis=1)


def inside(points, image, border=0.0):
    """Return which points an image shows; by ``border`` pixels more or fewer at its sides."""
    col, row = ~image.grid.transform @ (points[:, 0], points[:, 1])
    height, width = image.labels.shape
    return (col > border) & (row > border) & (col < width - border) & (row < height - border)


places = st.builds(
    lying,
    st.just("a"),
    st.integers(-30, 30),
    st.integers(-30, 30),
    st.tuples(st.integers(8, 30), st.integers(8, 30)),
    st.sampled_from([0.5, 1.0, 2.5]),
    st.sampled_from([0.0, 0.0, 30.0, 90.0]),
)


def area(image):
    height, width = image.labels.shape
    return shapely.Polygon([image.grid.transform @ xy for xy in ((0, 0), (width, 0), (width, height), (0, height))])


@given(st.lists(places, min_size=1, max_size=4), st.lists(places, min_size=1, max_size=4))
def test_no_ground_of_what_is_held_out_is_learned_from(learned, held_out):
    before = [image.labels.copy() for image in learned]
    aside = shapely.union_all([area(image) for image in held_out])
    for image, result, labels in zip(learned, unseen(learned, held_out), before, strict=True):
        np.testing.assert_array_equal(image.labels, labels, "the image itself is as it was")
        pixel = image.grid.pixel_area**0.5
        shared = shapely.intersection(aside, area(image))
        is_sliver, may_be = (shapely.buffer(shared, -share * SLIVER / 2 * pixel).is_empty for share in (0.95, 1.05))
        hidden = centres(result, (result.labels == 0) & (labels > 0))
        kept = centres(result, result.labels > 0)
        if is_sliver:
            assert len(hidden) == 0, "a sliver is no ground that is seen twice"
        if not may_be:
            assert not shapely.contains_xy(shapely.buffer(aside, -1e-3 * pixel), kept).any()
        assert (shapely.distance(aside, shapely.points(hidden)) < 0.75 * pixel).all(), "nothing else is hidden"


@given(st.lists(places, min_size=2, max_size=5))
def test_images_that_overlap_are_told_apart_without_losing_a_label(images):
    told = split(images, (), "auto", 0)
    both = (*told.learned, *told.held_out)
    labelled = sum(np.count_nonzero(image.labels) for image in images)
    assert sum(np.count_nonzero(image.labels) for image in both) == labelled
    assert told.hides != overlap(images)


@given(st.lists(places, min_size=2, max_size=5))
def test_a_cut_through_the_ground_leaves_every_label_on_one_side(images):
    head, tail = ends(images, 0.85)
    labelled = sum(np.count_nonzero(image.labels) for image in images)
    assert sum(np.count_nonzero(image.labels) for image in (*head, *tail)) == labelled
    before = np.concatenate([centres(image, image.labels > 0) for image in head]) if head else np.zeros((0, 2))
    beyond = np.concatenate([centres(image, image.labels > 0) for image in tail])
    back = ~images[0].grid.transform
    sides = [np.stack(back @ (points[:, 0], points[:, 1]), axis=1) for points in (before, beyond)]
    assert any(not len(before) or sides[0][:, axis].max() <= sides[1][:, axis].min() + 1e-6 for axis in (0, 1)), (
        "a straight cut"
    )
    for part in (*head, *tail):
        assert part.labels.shape == part.grid.shape == part.pixels.shape[1:]


def test_slivers_and_images_that_lie_nowhere_do_not_overlap():
    assert not overlap([lying("a", 0, 0), lying("b", 18, 0)])
    assert overlap([lying("a", 0, 0), lying("b", 10, 0)])
    assert overlap([lying("a", 0, 0), lying("b", 5, 5, (4, 40), pixel=0.25, turned=45), lying("c", 900, 0)]) is False
    nowhere = LabelledImage("n", "g", noise((20, 24)), classes((20, 24)))
    assert not overlap([lying("a", 0, 0), lying("b", 0, 0), nowhere])
    assert unseen([nowhere], [nowhere]) == [nowhere]


def test_images_of_a_folder_that_overlap_are_not_on_both_sides(tmp_path):
    for name, col in (("north_1", 0), ("south_1", 40)):
        write_scene(tmp_path / f"images/{name}.tif", (60, 80), col=col)
        write(tmp_path / f"masks/{name}.tif", classes((60, 80))[None])
    told = []
    found = gathered(Material(tmp_path, hold_out=("south_1",)), None, told.append)
    assert told[0] == (
        "50% of the labels to learn from are of ground that is held out, by the places of north_1; they are left out"
    )
    (learned,), (held,) = found.learned, found.held_out
    assert held.name == "south_1"
    assert (held.labels > 0).all()
    assert (learned.labels[:, :40] > 0).all()
    assert (learned.labels[:, 40:] == 0).all()


def test_pictures_that_all_say_the_same_untrue_place_are_refused_with_a_way_out(tmp_path):
    for name in ("forest", "town"):
        write_scene(tmp_path / f"images/{name}.tif", (60, 80))
        write(tmp_path / f"masks/{name}.tif", classes((60, 80))[None])
    with pytest.raises(InputError, match=r"100% of the labels .* by the places of forest; .* gdal_edit\.py -unsetgt"):
        gathered(Material(tmp_path, hold_out=("town",)), None, print)
    assert gathered(Material(tmp_path, how="none"), None, print).learned


def test_a_site_of_its_own_overlaps_nothing_else():
    site = pyproj.CRS.from_wkt('LOCAL_CS["site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')
    here = lying("a", 0, 0)
    there = LabelledImage("b", "g", noise((20, 24)), classes((20, 24)))
    there = replace(there, grid=replace(here.grid, crs=site.to_wkt()))
    assert unseen([here], [there]) == [here]
    assert unseen([there], [here]) == [there]
    assert not overlap([here, there])


def test_a_map_of_a_continent_overlaps_a_tile_in_it():
    degrees = pyproj.CRS("EPSG:4326").to_wkt()
    large = replace(lying("d", 0, 0, (140, 300)), grid=Grid(degrees, Affine(0.5, 0, -110, 0, -0.5, 75), 140, 300))
    metres = pyproj.CRS("EPSG:32634").to_wkt()
    tile = replace(lying("t", 0, 0, (50, 50)), grid=Grid(metres, Affine(10, 0, 243738, 0, -10, 5_500_000), 50, 50))
    for pair in ([large, tile], [tile, large]):
        assert len(clusters(pair, share_ground)) == 1
    (hidden,) = unseen([tile], [large])
    assert not hidden.labels.any()


def test_few_labels_are_found_wherever_they_lie():
    images = [lying(f"{i}", 0, 0, (1600, 1500)) for i in range(2)]
    for image in images:
        image.labels[:] = 0
        image.labels[range(1, 1600, 200), 333] = 1
    head, tail = ends(images, 0.8)
    assert [np.count_nonzero(image.labels) for image in (*head, *tail)] == [6, 6, 2, 2]


def test_scenes_of_the_ground_of_a_folder_are_not_on_both_sides(tmp_path):
    write_scene(tmp_path / "city/images/a.tif", (60, 80))
    write(tmp_path / "city/masks/a.tif", classes((60, 80))[None])
    scene = write_scene(tmp_path / "scene.tif", (60, 160), seed=1)
    with open_raster(scene) as file:
        grid = grid_of(file)
    truth = classes((60, 160))
    write(tmp_path / "truth.tif", truth[None], crs=UTM, transform=grid.transform, nodata=0)
    legend = tmp_path / "truth.gpkg"
    boxes = [square(0, 0, 60), square(0, 60, 60), square(0, 120, 40)]
    geopandas.GeoDataFrame({"class": ["building", "road", "water"]}, geometry=boxes, crs=UTM).to_file(legend)
    wanted = Material(tmp_path / "city", (ScenePair((scene,), legend),), hold_out=("a",))
    found = gathered(wanted, None, print)
    (learned,) = found.learned
    assert (learned.labels[:, :80] == 0).all()
    assert (learned.labels[:, 82:] > 0).all()


def test_two_dates_of_one_ground_are_cut_along_one_line(tmp_path):
    """The later date, at another ground pixel, would otherwise be all that is held out, and hide all of the first."""
    write_scene(tmp_path / "tiles/a.tif", (60, 200))
    write_scene(tmp_path / "tiles/b.tif", (120, 400), pixel=0.5, seed=1)
    labels = tmp_path / "houses.gpkg"
    houses = [square(0, col, 10) for col in range(0, 200, 20)]
    geopandas.GeoDataFrame(geometry=[*houses, square(59, 199, 1)], crs=UTM).to_file(labels, layer="buildings")
    told = []
    found = gathered(Material(scenes=(ScenePair((tmp_path / "tiles",), labels),), resolution_m=1), None, told.append)
    assert found.split == "one end of the ground of 2 images that overlap, next to what was learned from"
    assert f"held out from training: {found.split}" in told
    assert [image.labels.shape for image in found.learned] == [(60, 170)] * 2
    assert [image.labels.shape for image in found.held_out] == [(60, 30)] * 2
    assert all((image.labels > 0).all() for image in (*found.learned, *found.held_out))
    assert {name for image in found.aside for name in image.sources} == {"a.tif", "b.tif", "tiles"}
    x, _ = ORIGIN
    assert {round(image.grid.transform.c - x) for image in found.held_out} == {170}


def test_tiles_side_by_side_are_held_out_whole():
    images = [lying(f"{i}", 0, 24 * i) for i in range(8)]
    told = split(images, (), "auto", 0)
    assert [image.name for image in told.held_out] == ["7"]
    overlapping = [lying(f"{i}", 0, 12 * i) for i in range(8)]
    told = split(overlapping, (), "auto", 0)
    assert [image.name for image in told.held_out] == ["6 (end)", "7 (end)"]


def test_thousands_of_images_are_compared_by_place(monkeypatch):
    """Outlines are only brought onto images that may meet them."""
    asked = []
    monkeypatch.setattr(Outline, "on", lambda self, grid, on=Outline.on: asked.append(1) or on(self, grid))
    images = [lying(f"{i}", 30 * (i // 40), 30 * (i % 40), (4, 4)) for i in range(1600)]
    east = pyproj.CRS("EPSG:32641").to_wkt()
    images = [replace(one, grid=replace(one.grid, crs=east)) if i % 2 else one for i, one in enumerate(images)]
    assert unseen(images[:1400], images[1400:]) == images[:1400]
    assert not overlap(images[:400])
    assert len(asked) == 0
