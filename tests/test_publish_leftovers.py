"""A full disk, and what dead runs have left."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from geoseg.layers import temporary
from geoseg.layers.publish import published
from tests.published import OLD, database, names


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk_is_one_sentence_and_keeps_the_earlier_file(tmp_path):
    target = tmp_path / "map.json"
    target.write_bytes(OLD)
    script = f"""
        import resource, signal
        from geoseg.errors import OutputError
        from geoseg.layers.publish import published
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with published({str(target)!r}, overwrite=True) as temporary:
                temporary.write_bytes(bytes(2000))
        except OutputError as error:
            print(error)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True, text=True)
    assert run.stdout == f"{target}: the file would be larger than allowed here; nothing was written\n"
    assert target.read_bytes() == OLD
    assert names(tmp_path) == {"map.json"}


def test_stale_temporary_files_of_dead_runs_are_removed_and_no_others(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale = f".map.{dead.pid}.0123abcd.tmp.gpkg"
    kept = {
        f".map.{os.getpid()}.0123abcd.tmp.gpkg",  # its process lives
        f".other.{dead.pid}.0123abcd.tmp.gpkg",  # somebody else's result
        f".map.{dead.pid}.notrandom.tmp.gpkg",  # not a name of ours
        f".map.{dead.pid}.0123abce.tmp.gpkg",  # young
        "map.1.0123abcd.tmp.gpkg",
    }
    for name in {stale, f"{stale}-journal", *kept}:
        (tmp_path / name).write_bytes(b"")
        if "0123abce" not in name:
            os.utime(tmp_path / name, times=(time.time() - 90_000,) * 2)
    with published(tmp_path / "map.gpkg", overwrite=False) as target:
        database(target)
    assert names(tmp_path) == kept | {"map.gpkg"}


def test_a_very_long_name_has_a_temporary_name(tmp_path):
    target = tmp_path / ("å" * 120 + ".json")
    with published(target, overwrite=False) as temporary:
        temporary.write_bytes(b"new")
    assert names(tmp_path) == {target.name}


def test_this_process_is_alive():
    assert temporary.is_alive(os.getpid())
