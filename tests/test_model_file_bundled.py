"""The models that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.model.file import BUNDLED, load_model, model_path
from geoseg.vocabulary import DEFAULT_LEGEND


@pytest.mark.parametrize(("name", "stride"), [("default", 16), ("dubai", 64)])
def test_the_bundled_models_are_there_and_fit_to_be_given_away(name, stride):
    path = model_path(name)
    assert path.is_file(), f"{path} is missing from the package"
    card = load_model(name).card
    assert card.bands == ("red", "green", "blue")
    assert [(c.value, c.name, c.layer) for c in card.legend] == [(c.value, c.name, c.layer) for c in DEFAULT_LEGEND]
    assert card.network.stride == stride
    assert card.license
    assert card.license != "as the training data"
    assert card.training.get("data")
    assert card.scores, "a bundled model tells how good it is"
    assert all(score["split"] for score in card.scores)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_name_is_not_a_file_here(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("mine")
    assert model_path(name).parent.name == "model"
    assert model_path(f"./{name}") == Path(name)
