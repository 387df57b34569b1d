"""Files to be opened as scenes, for tests."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.errors import InputError
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene

UTM = {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 0.5, 0.5)}


def write(path, bands=3, size=(6, 5), dtype="uint8", **profile):
    shape = {"count": bands, "height": size[0], "width": size[1], "dtype": dtype}
    with rasterio.open(path, "w", **{"driver": "GTiff", **shape, **UTM, **profile}) as file:
        file.write(np.ones((bands, *size), dtype))
    return path


def sentence(path, **options):
    """Return the message of a refusal; the scene must not open."""
    with pytest.raises(InputError) as refusal, open_scene(path, ReadRequest(**options)):
        pass
    text = str(refusal.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert "Traceback" not in text
    assert ": " in text
    return text


def make(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
