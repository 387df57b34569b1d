"""Georeferenced scenes with polygons or class rasters as labels: they lie where they belong, silent elsewhere."""

from __future__ import annotations

import json
import os

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoseg.demo.write import write_demo
from geoseg.errors import InputError, ModelError, UsageError
from geoseg.labels.classes import taught
from geoseg.labels.labelled import LabelKey
from geoseg.labels.material import Material, gathered
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, paired, read_scenes
from geoseg.model.file import load_card
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.stretch import parse_stretch
from geoseg.vocabulary import DEFAULT_LEGEND
from tests.labelled_ground import HOUSES, ORIGIN, UTM, classes, noise, square, write, write_scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
def test_polygons_of_any_crs_lie_where_rasterio_puts_them(tmp_path, crs):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "houses.gpkg"
    frame = geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_crs(crs)
    frame.to_file(labels, layer="buildings")
    found = gathered(Material(scenes=(ScenePair((scene,), labels),), how="none"), None, print)
    with rasterio.open(scene) as raster:
        expected = rasterize(HOUSES, raster.shape, transform=raster.transform)
        np.testing.assert_array_equal(found.learned[0].pixels, raster.read())
    ours = found.learned[0].labels
    known = ours > 0  # the labels' extent, in their CRS, may leave out a sliver at the rim
    assert known.mean() > 0.93
    np.testing.assert_array_equal(ours[known] == 1, expected[known] == 1)
    assert [entry.name for entry in found.key.legend] == ["building", "background"]
    assert found.key.legend.by_value(2).layer is None
    assert found.resolution_m == pytest.approx(1, rel=1e-3)


def test_ground_beyond_the_extent_of_the_labels_is_not_learned(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "houses.geojson"
    geopandas.GeoDataFrame({"class": ["building"] * 2}, geometry=HOUSES[1:3], crs=UTM).to_file(labels)
    (image,) = gathered(Material(scenes=(ScenePair((scene,), labels),), how="none"), None, print).learned
    outside = np.ones(image.labels.shape, bool)
    outside[20:55, 30:75] = False
    assert (image.labels[outside] == 0).all()
    assert (image.labels[~outside] > 0).all()


def test_broken_polygons_are_repaired_and_counted_and_fields_name_classes(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    x, y = ORIGIN
    bow = shapely.Polygon([(x + 10, y - 10), (x + 30, y - 30), (x + 30, y - 10), (x + 10, y - 30)])
    labels = tmp_path / "mixed.gpkg"
    kinds = ["building", "Roads", "orchard"]
    frame = geopandas.GeoDataFrame({"kind": kinds}, geometry=[bow, square(40, 5, 15), square(0, 60, 20)], crs=UTM)
    frame.to_file(labels, layer="things")
    notes = []
    wanted = Material(scenes=(ScenePair((scene,), labels),), class_field=ClassField("kind"), how="none")
    found = gathered(wanted, None, notes.append)
    assert any("repaired 1 invalid" in note for note in notes)
    assert [entry.name for entry in found.key.legend] == ["building", "road", "orchard", "background"]
    image = found.learned[0]
    assert set(np.unique(image.labels)) == {0, 1, 2, 3, 4}
    one = Material(scenes=(ScenePair((scene,), labels),), class_field=ClassField(one_class="roof"), how="none")
    assert [entry.name for entry in gathered(one, None, print).key.legend] == ["roof", "background"]


def test_labels_elsewhere_are_refused_with_both_bounds(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "far.gpkg"
    geopandas.GeoDataFrame(geometry=[square(900, 900, 5)], crs=UTM).to_file(labels, layer="buildings")
    with pytest.raises(InputError, match=r"shares no ground.*far\.gpkg lies at 350900.*scene\.tif lies at 350000"):
        gathered(Material(scenes=(ScenePair((scene,), labels),)), None, print)
    geopandas.GeoDataFrame(geometry=[], crs=UTM).to_file(labels, layer="buildings", mode="w")
    with pytest.raises(InputError, match=r"far\.gpkg: has no polygons"):
        gathered(Material(scenes=(ScenePair((scene,), labels),)), None, print)


def test_class_rasters_are_labels_on_any_grid(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    truth = classes((30, 40), most=3)
    truth[:5] = 0
    x, y = ORIGIN
    write(tmp_path / "classes.tif", truth[None], crs=UTM, transform=Affine(2, 0, x, 0, -2, y), nodata=0)
    legend = [
        {"value": c.value, "name": c.name, "layer": c.layer, "color": c.color, "style": c.style} for c in DEFAULT_LEGEND
    ]
    with rasterio.open(tmp_path / "classes.tif", "r+") as file:
        file.update_tags(GEOSEG_LEGEND=json.dumps(legend))
    found = gathered(Material(scenes=(ScenePair((scene,), tmp_path / "classes.tif"),), how="none"), None, print)
    assert [entry.name for entry in found.key.legend] == ["building", "road", "water"]
    np.testing.assert_array_equal(found.learned[0].labels, truth.repeat(2, 0).repeat(2, 1))


def test_footprints_beside_a_model_of_more_classes(tmp_path, make_model):
    """``unknown``: where no house is, the other classes stay open; ``background``: the model's classes do not do."""
    from geoseg.model.network import NetworkSpec

    card = make_model(NetworkSpec(3, 5, (4, 8))).card
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    pairs = (ScenePair((scene,), labels),)
    found = gathered(Material(scenes=pairs, elsewhere="unknown", how="none"), card, print)
    assert found.key.legend == card.legend
    allowed = found.key.allowed()[found.learned[0].labels]
    at = (slice(20, 32), slice(30, 42))
    assert (allowed[at] == [True, False, False, False, False]).all()
    assert (allowed[35, 10] == [False, True, True, True, True]).all()
    with pytest.raises(UsageError, match="--elsewhere unknown"):
        gathered(Material(scenes=pairs, elsewhere="unknown"), None, print)
    fresh = gathered(Material(scenes=pairs, how="none"), card, print)
    assert [entry.name for entry in fresh.key.legend] == ["building", "background"]


def test_scenes_are_read_at_the_resolution_asked_for(tmp_path):
    scene = write_scene(tmp_path / "scene.tif", (120, 160), pixel=0.5)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    found = gathered(Material(scenes=(ScenePair((scene,), labels),), resolution_m=1.0, how="none"), None, print)
    assert found.learned[0].labels.shape == (60, 80)
    assert (found.learned[0].labels == 1).sum() == sum(house.area for house in HOUSES)


@pytest.mark.parametrize("polygons", [True, False])
def test_detail_is_not_made_up(tmp_path, polygons):
    scene = write_scene(tmp_path / "scene.tif", (120, 160), pixel=0.5)
    labels = tmp_path / ("houses.gpkg" if polygons else "classes.tif")
    if polygons:
        geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    else:
        at = Affine(0.5, 0, ORIGIN[0], 0, -0.5, ORIGIN[1])
        write(labels, classes((120, 160))[None], crs=UTM, transform=at)
    for metres in (0.1, 0.0005):
        wanted = Material(scenes=(ScenePair((scene,), labels),), resolution_m=metres, how="none")
        with pytest.raises(InputError, match="invent detail"):
            gathered(wanted, None, print)


def test_more_pixels_than_memory_holds_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.labels.scenes._MOST_PIXELS", 20_000)
    scene = write_scene(tmp_path / "scene.tif", (120, 160), pixel=0.5)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    pair = ScenePair((scene,), labels)
    assert len(gathered(Material(scenes=(pair,), how="none"), None, print).learned) == 1
    with pytest.raises(InputError, match=r"7.68e\+04 pixels at 0.25 m"):
        gathered(Material(scenes=(pair,), resolution_m=0.25, how="none"), None, print)
    monkeypatch.setattr("geoseg.labels.scenes.open_scene", lambda *_: pytest.fail("was read"))
    with pytest.raises(InputError, match="fewer scenes"):
        gathered(Material(scenes=(pair, pair), how="none"), None, print)


@pytest.mark.parametrize("polygons", [True, False])
def test_what_no_label_lies_on_is_not_measured(tmp_path, monkeypatch, polygons):
    """A coarse overview elsewhere in the folder, or a large scene: left out, and no reason to refuse the rest."""
    monkeypatch.setattr("geoseg.labels.scenes._MOST_PIXELS", 20_000)
    x, y = ORIGIN
    write_scene(tmp_path / "tiles/a.tif", (60, 80))
    write(tmp_path / "tiles/overview.tif", noise((40, 40)), crs=UTM, transform=Affine(50, 0, x + 9000, 0, -50, y))
    write(tmp_path / "tiles/large.tif", noise((400, 400)), crs=UTM, transform=Affine(1, 0, x + 9000, 0, -1, y))
    labels = tmp_path / ("houses.gpkg" if polygons else "classes.tif")
    if polygons:
        geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    else:
        write(labels, classes((60, 80))[None], crs=UTM, transform=Affine(1, 0, x, 0, -1, y))
    notes = []
    wanted = Material(scenes=(ScenePair((tmp_path / "tiles",), labels),), resolution_m=1.0, how="none")
    found = gathered(wanted, None, notes.append)
    assert [image.name for image in found.learned] == ["a"]
    assert sum("no label lies on it" in note for note in notes) == 2
    write(tmp_path / "tiles/fine.tif", noise((40, 40)), crs=UTM, transform=Affine(0.1, 0, x + 9000, 0, -0.1, y))
    found = gathered(Material(scenes=(ScenePair((tmp_path / "tiles",), labels),), how="none"), None, notes.append)
    assert found.resolution_m == pytest.approx(1, rel=2e-3)  # UTM's scale


def test_scenes_and_labels_go_together():
    assert [(pair.scenes, pair.labels) for pair in paired(["a", "b"], ["l"])] == [(("a", "b"), "l")]
    assert [pair.labels for pair in paired(["a", "b"], ["l", "m"])] == ["l", "m"]
    with pytest.raises(UsageError, match="3 for 2 scenes"):
        paired(["a", "b"], ["l", "m", "n"])


def test_a_model_of_other_values_is_refused_for_pictures(tmp_path, make_model):
    from geoseg.model.network import NetworkSpec

    write(tmp_path / "images/a.png", noise((8, 8)), "PNG")
    write(tmp_path / "masks/a.png", classes((8, 8))[None], "PNG")
    other = make_model(NetworkSpec(3, 5, (4, 8)), value_range=(0.0, 1.0)).card
    with pytest.raises(ModelError, match="--init"):
        gathered(Material(tmp_path), other, print)


def test_values_without_a_meaning_leave_every_class_open():
    key = LabelKey(DEFAULT_LEGEND, {200: ("road", "land")})
    allowed = key.allowed()
    assert allowed.shape == (256, 5)
    np.testing.assert_array_equal(allowed[1:6], np.eye(5, dtype=bool))
    np.testing.assert_array_equal(allowed[200], [False, True, False, False, True])
    assert allowed[[0, 6, 199, 255]].all()
    for wrong in ({1: ("road",)}, {200: ()}, {200: ("sea",)}, {0: ("road",)}, {256: ("road",)}):
        with pytest.raises(InputError, match="label value"):
            LabelKey(DEFAULT_LEGEND, wrong)


def test_labels_of_a_single_class_everywhere_teach_nothing(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "all.gpkg"
    geopandas.GeoDataFrame(geometry=[square(-10, -10, 200)], crs=UTM).to_file(labels, layer="buildings")
    with pytest.raises(InputError, match="all 'building'"):
        gathered(Material(scenes=(ScenePair((scene,), labels),)), None, print)


def test_files_of_labels_say_nothing_about_classes_that_they_do_not_name(tmp_path, make_model):
    """Buildings alone here, roads alone there: bare ground may be a road here, and a building there."""
    from geoseg.model.network import NetworkSpec

    card = make_model(NetworkSpec(3, 5, (4, 8))).card
    pairs = []
    for name, row, layer in (("a", 0, "buildings"), ("b", 5000, "roads")):
        scene, labels = write_scene(tmp_path / f"{name}.tif", row=row), tmp_path / f"{name}.gpkg"
        shapes = [square(row, 0, 10), square(row + 50, 70, 10)]
        geopandas.GeoDataFrame(geometry=shapes, crs=UTM).to_file(labels, layer=layer)
        pairs.append(ScenePair((scene,), labels))
    found = gathered(Material(scenes=tuple(pairs), elsewhere="unknown", how="none"), card, print)
    allowed = found.key.allowed()
    one, other = (allowed[image.labels[30, 40]] for image in found.learned)
    assert one.tolist() == [False, True, True, True, True]
    assert other.tolist() == [True, False, True, True, True]


def test_the_finest_pixel_is_taken_where_none_is_asked_for(tmp_path):
    scenes = (write_scene(tmp_path / "a.tif"), write_scene(tmp_path / "b.tif", (120, 160), row=2000, pixel=0.5))
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=[*HOUSES, square(1010, 10, 9)], crs=UTM).to_file(labels, layer="buildings")
    found = gathered(Material(scenes=(ScenePair(scenes, labels),), how="none"), None, print)
    assert found.resolution_m == pytest.approx(0.5, rel=1e-3)
    assert sorted(image.labels.shape for image in found.learned) == [(120, 160), (120, 160)]


def test_flags_that_contradict_one_another(tmp_path):
    with pytest.raises(UsageError, match="--hold-out and --split patch"):
        Material(tmp_path, hold_out=("a",), how="patch")
    with pytest.raises(UsageError, match="--legend"):
        Material(scenes=(ScenePair((tmp_path,), tmp_path),), legend_file=tmp_path)


def test_what_geoseg_wrote_beside_a_scene_is_no_scene(tmp_path):
    """A folder that ``geoseg demo`` wrote holds the true classes, too."""
    write_demo(tmp_path / "demo", 128, 3)
    pairs = [ScenePair((tmp_path / "demo",), tmp_path / "demo/reference.gpkg")]
    (only,) = read_scenes(pairs, ReadRequest(), ClassField(), print)
    assert only.path.name == "scene.tif"
    (tmp_path / "demo/scene.tif").unlink()
    with pytest.raises(InputError, match="demo: has no rasters but those that geoseg made of scenes"):
        read_scenes(pairs, ReadRequest(), ClassField(), print)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_among_scenes_is_refused_and_not_waited_for(tmp_path):
    scene = write_scene(tmp_path / "tiles/scene.tif")
    os.mkfifo(tmp_path / "tiles/x.tif")
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(tmp_path / "l.gpkg", layer="buildings")
    with pytest.raises(InputError, match=r"x\.tif: is not a regular file"):
        read_scenes([ScenePair((scene.parent,), tmp_path / "l.gpkg")], ReadRequest(), ClassField(), print)


def test_scenes_that_are_links_have_the_names_of_both_folders(tmp_path):
    scene = write_scene(tmp_path / "far/scene.tif")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/link.tif").symlink_to(scene)
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(tmp_path / "l.gpkg", layer="buildings")
    pairs = [ScenePair((tmp_path / "near",), tmp_path / "l.gpkg")]
    (found,) = read_scenes(pairs, ReadRequest(), ClassField(), print)
    assert found.image.files == {"near", "far", "scene.tif", "link.tif"}


def test_shares_tell_of_ground_that_is_only_known_not_to_be_something(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(tmp_path / "l.gpkg", layer="buildings")
    told = []
    wanted = Material(scenes=(ScenePair((scene,), tmp_path / "l.gpkg"),), elsewhere="unknown", how="none")
    gathered(wanted, load_card("default"), told.append)
    (sentence,) = [one for one in told if one.startswith("classes to learn")]
    share = 1 - (100 + 144 + 225 + 2) / 4800
    assert "building 100.0%, road 0.0%" in sentence
    assert f"; of {share:.1%} of the labelled pixels it is only known which classes they are not of" in sentence


def test_values_of_a_tag_are_hardly_a_class(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    frame = geopandas.GeoDataFrame({"building": ["yes", "house"]}, geometry=HOUSES[:2], crs=UTM)
    frame.to_file(tmp_path / "osm.geojson")
    told = []
    placed = read_scenes([ScenePair((scene,), tmp_path / "osm.geojson")], ReadRequest(), ClassField("building"), print)
    taught(placed, None, "background", note=told.append)
    assert any("have the class 'yes', as fields of OpenStreetMap" in sentence for sentence in told)


def test_touching_tiles_of_many_values_get_one_stretch(tmp_path):
    """Each with its own, the same ground had other colours on both sides of a border between files."""
    rows, cols = np.indices((60, 160))
    picture = np.stack([1000 + 20 * cols + rows, 500 + 30 * cols, 3000 + 10 * cols]).astype(np.uint16)
    x, y = ORIGIN
    place = Affine(1, 0, x, 0, -1, y)
    write(tmp_path / "whole/all.tif", picture, crs=UTM, transform=place)
    for i, part in enumerate(np.split(picture, [70], axis=2)):
        at = place @ Affine.translation(70 * i, 0)
        write(tmp_path / f"tiles/{i}.tif", np.ascontiguousarray(part), crs=UTM, transform=at)
    far = place @ Affine.translation(9000, 0)
    write(tmp_path / "tiles/far.tif", np.ascontiguousarray(picture[:, :, :80]), crs=UTM, transform=far)
    whole = [square(0, 0, 160), square(0, 9000, 80)]
    geopandas.GeoDataFrame({"class": ["road", "water"]}, geometry=whole, crs=UTM).to_file(tmp_path / "l.gpkg")
    told = []

    def read(folder):
        pairs = [ScenePair((tmp_path / folder,), tmp_path / "l.gpkg")]
        return {one.path.stem: one.image.pixels for one in read_scenes(pairs, ReadRequest(), ClassField(), told.append)}

    (expected,) = read("whole").values()
    tiles = read("tiles")
    joined = np.concatenate([tiles["0"], tiles["1"]], axis=2).astype(int)
    assert np.abs(joined - expected).max() <= 2
    assert np.abs(tiles["far"].astype(int) - expected[:, :, :80]).max() > 20, "what lies alone has its own"
    assert sum("touch and get one stretch" in sentence for sentence in told) == 1


@pytest.mark.parametrize(
    ("dtype", "stretch", "is_shared"),
    [
        (np.uint8, "auto", False),
        (np.uint8, "2%,98%", True),
        (np.uint16, "auto", True),
        (np.uint16, "0,9000", False),
        (np.uint16, "none", False),
    ],
)
def test_tiles_share_a_stretch_where_it_depends_on_their_values(tmp_path, dtype, stretch, is_shared):
    x, y = ORIGIN
    for i in range(2):
        picture = (np.indices((40, 30)).sum(0) + 40 * i)[None].repeat(3, 0).astype(dtype)
        write(tmp_path / f"tiles/{i}.tif", picture, crs=UTM, transform=Affine(1, 0, x + 30 * i, 0, -1, y))
    geopandas.GeoDataFrame({"class": ["road"]}, geometry=[square(0, 0, 70)], crs=UTM).to_file(tmp_path / "l.gpkg")
    told = []
    pairs = [ScenePair((tmp_path / "tiles",), tmp_path / "l.gpkg")]
    one, other = read_scenes(pairs, ReadRequest(stretch=parse_stretch(stretch)), ClassField(), told.append)
    assert any("touch and get one stretch" in sentence for sentence in told) == is_shared
    if is_shared:  # a ramp of steps of one, and one of 11 at the border, by the same factor
        inside = np.diff(one.image.pixels[0].astype(int), axis=1)
        across = other.image.pixels[0, :, 0].astype(int) - one.image.pixels[0, :, -1]
        assert abs(np.median(across) - 11 * np.median(inside)) <= 11 * 0.5 + 1


def test_pixels_that_segment_does_not_resample_are_learned_from_as_they_are(tmp_path):
    labels = tmp_path / "l.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    for metres, shape in ((0.85, (60, 80)), (1.2, (60, 80)), (0.5, (30, 40))):
        write_scene(tmp_path / "a.tif", (60, 80), pixel=metres)
        pairs = [ScenePair((tmp_path / "a.tif",), labels)]
        (found,) = read_scenes(pairs, ReadRequest(resolution_m=1.0), ClassField(), print)
        assert found.image.labels.shape == shape
