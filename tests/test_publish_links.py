"""Links stay, and what they lead to is replaced or refused."""

# ruff: noqa: PT012 - the body of a publication is what fails, so it stands inside pytest.raises

from __future__ import annotations

import os
from pathlib import Path

import pytest

from geoseg.errors import OutputError, UsageError
from geoseg.layers.publish import Publication, published
from tests.published import OLD, content, database, names, refusal


def link(path: Path, to: Path | str) -> Path:
    try:
        path.symlink_to(to)
    except OSError:  # Windows, without the right to make links
        pytest.skip("no symbolic links here")
    return path


@pytest.mark.parametrize("ending", [".gpkg", ""])
def test_a_link_stays_and_the_file_it_leads_to_is_replaced(tmp_path, ending):
    (tmp_path / "store").mkdir()
    real = tmp_path / "store" / f"v1{ending}"
    database(real, "old")
    named = link(link(tmp_path / "latest", real).with_name("map.gpkg"), "latest")
    assert str(refusal(named)) == f"{real}: exists; add --overwrite to replace it"
    with published(named, overwrite=True) as temporary:
        assert temporary.parent == real.parent
        assert temporary.suffix == ".gpkg"
        database(temporary)
    assert named.readlink() == Path("latest")
    assert not real.is_symlink()
    assert content(real) == content(named) == "new"
    assert names(tmp_path) == {"store", "latest", "map.gpkg"}
    assert names(real.parent) == {real.name}


def test_a_failure_behind_a_link_keeps_link_and_file(tmp_path):
    real = tmp_path / "v1.json"
    real.write_bytes(OLD)
    named = link(tmp_path / "map.json", real)
    with pytest.raises(OutputError, match=r"v1\.json: no luck"), published(named, overwrite=True) as temporary:
        temporary.write_bytes(b"half")
        raise OutputError(f"{temporary}: no luck")
    assert named.is_symlink()
    assert real.read_bytes() == OLD
    assert names(tmp_path) == {"v1.json", "map.json"}


def test_a_link_to_a_file_that_is_not_there_yet_writes_it(tmp_path):
    named = link(tmp_path / "map.json", "v1.json")
    with published(named, overwrite=False) as temporary:
        temporary.write_bytes(b"new")
    assert named.is_symlink()
    assert (tmp_path / "v1.json").read_bytes() == b"new"
    assert "does not exist" in str(refusal(link(tmp_path / "lost.json", tmp_path / "none" / "v1.json")))


@pytest.mark.skipif(os.name == "nt", reason="no device files")
def test_a_link_to_what_is_no_file_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for number, (to, words) in enumerate(
        [
            (os.devnull, "link to a device or a pipe"),
            (tmp_path / "pipe", "link to a device or a pipe"),
            (tmp_path / "folder", "link to a folder"),
            (tmp_path / "3.json", "leads nowhere"),  # to itself
        ]
    ):
        named = link(tmp_path / f"{number}.json", to)
        error = refusal(named, overwrite=True)
        assert words in str(error)
        assert error.exit_code == 4
        with pytest.raises(OutputError, match=words), published(named, overwrite=True):
            pass
        assert named.is_symlink()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files have no names here")
def test_a_link_to_an_anonymous_pipe_is_refused(tmp_path):
    reading, writing = os.pipe()
    try:  # as /dev/stdout is, where the output is piped
        assert "device or a pipe" in str(refusal(link(tmp_path / "out", f"/proc/self/fd/{writing}"), overwrite=True))
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_that_becomes_a_link_meanwhile_is_not_replaced(tmp_path):
    other = tmp_path / "other.json"
    other.write_bytes(OLD)
    with (
        pytest.raises(OutputError, match="become a link"),
        published(tmp_path / "map.json", overwrite=True) as temporary,
    ):
        temporary.write_bytes(b"new")
        link(tmp_path / "map.json", other)
    assert other.read_bytes() == OLD
    assert (tmp_path / "map.json").is_symlink()


def test_a_link_to_an_input_or_to_another_result_is_refused(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(OLD)
    named = link(tmp_path / "map.tif", scene)
    assert "is an input" in str(refusal(named, overwrite=True, inputs=[scene]))
    with pytest.raises(UsageError, match="two results"), Publication(overwrite=True) as publication:
        publication.add(scene)
        publication.add(named)
    assert scene.read_bytes() == OLD
