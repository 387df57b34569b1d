"""Models for Deepness, the plugin of QGIS."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from deepness import Deepness

from geoseg.export.deepness import class_names, overlap_percent
from geoseg.model.file import DEFAULT, load_card
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import Legend, MapClass
from tests.exported import HALO, SPECS, TILE, default_onnx, exported, geosegs_classes, pixels  # noqa: F401


def test_deepness_opens_it(default_onnx):
    card, model = load_card(DEFAULT), Deepness(default_onnx)
    assert model.model_type == "Segmentor"
    assert model.class_names() == ["background", *(entry.name for entry in card.legend)]
    assert len(model.class_names()) == model.shape[-3]
    assert model.tile == model.given[2] == model.given[3] == model.shape[2] == TILE
    assert model.value("tiles_size", int) == TILE
    assert model.value("resolution", float) == 100 * card.resolution_m
    assert model.value("seg_thresh", float) == 0
    assert model.value("seg_small_segment", int) == 0
    assert (model.tile - model.stride) // 2 >= card.receptive_radius
    assert model.stride % card.network.stride == 0
    assert model.batch is None


def test_deepness_maps_as_geoseg_does(default_onnx, pixels, geosegs_classes):
    model = Deepness(default_onnx)
    part = np.s_[:TILE, :]
    rgba = np.concatenate([pixels, np.full_like(pixels[:1], 255)]).transpose(1, 2, 0)  # a band it does not take
    found = model.map(rgba[part])
    assert model.stride < pixels.shape[2] - HALO, "one tile has no seam"
    inside = np.s_[HALO:-HALO, HALO:-HALO]  # beyond the frame it sees black, geoseg a reflection
    share = (found[inside] == geosegs_classes[part][inside]).mean()
    print(f"Deepness: {share:.6%}")
    assert share >= 0.9999
    assert found.min() >= 1


def test_under_the_threshold_lies_the_background(default_onnx, pixels, geosegs_classes):
    inside = np.s_[HALO : TILE - HALO, HALO : TILE - HALO]
    tiles = pixels[None, :, :TILE, :TILE].transpose(0, 2, 3, 1)
    sure = Deepness(default_onnx).process(tiles, threshold=0.8)[0]
    assert 0 < (sure == 0).mean() < 0.9
    kept = sure[inside] > 0
    assert (sure[inside] == geosegs_classes[inside])[kept].mean() >= 0.9999


def test_a_batch_is_its_tiles_one_by_one(make_model, tmp_path):
    model = Deepness(exported(tmp_path, make_model(SPECS["unet"][0]), "onnx", "a.onnx", tile=32))
    tiles = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    together = model.process(tiles)
    np.testing.assert_array_equal(together, np.concatenate([model.process(tile[None]) for tile in tiles]))
    assert len(np.unique(together)) > 2


@pytest.mark.parametrize(("radius", "tile", "percent"), [(94, 512, 37), (94, 1024, 19), (0, 512, 25), (300, 512, 50)])
def test_overlap_is_the_radius_where_a_tile_has_room(radius, tile, percent):
    assert overlap_percent(radius, tile) == percent
    if percent < 50:
        assert int(tile * percent / 100 * 2) // 2 // 2 >= radius


def test_a_legend_with_a_background_of_its_own(make_model):
    card = make_model(NetworkSpec(3, 2, (2,))).card
    house = MapClass(1, "house", "houses", "#000000", "#000000")
    own = Legend((house, MapClass(2, "background", None, "#000000", "#000000")))
    assert list(class_names(replace(card, legend=own)).values()) == ["unclassified", "house", "background"]
