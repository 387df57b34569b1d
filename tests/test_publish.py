"""Nothing half-written is ever seen under a result's name, and earlier results survive every failure."""

# ruff: noqa: PT012 - the body of a publication is what fails, so it stands inside pytest.raises

import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from geoseg.errors import Interrupted, OutputError, UsageError
from geoseg.layers import publish, temporary
from geoseg.layers.publish import Publication, check_target, published

OLD = b"the earlier result"


def names(folder: Path) -> set[str]:
    return {found.name for found in folder.iterdir()}


def database(path: Path, content: str = "new") -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE note (text)")
        file.execute("INSERT INTO note VALUES (?)", (content,))
        file.commit()


def content(path: Path) -> str:
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return file.execute("SELECT text FROM note").fetchone()[0]


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


# --- targets refused early


def refusal(path, *, overwrite=False, inputs=()):
    with pytest.raises((OutputError, UsageError)) as caught:
        check_target(path, overwrite=overwrite, inputs=inputs)
    assert "\n" not in str(caught.value)
    return caught.value


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


# --- symbolic links


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


# --- GeoPackages beside which something lies


def crashed(path: Path, mode: str) -> None:
    """Leave a database as a killed writer does: with a hot journal or an unchecked-in WAL."""
    script = f"""
        import os, sqlite3
        file = sqlite3.connect({str(path)!r}, isolation_level=None)
        file.execute("PRAGMA journal_mode={mode}")
        file.execute("PRAGMA cache_size=1")
        file.execute("CREATE TABLE note (text)")
        file.execute("INSERT INTO note VALUES ('old')")
        file.execute("BEGIN")
        for _ in range(300):
            file.execute("INSERT INTO note VALUES (?)", ("x" * 1000,))
        if {mode!r} == "wal":
            file.execute("COMMIT")
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert (path.with_name(path.name + ("-wal" if mode == "wal" else "-journal"))).stat().st_size > 0


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_stale_side_files_never_reach_the_new_geopackage(tmp_path, mode):
    target = tmp_path / "map.gpkg"
    crashed(target, mode)
    with published(target, overwrite=True) as temporary:
        database(temporary)
    assert content(target) == "new"
    assert names(tmp_path) == {"map.gpkg"}


@pytest.mark.parametrize("ending", ["-journal", "-wal"])
def test_side_files_without_a_database_go_only_with_overwrite(tmp_path, ending):
    target = tmp_path / "map.gpkg"
    crashed(target, "wal" if ending == "-wal" else "delete")
    target.unlink()
    assert "left-over map.gpkg-" in str(refusal(target))
    with published(target, overwrite=True) as temporary:
        database(temporary)
    assert content(target) == "new"
    assert names(tmp_path) == {"map.gpkg"}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_geopackage_open_elsewhere_is_refused_and_unharmed(tmp_path, mode, when):
    target = tmp_path / "map.gpkg"
    database(target, "old")
    with closing(sqlite3.connect(target, isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode={mode}")

        def open_elsewhere():
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO note VALUES ('edit')")

        if when == "before":
            open_elsewhere()
            assert "is open in another program" in str(refusal(target, overwrite=True))
        with (
            pytest.raises(OutputError, match="is open in another program"),
            published(target, overwrite=True) as temporary,
        ):
            open_elsewhere()
            database(temporary)
        other.execute("COMMIT")
    assert content(target) == "old"
    assert names(tmp_path) == {"map.gpkg"}


def test_a_damaged_temporary_geopackage_is_not_published(tmp_path):
    target = tmp_path / "map.gpkg"
    database(target, "old")
    with (
        pytest.raises(OutputError, match=r"map\.gpkg: came out damaged"),
        published(target, overwrite=True) as temporary,
    ):
        database(temporary)
        with temporary.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
    assert content(target) == "old"


def test_a_text_file_called_geopackage_can_be_replaced(tmp_path):
    target = tmp_path / "map.gpkg"
    target.write_bytes(OLD)
    with published(target, overwrite=True) as temporary:
        database(temporary)
    assert content(target) == "new"


# --- the disk and what crashes leave


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
