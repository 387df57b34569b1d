"""STAC MLM items of exported models."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import jsonschema
import numpy as np
import pystac
import pytest
from pystac.extensions.mlm import MLMExtension
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource
from stac_model.schema import MLModelProperties

from geoseg.export.write import ExportRequest, export_model
from geoseg.model.file import Model, load_model, save_model
from tests.exported import SPECS, exported, pixels  # noqa: F401


def schema_errors(item):
    """Return what the schema of STAC items, as pystac brings it, finds wrong."""
    schemas = get_local_schema_cache()
    registry = Registry().with_resources((uri, Resource.from_contents(schema)) for uri, schema in schemas.items())
    core = next(schema for uri, schema in schemas.items() if uri.endswith("v1.1.0/item-spec/json-schema/item.json"))
    return [error.message for error in jsonschema.Draft7Validator(core, registry=registry).iter_errors(item)]


@pytest.mark.parametrize("name", SPECS)
def test_the_mlm_item_is_valid(make_model, tmp_path, name):
    spec, value_range = SPECS[name]
    model = make_model(spec, value_range=value_range, name="Größe & mehr, 2")
    path = exported(tmp_path, model, "mlm", "my model.mlm.json", tile=256)
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert schema_errors(plain) == []
    assert schema_errors({**plain, "geometry": 3}), "the validator finds nothing where there is something"
    item = pystac.Item.from_file(str(path))
    parsed = MLModelProperties.model_validate(plain["properties"])
    assert parsed.tasks == {"semantic-segmentation"}
    extension = MLMExtension.ext(item)
    assert extension.mlm_name == plain["properties"]["mlm:name"]
    (given,), (made,) = parsed.input, parsed.output
    assert given.input.shape == [-1, spec.bands, 256, 256]
    assert list(given.bands) == list(model.card.bands) == [band["name"] for band in plain["properties"]["bands"]]
    assert [entry.to_dict()["value"] for entry in made.classes] == [entry.value for entry in model.card.legend]
    assert {entry.to_dict()["color_hint"] for entry in made.classes} <= {e.style[1:].upper() for e in model.card.legend}
    assert len(given.value_scaling) == spec.bands
    pixels = np.linspace(*value_range, 5)
    for scaling, mean, std in zip(given.value_scaling, model.card.mean, model.card.std, strict=True):
        assert scaling.type == "z-score"
        np.testing.assert_array_equal((pixels - scaling.mean) / scaling.stddev, (pixels - mean) / std)


def test_the_mlm_item_leads_to_its_weights(make_model, tmp_path):
    model = make_model(SPECS["unet"][0])
    path = exported(tmp_path, model, "mlm", "my model.mlm.json")
    (asset,) = pystac.Item.from_file(str(path)).assets.values()
    assert "mlm:model" in asset.roles
    assert asset.extra_fields["mlm:artifact_type"] == "safetensors"
    assert asset.href == "./my%20model.safetensors"
    weights = tmp_path / "my model.safetensors"
    content = weights.read_bytes()
    assert asset.extra_fields["file:size"] == len(content)
    assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    for name, tensor in load_model(weights).weights.items():
        assert tensor.tobytes() == model.weights[name].tobytes()


def test_an_item_beside_its_model_describes_that_file(tiny_model, tmp_path):
    source = tmp_path / "mine.safetensors"
    save_model(source, tiny_model.card, tiny_model.weights)
    before = source.stat().st_mtime_ns, source.read_bytes()
    export_model(ExportRequest(str(source), "mlm", tmp_path / "mine.mlm.json"))
    assert (source.stat().st_mtime_ns, source.read_bytes()) == before
    item = json.loads((tmp_path / "mine.mlm.json").read_text(encoding="utf-8"))
    assert item["assets"]["weights"]["file:checksum"] == "1220" + hashlib.sha256(before[1]).hexdigest()


def test_a_licence_in_words_is_other(make_model, tmp_path):
    made = make_model(SPECS["unet"][0])
    model = Model(replace(made.card, license="ask us first"), made.weights)
    plain = json.loads(exported(tmp_path, model, "mlm", "a.mlm.json").read_text(encoding="utf-8"))
    assert plain["properties"]["license"] == "other"
    assert plain["properties"]["geoseg:card"]["license"] == "ask us first"
    assert schema_errors(plain) == []
