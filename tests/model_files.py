"""Model files and what is wrong with them, for tests."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from geoseg.model.card import dump
from geoseg.model.file import save_model
from geoseg.model.network import NetworkSpec

SPEC = NetworkSpec(3, 5, (2, 3))


@pytest.fixture(scope="module")
def small(make_model):
    return make_model(SPEC, radius=8)


@pytest.fixture
def stored(small, tmp_path):
    """Return a good model file that a test may damage."""
    path = tmp_path / "stored.safetensors"
    save_model(path, small.card, small.weights)
    return path


def header(path):
    """Return the header of a safetensors file and where its tensors begin."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), 8 + length


def written(path, small, weights):
    """Write weights past every check of ``save_model``."""
    save_file(
        {name: np.ascontiguousarray(t) for name, t in weights.items()},
        path,
        metadata={"geoseg": dump(small.card)},
    )
    return path
