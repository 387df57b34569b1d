"""Batches on a Dask cluster inside this process: what is done and kept, what travels, and what is lost."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from geoseg.batch import cluster as on_cluster
from geoseg.batch import connect, manifest
from geoseg.batch.request import Where
from geoseg.batch.run import Watch, batch
from geoseg.batch.scenes import scene_tasks
from geoseg.batch.sources.inputs import gather_inputs
from geoseg.batch.task import Outcome
from geoseg.inference.network import RunsOn
from geoseg.model.file import load_card
from geoseg.pipeline.request import SceneRequest
from tests.clusters import asked, connected, distributed, here, named, tiles  # noqa: F401


def done(task):
    return Outcome(task.name, task.source, "done")


def test_all_tiles_are_done_and_kept_when_asked_again(asked):
    report = batch(asked)
    assert report.counts() == {"done": 6, "kept": 0, "outside": 0, "failed": 0, "left": 0}
    assert not report.interrupted
    assert [outcome.name for outcome in report.outcomes] == [f"t{i}" for i in range(6)]
    made = {path: path.stat().st_mtime_ns for path in (asked.out_dir).glob("*.classes.tif")}
    assert len(made) == 6
    assert batch(asked).counts()["kept"] == 6
    first = min(made)
    first.unlink()
    assert batch(asked).counts() == {"done": 1, "kept": 5, "outside": 0, "failed": 0, "left": 0}
    assert {path: path.stat().st_mtime_ns for path in made if path != first} == {
        path: stamp for path, stamp in made.items() if path != first
    }
    assert {path.name for path in asked.out_dir.iterdir()} == {
        "report.json",
        "report.csv",
        *(f"t{i}{end}" for i in range(6) for end in (".classes.tif", ".classes.tif.aux.xml", ".geoseg.json")),
    }


def test_what_a_cluster_made_is_kept_by_a_run_without_one_and_the_other_way_round(asked, tiles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    square = {"type": "Polygon", "coordinates": [[[55, 25], [56, 25], [56, 26], [55, 26], [55, 25]]]}
    Path("aoi.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": square}))
    near = replace(asked.how, reading=SceneRequest(aoi=Path("aoi.geojson")))
    card = load_card(near.model)
    both = replace(asked, how=near), replace(asked, how=near).seen_from_anywhere()
    keys = [[task.key for task in scene_tasks(request, card)] for request in both]
    assert keys[0] == keys[1]
    batch(asked)
    assert batch(replace(asked, where=Where())).counts()["kept"] == 6


def test_paths_mean_the_same_to_workers_that_started_elsewhere(asked, tmp_path, tiny_model_path, monkeypatch):
    """A worker of another folder is played by leaving this one as soon as a task is about to be done."""
    monkeypatch.chdir(tmp_path)
    model = Path("model.safetensors")
    model.write_bytes(tiny_model_path.read_bytes())
    request = replace(asked, out_dir=Path("maps"), how=replace(asked.how, model=str(model)))
    request = request.of(gather_inputs(["tiles"]))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    perform = on_cluster.perform

    def from_elsewhere(task, warm):
        monkeypatch.chdir(elsewhere)
        return perform(task, warm)

    monkeypatch.setattr(on_cluster, "perform", from_elsewhere)
    assert batch(request).counts()["done"] == 6
    assert len(list((tmp_path / "maps").glob("*.classes.tif"))) == 6
    assert list(elsewhere.iterdir()) == []


def test_a_tile_that_fails_is_named_and_the_others_are_done(asked, tiles):
    (tiles / "t2.tif").write_bytes(b"II*\0 damaged")
    told = []
    report = batch(asked, Watch(failure=told.append))
    assert report.counts() == {"done": 5, "kept": 0, "outside": 0, "failed": 1, "left": 0}
    assert [outcome.name for outcome in told] == ["t2"]
    assert "t2.tif" in told[0].why
    assert (asked.out_dir / "t2.geoseg.log").read_text().startswith(told[0].why)


def test_a_map_of_all_tiles_is_joined_here(asked, tmp_path):
    request = replace(asked, out_dir=None, mosaic=tmp_path / "town.gpkg")
    report = batch(request)
    assert report.maps[0]["status"] == "done"
    assert (tmp_path / "town.classes.tif").is_file()


def test_what_a_task_raises_is_an_outcome(connected, asked, tmp_path, monkeypatch):
    def bad(task, warm):
        raise MemoryError("no\nroom")

    monkeypatch.setattr(on_cluster, "perform", bad)
    (outcome,) = connected.run(named(1, tmp_path, asked))
    assert (outcome.status, outcome.why) == ("failed", "n0.tif: MemoryError: no room")


def test_a_failure_told_late_does_not_undo_what_was_done(asked):
    batch(asked)
    card = load_card(asked.how.model)
    for task in scene_tasks(asked, card):
        assert on_cluster.failed(task, "its worker was lost").status == "failed"
        assert manifest.why_not_done(task) == ""
        assert not task.log.exists()


def test_the_same_scene_for_two_folders_is_done_for_both(asked, tmp_path):
    """Their run keys are the same, but the second must not join the first."""
    other = replace(asked, out_dir=tmp_path / "other")
    reports = []
    both = [threading.Thread(target=lambda r=r: reports.append(batch(r))) for r in (asked, other)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert [report.counts()["done"] for report in reports] == [6, 6]
    assert len(list(other.out_dir.glob("*.classes.tif"))) == len(list(asked.out_dir.glob("*.classes.tif"))) == 6


def test_two_clients_with_the_same_work_do_it_once(asked, monkeypatch):
    runs, perform = [], on_cluster.perform

    def counted(task, warm):
        outcome = perform(task, warm)
        runs.append(outcome.status)
        return outcome

    monkeypatch.setattr(on_cluster, "perform", counted)
    reports = []
    both = [threading.Thread(target=lambda: reports.append(batch(asked))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert runs.count("done") == 6
    assert all(report.counts()["failed"] == report.counts()["left"] == 0 for report in reports)


def test_few_tasks_are_in_hand_however_many_there_are(connected, here, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "perform", lambda task, warm: done(task))
    taken, most = 0, 0

    def counted():
        nonlocal taken
        for task in named(300, tmp_path, asked):
            taken += 1
            yield task

    for ended, _ in enumerate(connected.run(counted()), 1):
        assert taken - ended <= 4  # two for each thread
        most = max(most, len(here.scheduler.tasks))
    assert ended == taken == 300
    assert most <= 8  # those, and some that are being forgotten
    assert len(connected._client.futures) <= 4


def test_what_travels_is_small(connected, asked, tmp_path, monkeypatch):
    card = load_card(asked.how.model)
    for task in scene_tasks(asked.seen_from_anywhere(), card):
        assert len(pickle.dumps(task)) < 20_000
    report = batch(asked)
    for outcome in report.outcomes:
        assert len(pickle.dumps(outcome)) < 10_000
    connected._threads = {f"tcp://10.{i >> 8}.{i & 255}.1:4000": 8 for i in range(10_000)}
    connected._threads["tcp://10.0.0.1:4001"] = 8
    assert connected._beside() == {"": 8, "10.0.0.1": 16}


def test_a_worker_has_its_share_of_the_machine(asked, connected, tmp_path, monkeypatch):
    from dask import system

    monkeypatch.setattr(system, "CPU_COUNT", 12)
    seen = []
    monkeypatch.setattr(on_cluster, "perform", lambda task, warm: (seen.append(task), done(task))[1])
    free = replace(asked, how=replace(asked.how, runs_on=RunsOn(device="cpu")))
    list(connected.run(named(1, tmp_path, free)))
    list(connected.run(named(1, tmp_path, asked, "told")))
    assert [task.request.runs_on.threads for task in seen] == [6, 1]


@pytest.mark.parametrize(("gpu", "expected"), [(True, {"GPU": 1.0}), (False, None)])
def test_gpus_are_asked_for(here, asked, tmp_path, monkeypatch, gpu, expected):
    monkeypatch.setattr(on_cluster, "perform", lambda task, warm: done(task))
    with connect.cluster(Where(scheduler=here.scheduler_address), tmp_path, gpu=gpu) as connected:
        submit, seen = connected._client.submit, []
        monkeypatch.setattr(
            connected._client, "submit", lambda *a, **k: (seen.append(k["resources"]), submit(*a, **k))[1]
        )
        assert len(list(connected.run(named(3, tmp_path, asked)))) == 3
    assert seen == [expected] * 3


def test_a_cluster_that_all_workers_leave(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "DESERTED_S", 1.0)
    monkeypatch.setattr(on_cluster, "_LOOK_S", 0.1)
    monkeypatch.setattr(on_cluster, "perform", lambda task, warm: done(task))
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as made,
        connect.cluster(Where(scheduler=made.scheduler_address), tmp_path, gpu=False) as connected,
    ):
        warned = []
        outcomes = connected.run(named(50, tmp_path, asked), warned.append)
        next(outcomes)
        made.scale(0)
        rest = list(outcomes)
    assert len(rest) < 49
    assert len(warned) == 1
    assert "has had no workers" in warned[0]


def test_a_task_that_is_cancelled_on_the_cluster_is_left(connected, here, asked, tmp_path, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(on_cluster, "perform", lambda task, warm: (go.wait(20), done(task))[1])
    outcomes = {}
    run = connected.run(named(4, tmp_path, asked))
    thread = threading.Thread(target=lambda: outcomes.update((o.name, o.status) for o in run))
    thread.start()
    until = time.monotonic() + 10
    while len(connected._client.futures) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    future = distributed.Future(min(connected._client.futures), connected._client)
    connected._client.cancel([future], force=True)
    time.sleep(0.3)
    go.set()
    thread.join(20)
    assert sorted(outcomes.values()) == ["done", "done", "done", "left"]
