"""Which accelerators there are, and which process of a batch gets which."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from geoseg.batch.local import _Pool, gpus_here


@pytest.mark.parametrize(
    ("visible", "found"),
    [("", []), ("-1", []), ("0,1", ["0", "1"]), (" 2 , GPU-7f ", ["2", "GPU-7f"]), ("MIG-a/1/0", ["MIG-a/1/0"])],
)
def test_accelerators_that_are_visible(monkeypatch, visible, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == found


@pytest.mark.skipif(sys.platform == "win32", reason="a script of POSIX")
@pytest.mark.parametrize(("script", "found"), [("echo 0; echo 1", ["0", "1"]), ("exit 9", []), (None, [])])
def test_accelerators_that_the_driver_knows(tmp_path, monkeypatch, script, found):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    assert gpus_here() == found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks a POSIX shell")
def test_each_process_gets_an_accelerator_of_its_own():
    pool = _Pool(2, ["3", "GPU-7f"])
    try:
        script = "sleep 0.4; echo $PPID $CUDA_VISIBLE_DEVICES"
        futures = [pool._executor.submit(subprocess.getoutput, script) for _ in range(12)]
        given = {tuple(future.result(60).split()) for future in futures}
    finally:
        pool.stop()
    assert {name for _, name in given} == {"3", "GPU-7f"}
    assert len(given) == 2


@pytest.mark.slow
def test_more_processes_than_accelerators_share_them():
    pool = _Pool(3, ["0"])
    try:
        futures = [pool._executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES") for _ in range(3)]
        assert {future.result(60) for future in futures} == {"0"}
    finally:
        pool.stop()
