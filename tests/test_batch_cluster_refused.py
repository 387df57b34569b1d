"""Clusters that cannot be reached, or that could not do the work."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import replace

import pytest

import geoseg
from geoseg.batch import connect
from geoseg.batch.request import Where
from geoseg.batch.run import batch
from geoseg.errors import UsageError
from tests.clusters import asked, connected, distributed, here, named, tiles  # noqa: F401


def refused(where, folder, **options):
    began = time.monotonic()
    with pytest.raises(UsageError) as caught, connect.cluster(where, folder, **({"gpu": False} | options)):
        pass
    assert time.monotonic() - began < 15
    sentence = str(caught.value)
    assert sentence.startswith("--scheduler") or options.get("gpu")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:{port}", "127.0.0.1:{port}", "nonsense", "http://x", "tls://127.0.0.1:{port}"]
)
def test_no_scheduler(tmp_path, monkeypatch, address):
    monkeypatch.setattr(connect, "CONNECT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = address.format(port=port)
    sentence = refused(Where(scheduler=address), tmp_path)
    assert f"{address} cannot be reached" in sentence


def test_something_else_listens_there(tmp_path, monkeypatch):
    monkeypatch.setattr(connect, "CONNECT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        sentence = refused(Where(scheduler=f"tcp://127.0.0.1:{other.getsockname()[1]}"), tmp_path)
    assert "cannot be reached" in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read (No such file or directory)"), ("{", "is not the file"), ("[]", "is not the file")],
)
def test_a_scheduler_file_of_no_use(tmp_path, monkeypatch, text, said):
    monkeypatch.setattr(connect, "CONNECT_S", 0.5)
    path = tmp_path / "scheduler.json"
    if text is not None:
        path.write_text(text)
    assert said in refused(Where(scheduler_file=str(path)), tmp_path)


def test_a_scheduler_file_that_comes_a_little_later(here, tmp_path, asked):
    path = tmp_path / "scheduler.json"
    later = threading.Timer(0.5, lambda: path.write_text(json.dumps({"address": here.scheduler_address})))
    later.start()
    report = batch(replace(asked, where=Where(scheduler_file=str(path))))
    assert report.counts()["done"] == 6


def test_both_ways_to_name_it():
    with pytest.raises(UsageError, match="give one of them"):
        Where(scheduler="tcp://127.0.0.1:8786", scheduler_file="scheduler.json")
    with pytest.raises(UsageError, match="--jobs"):
        Where(jobs=2, scheduler="tcp://127.0.0.1:8786")


def test_no_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(connect, "WORKERS_S", 0.3)
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as empty:
        sentence = refused(Where(scheduler=empty.scheduler_address), tmp_path)
        assert "has no workers" in sentence
        assert f"dask worker {empty.scheduler_address}" in sentence


def test_workers_of_another_version(here, tmp_path, monkeypatch):
    where = Where(scheduler=here.scheduler_address)
    monkeypatch.setattr(connect, "_about", lambda _token: ("0.0.9", True))
    assert "has geoseg 0.0.9, expected" in refused(where, tmp_path)

    def lacking(_token):
        raise ModuleNotFoundError("No module named 'geoseg'")

    monkeypatch.setattr(connect, "_about", lacking)
    assert "has geoseg not installed (ModuleNotFoundError), expected" in refused(where, tmp_path)


def test_a_worker_of_another_version_that_came_later(connected, asked, tmp_path):
    submit = connected._client.submit
    connected._client.submit = lambda do, task, beside, version, **k: submit(do, task, beside, "9.9", **k)
    (outcome,) = connected.run(named(1, tmp_path, asked))
    assert outcome.status == "failed"
    assert f"has geoseg {geoseg.__version__}, expected 9.9" in outcome.why


def test_workers_that_see_another_folder(here, tmp_path, monkeypatch):
    about = connect._about
    monkeypatch.setattr(connect, "_about", lambda token: about(token.replace("here", "there")))
    folder = tmp_path / "here"
    folder.mkdir()
    assert f"does not see the folder {folder}" in refused(Where(scheduler=here.scheduler_address), folder)
    assert list(folder.iterdir()) == []


def test_no_worker_with_a_gpu(tmp_path):
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as plain:
        sentence = refused(Where(scheduler=plain.scheduler_address), tmp_path, gpu=True)
    assert "dask worker --resources GPU=1" in sentence
