"""Which classes labels of scenes bring, whatever else the run knows, and by what names scenes go."""

from __future__ import annotations

import json
from dataclasses import replace

import geopandas
import numpy as np
import pytest
from click.testing import CliRunner

from geoseg.cli.main import geoseg
from geoseg.errors import InputError
from geoseg.labels.labelled import LabelledImage, color_means
from geoseg.labels.material import Material, gathered
from geoseg.labels.scenes import ScenePair
from geoseg.learn.initial_weights import initial_weights
from geoseg.model.learned import ImageNames, learned_from
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import Legend, MapClass
from tests.labelled_ground import UTM, noise, square, write_scene

LEGEND = Legend(
    tuple(
        MapClass(value, name, None, "#808080", "#808080")
        for value, name in ((1, "Road"), (2, "Solar Panel"), (3, "background"))
    )
)


@pytest.fixture
def card(make_model):
    """Return the card of a model of three classes, one of them background."""
    return replace(make_model(NetworkSpec(3, 3, (4, 8))).card, legend=LEGEND)


def labels_of(path, names, *shapes):
    geopandas.GeoDataFrame({"class": names}, geometry=list(shapes), crs=UTM).to_file(path, mode="w")
    return path


def learned(tmp_path, labels, card=None, **more):
    scene = write_scene(tmp_path / "scene.tif")
    return gathered(Material(scenes=(ScenePair((scene,), labels),), how="none", **more), card, print)


@pytest.mark.parametrize("name", ["solar panel", "Solar Panel", "SOLAR PANEL"])
def test_a_model_with_a_background_leaves_bare_ground_open_where_it_is_unknown(tmp_path, card, name):
    labels = labels_of(tmp_path / "l.gpkg", [name] * 2, square(0, 0, 10), square(50, 70, 10))
    found = learned(tmp_path, labels, card, elsewhere="unknown")
    allowed = found.key.allowed()[found.learned[0].labels]
    assert allowed[5, 5].tolist() == [False, True, False]
    assert allowed[30, 40].tolist() == [True, False, True], "a road may be there"


def test_a_class_keeps_its_output_in_any_case_of_letters(make_model):
    model = make_model(NetworkSpec(3, 3, (4, 8)))
    model = replace(model, card=replace(model.card, legend=LEGEND))
    lower = Legend(tuple(replace(entry, name=entry.name.lower()) for entry in LEGEND))
    _, weights = initial_weights(model, lower)
    np.testing.assert_array_equal(weights["head.weight"], model.weights["head.weight"])


@pytest.mark.parametrize("names", [["background"] * 2, ["bg", "Background"]])
def test_labels_of_nothing_but_background_are_refused(tmp_path, names):
    labels = labels_of(tmp_path / "l.gpkg", names, square(0, 0, 10), square(50, 70, 10))
    with pytest.raises(InputError, match="the labels are all 'background', expected at least two"):
        learned(tmp_path, labels)


@pytest.mark.parametrize(
    ("names", "resolution"), [(["ignore"] * 2, None), (["road", "building"], 500.0)], ids=["ignored", "too coarse"]
)
def test_labels_that_lie_on_no_pixel_are_refused_with_both_reasons(tmp_path, names, resolution):
    labels = labels_of(tmp_path / "l.gpkg", names, square(0, 0, 10), square(50, 70, 10))
    with pytest.raises(InputError, match=r"all of them are called unlabelled, or smaller than a pixel of --resolution"):
        learned(tmp_path, labels, resolution_m=resolution)


def test_numbers_of_classes_stay_whole_beside_a_missing_one(tmp_path):
    shapes = square(0, 0, 10), square(50, 70, 10), square(30, 30, 10)
    whole = learned(tmp_path, labels_of(tmp_path / "a.gpkg", [1, 2, 2], *shapes)).key.legend
    with_none = learned(tmp_path, labels_of(tmp_path / "b.gpkg", [1, 2, None], *shapes)).key.legend
    assert [entry.name for entry in with_none] == [entry.name for entry in whole] == ["1", "2", "background"]


def test_a_raster_without_names_says_how_to_name_its_classes(tmp_path):
    import rasterio

    scene = write_scene(tmp_path / "scene.tif")
    with rasterio.open(scene) as file:
        profile = {**file.profile, "count": 1}
    with rasterio.open(tmp_path / "plain.tif", "w", **profile) as file:
        file.write(np.random.default_rng(0).integers(1, 6, (1, 60, 80)).astype(np.uint8))
    told = []
    gathered(Material(scenes=(ScenePair((scene,), tmp_path / "plain.tif"),), how="none"), None, told.append)
    assert any("as in class_1; name them with: geoseg vectorize" in sentence for sentence in told)
    arguments = ["evaluate", "--model", "default", "--scene", str(scene), "--labels", str(tmp_path / "plain.tif")]
    shown = CliRunner().invoke(geoseg, [*arguments, "--threads", "1", "--json"])
    assert shown.exit_code == 0
    meaning = "1 = building, 2 = road, 3 = water, 4 = vegetation, 5 = land"
    assert f"plain.tif: its values are taken for those of the model, {meaning}" in shown.stderr
    assert list(json.loads(shown.stdout)["classes"]) == ["building", "road", "water", "vegetation", "land"]


def test_shapefiles_are_refused_as_maps_in_the_words_for_labels(tmp_path):
    frame = geopandas.GeoDataFrame({"class": ["road"]}, geometry=[square(0, 0, 10)], crs=UTM)
    frame.to_file(tmp_path / "a.shp")
    for given in (["a.shp", "a.shp"], ["--model", "default", "--scene", "s.tif", "--labels", "a.shp"]):
        paths = [str(tmp_path / one) if "." in one else one for one in given]
        shown = CliRunner().invoke(geoseg, ["evaluate", *paths, "--progress", "none"])
        assert shown.exit_code == 3
        assert f"write it as one with: ogr2ogr out.gpkg {tmp_path / 'a.shp'}" in shown.stderr


# ---- names


def test_what_was_held_out_is_known_again_whatever_lies_beside_it(tmp_path, make_model):
    """Two scenes of one file name: held out by its path, or by its name alone, and scored with the other or without."""
    for place, row in (("north", 0), ("south", 5000)):
        (tmp_path / place).mkdir()
        write_scene(tmp_path / place / "ortho.tif", row=row)
    labels = labels_of(tmp_path / "l.gpkg", ["road"] * 2, square(10, 10, 20), square(5010, 10, 20))
    north, south = tmp_path / "north", tmp_path / "south"
    both, alone = ScenePair((north, south), labels), ScenePair((south,), labels)
    card = make_model(NetworkSpec(3, 2, (4, 8))).card
    for pair, name in ((both, "south/ortho.tif"), (alone, "ortho.tif"), (alone, "ortho")):
        aside = (ImageNames(*(found := held(pair, name)), frozenset({"ortho.tif"})),)
        trained = replace(card, training={"data": [{"name": "ortho.tif", "held_out": [name]}]})
        assert not learned_from(trained, aside)
        for later in (both, alone):
            again = ImageNames(*held(later, "south/ortho.tif"), frozenset({"ortho.tif"}))
            assert not learned_from(trained, [again]), (found, again)


def held(pair, name):
    """Return the name and names of what is held out; nothing may be left to learn from."""
    found = gathered(Material(scenes=(pair,), how="none"), None, print)
    (image,) = [image for image in found.learned if name in image.names]
    return image.name, image.names


# ---- colours


def test_colours_are_those_of_labelled_ground_alone():
    pixels = noise((600, 700))
    labels = np.ones((600, 700), np.uint8)
    pixels[:, :, 650:], labels[:, 650:] = 0, 0
    means = list(color_means(LabelledImage("a", "a", pixels, labels)))
    expected = [pixels[:, :512, :512].mean((1, 2)), pixels[:, :, :650].mean((1, 2))]
    np.testing.assert_allclose(means, expected)
    nothing = list(color_means(LabelledImage("a", "a", pixels, np.zeros_like(labels))))
    np.testing.assert_allclose(nothing[-1], pixels.mean((1, 2)))
