"""A Dask cluster inside this process, for tests."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.batch import connect
from geoseg.batch.request import BatchRequest, How, Wanted, Where
from geoseg.batch.sources.inputs import gather_inputs
from geoseg.batch.task import Task
from geoseg.inference.network import RunsOn

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def here():
    """Two workers with one thread each, in this process."""
    resources = {"n_workers": 2, "threads_per_worker": 1, "resources": {"GPU": 1}}
    with distributed.LocalCluster(processes=False, dashboard_address="127.0.0.1:0", **resources) as made:
        made.wait_for_workers(2)
        yield made


@pytest.fixture
def tiles(tmp_path, write_scene):
    """Six tiles of noise."""
    random = np.random.default_rng(0)
    folder = tmp_path / "tiles"
    folder.mkdir()
    for number in range(6):
        write_scene(folder / f"t{number}.tif", random.integers(0, 256, (3, 40, 48)).astype(np.uint8))
    return folder


@pytest.fixture
def asked(tmp_path, tiles, tiny_model_path, here):
    """The request for class rasters of all tiles."""
    how = How(model=str(tiny_model_path), runs_on=RunsOn(device="cpu", threads=1))
    request = BatchRequest(
        (), tmp_path / "out", wanted=Wanted(None, raster=True), how=how, where=Where(scheduler=here.scheduler_address)
    )
    return request.of(gather_inputs([str(tiles)]))


@pytest.fixture
def connected(here, tmp_path):
    with connect.cluster(Where(scheduler=here.scheduler_address), tmp_path, gpu=False) as made:
        yield made


def named(count, tmp_path, asked, stem="n"):
    """Return tasks that nobody will really do."""
    of = asked.how.of("x.tif", asked.wanted.beside(tmp_path / "x"))
    return (Task(f"{stem}{i}", f"{stem}{i}.tif", f"{i:032x}", of, tmp_path / f"{stem}{i}") for i in range(count))
