"""Results appear whole or not at all."""

# ruff: noqa: PT012 - the body of a publication is what fails, so it stands inside pytest.raises

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from geoseg.errors import Interrupted, OutputError, UsageError
from geoseg.layers import publish
from geoseg.layers.publish import Publication, check_target, published
from tests.published import OLD, names, refusal

if TYPE_CHECKING:
    from pathlib import Path


def test_a_good_block_publishes_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "map.geojson"
    with published(target, overwrite=False) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".geojson"
        assert temporary.name.startswith(f".map.{os.getpid()}.")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == {"map.geojson"}


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, Interrupted, OutputError])
def test_any_exception_leaves_the_earlier_bytes_and_no_temporary_files(tmp_path, stop):
    target = tmp_path / "map.gpkg"
    target.write_bytes(OLD)
    with pytest.raises(stop), published(target, overwrite=True) as temporary:
        for ending in ("", "-journal", "-wal", ".aux.xml", ".ovr", ".tmp_rtree_roads.db"):
            temporary.with_name(temporary.name + ending).write_bytes(b"half")
        raise stop
    assert target.read_bytes() == OLD
    assert names(tmp_path) == {"map.gpkg"}


def test_an_error_about_the_temporary_file_names_the_target(tmp_path):
    target = tmp_path / "map.fgb"
    with (
        pytest.raises(OutputError, match=r"map\.fgb: no luck") as caught,
        published(target, overwrite=True) as temporary,
    ):
        raise OutputError(f"{temporary}: no luck")
    assert ".tmp" not in str(caught.value)


def test_a_failed_verification_publishes_none_of_several(tmp_path):
    first, second = tmp_path / "a.tif", tmp_path / "b.json"
    first.write_bytes(OLD)

    def refuse(written: Path) -> None:
        raise OutputError(f"{written}: two of three features")

    with (
        pytest.raises(OutputError, match=r"b\.json: two of three"),
        Publication(overwrite=True) as publication,
    ):
        publication.add(first).write_bytes(b"new")
        publication.add(second, refuse).write_bytes(b"new")
    assert first.read_bytes() == OLD
    assert names(tmp_path) == {"a.tif"}


@pytest.mark.parametrize("kind", [OSError, Interrupted, KeyboardInterrupt])
@pytest.mark.parametrize("links", [True, False])
def test_a_fault_between_two_renames_takes_the_first_back(tmp_path, monkeypatch, kind, links):
    old, new, last = tmp_path / "old.tif", tmp_path / "new.tif", tmp_path / "last.tif"
    old.write_bytes(OLD)
    (tmp_path / "old.tif.aux.xml").write_bytes(b"earlier names")
    original = publish._rename

    def failing(temporary, final, backup, *, overwrite):
        if final == last:
            raise kind(5, "broken", str(final))
        original(temporary, final, backup, overwrite=overwrite)

    monkeypatch.setattr(publish, "_rename", failing)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(95, "no links")))
        old = tmp_path / "none.tif"  # without hard links an earlier file is not taken back; new ones are
    with pytest.raises(OutputError if kind is OSError else kind), Publication(overwrite=True) as publication:
        for path in (old, new, last):
            publication.add(path).write_bytes(b"new")
    assert names(tmp_path) == {"old.tif", "old.tif.aux.xml"}
    assert (tmp_path / "old.tif").read_bytes() == OLD
    assert (tmp_path / "old.tif.aux.xml").read_bytes() == b"earlier names"


def test_companions_move_along_and_stale_ones_go(tmp_path):
    target = tmp_path / "map.tif"
    target.write_bytes(OLD)
    for ending in (".aux.xml", ".ovr"):
        (tmp_path / f"map.tif{ending}").write_bytes(b"of the earlier file")
    with published(target, overwrite=True) as temporary:
        temporary.write_bytes(b"new")
        temporary.with_name(temporary.name + ".aux.xml").write_bytes(b"new names")
    assert names(tmp_path) == {"map.tif", "map.tif.aux.xml"}
    assert (tmp_path / "map.tif.aux.xml").read_bytes() == b"new names"


def test_a_file_that_was_never_written_is_an_error(tmp_path):
    with (
        pytest.raises(OutputError, match=r"map\.tif: was not written"),
        published(tmp_path / "map.tif", overwrite=True),
    ):
        pass


def test_one_name_for_two_results_is_refused(tmp_path):
    with pytest.raises(UsageError, match="two results"), Publication(overwrite=True) as publication:
        publication.add(tmp_path / "a.tif")
        publication.add(tmp_path / "x" / ".." / "a.tif" if os.name == "nt" else f"{tmp_path}/./a.tif")


def test_a_name_taken_meanwhile_is_not_replaced(tmp_path):
    target = tmp_path / "a.tif"
    with pytest.raises(OutputError, match="exists"), published(target, overwrite=False) as temporary:
        temporary.write_bytes(b"new")
        target.write_bytes(OLD)
    assert target.read_bytes() == OLD
    assert names(tmp_path) == {"a.tif"}


def test_the_rename_itself_never_replaces_without_overwrite(tmp_path):
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "final").write_bytes(OLD)
    with pytest.raises(FileExistsError):
        publish._rename_to_new(tmp_path / "new", tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == OLD


def test_targets_that_cannot_be_written_are_refused_early(tmp_path):
    file = tmp_path / "file.tif"
    file.write_bytes(OLD)
    assert str(refusal(file)) == f"{file}: exists; add --overwrite to replace it"
    assert "does not exist" in str(refusal(tmp_path / "none" / "a.tif"))
    assert "is a file, not a folder" in str(refusal(file / "a.tif"))
    assert "is a folder" in str(refusal(tmp_path, overwrite=True))
    assert "not the name of a file" in str(refusal("a\0b.tif"))
    assert "not the name of a file" in str(refusal(""))
    check_target(file, overwrite=True)
    check_target(tmp_path / "new.tif", overwrite=False)
    assert names(tmp_path) == {"file.tif"}


@pytest.mark.skipif(os.name == "nt", reason="no device files")
def test_a_device_is_never_replaced():
    assert "device" in str(refusal("/dev/null", overwrite=True))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written to" in str(refusal(tmp_path / "a.tif"))


def test_an_input_is_never_a_target(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(OLD)
    for path in (scene, tmp_path / "scene.tif.aux.xml", tmp_path / "." / "scene.tif"):
        error = refusal(path, overwrite=True, inputs=[scene])
        assert isinstance(error, UsageError)
