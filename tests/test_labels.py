"""Labelled images of every layout: each pixel gets what the labels say, and nothing where they are silent."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoseg.errors import InputError, ModelError, UsageError
from geoseg.labels.classes import taught
from geoseg.labels.folders import ground_pixel_of, read_folder
from geoseg.labels.labelled import LabelKey, LabelledImage
from geoseg.labels.mask_key import MaskKey
from geoseg.labels.material import Material, gathered
from geoseg.labels.mosaic import clusters, in_line, joined
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, paired, read_scenes
from geoseg.labels.split import LEAKY, split
from geoseg.model.file import load_card
from geoseg.scene.read_request import ReadRequest
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

UTM = "EPSG:32645"
ORIGIN = (350_000.0, 3_056_000.0)


def write(path, pixels, driver="GTiff", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    palette = options.pop("palette", None)
    count, height, width = pixels.shape
    profile = {"driver": driver, "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", **profile, **options) as file:
        file.write(pixels)
        if palette:
            file.write_colormap(1, palette)


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (3, *shape)).astype(np.uint8)


def classes(shape, seed=0, most=5):
    return np.random.default_rng(seed).integers(1, most + 1, shape).astype(np.uint8)


def colored(labels, legend=DEFAULT_LEGEND):
    table = np.zeros((256, 3), np.uint8)
    for entry in legend:
        table[entry.value] = tuple(bytes.fromhex(entry.color[1:]))
    return table[labels].transpose(2, 0, 1)


# ---- folders


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
    with pytest.raises(InputError, match="values that are no class"):
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
    assert told == [f"{tmp_path}: its images have pixels of 0.5 m, those of the model to begin with 1 m"]
    write(tmp_path / "other/images/a.png", noise((8, 8)), "PNG")
    write(tmp_path / "other/masks/a.png", classes((8, 8))[None], "PNG")
    gathered(Material(tmp_path / "other", resolution_m=0.3, how="none"), load_card("default"), told.append)
    assert told[1:] == [f"{tmp_path}/other: its images have pixels of 0.3 m, those of the model to begin with 1 m"]
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


# ---- scenes


def square(row, col, size, pixel=1.0):
    """Return a square of pixels as a polygon on the ground."""
    x, y = ORIGIN
    return shapely.box(x + col * pixel, y - (row + size) * pixel, x + (col + size) * pixel, y - row * pixel)


def write_scene(path, shape=(60, 80), *, row=0, col=0, pixel=1.0, seed=0):
    x, y = ORIGIN
    transform = Affine(pixel, 0, x + col * pixel, 0, -pixel, y - row * pixel)
    write(path, noise(shape, seed), crs=UTM, transform=transform)
    return path


HOUSES = [square(5, 5, 10), square(20, 30, 12), square(40, 60, 15), square(59, 79, 1), square(0, 0, 1)]


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


# ---- neighbours


def tiles_of(tmp_path, rows, cols, size=(20, 24), drift=0.0):
    """Write a scene in pieces and its labels; returns the folder and the labels."""
    folder = tmp_path / "tiles"
    whole = noise((rows * size[0], cols * size[1]))
    x, y = ORIGIN
    for i in range(rows):
        for j in range(cols):
            part = whole[:, i * size[0] : (i + 1) * size[0], j * size[1] : (j + 1) * size[1]]
            at = Affine(1 + drift, 0, x + j * size[1] + drift, 0, -1, y - i * size[0])
            write(folder / f"z{9 - i}{j}.tif", np.ascontiguousarray(part), crs=UTM, transform=at)
    labels = tmp_path / "houses.gpkg"
    houses = [square(0, 0, 1), square(15, 20, 9), square(rows * size[0] - 1, cols * size[1] - 1, 1)]
    geopandas.GeoDataFrame(geometry=houses, crs=UTM).to_file(labels, layer="buildings")
    return folder, labels, whole, houses


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


def test_tiles_far_apart_stay_images_of_their_own(tmp_path):
    near, far = write_scene(tmp_path / "a.tif"), write_scene(tmp_path / "b.tif", row=5000)
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=[*HOUSES, square(5010, 10, 9)], crs=UTM).to_file(labels, layer="buildings")
    found = read_scenes(paired([near, far], [labels]), ReadRequest(), ClassField(), print)
    assert [len(cluster) for cluster in clusters(found)] == [1, 1]
    assert [image.name for image in joined(found)] == ["a", "b"], "a mosaic of both would be nothing but a hole"
    assert [tile.image.name for tile in in_line(found)] == ["a", "b"]
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


# ---- what is told apart


def plain(name, group, size=(40, 50)):
    return LabelledImage(name, group, noise(size), classes(size))


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


# ---- what labels say


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


# ---- what goes wrong in other people's folders


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
    assert {image.group for image in found.learned} == {"a"}
    for image in found.learned:
        assert (image.labels[:, 70:80] == 0).all()
        assert (image.labels[:, :68] > 0).all()


def test_the_finest_pixel_is_taken_where_none_is_asked_for(tmp_path):
    scenes = (write_scene(tmp_path / "a.tif"), write_scene(tmp_path / "b.tif", (120, 160), row=2000, pixel=0.5))
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=[*HOUSES, square(1010, 10, 9)], crs=UTM).to_file(labels, layer="buildings")
    found = gathered(Material(scenes=(ScenePair(scenes, labels),), how="none"), None, print)
    assert found.resolution_m == pytest.approx(0.5, rel=1e-3)
    assert sorted(image.labels.shape for image in found.learned) == [(120, 160), (120, 160)]


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


def test_flags_that_contradict_one_another(tmp_path):
    with pytest.raises(UsageError, match="--hold-out and --split patch"):
        Material(tmp_path, hold_out=("a",), how="patch")
    with pytest.raises(UsageError, match="--legend"):
        Material(scenes=(ScenePair((tmp_path,), tmp_path),), legend_file=tmp_path)


def test_made_up_scenes_do_not_mix_with_other_classes(tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    labels = tmp_path / "houses.gpkg"
    geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM).to_file(labels, layer="buildings")
    with pytest.raises(UsageError, match=r"--demo-scenes.*those to learn are building, background"):
        gathered(Material(scenes=(ScenePair((scene,), labels),), demo_scenes=2), None, print)
