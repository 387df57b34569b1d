"""Inputs of a batch: files, folders, patterns, lists and addresses, each taken once."""

from __future__ import annotations

import io
import itertools
import os
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.batch.sources.inputs import Input, gather_inputs
from geoseg.errors import InputError, UsageError
from geoseg.scene.open import open_raster
from tests.batch_files import link, names, sources, touch

SAMPLES = Path(__file__).parents[1] / "sample_data"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_files_keep_their_order_and_missing_ones_are_inputs():
    touch("b.tif", "a.tif")
    assert gather_inputs(["b.tif", "gone.tif", "a.tif"]) == [
        Input("b.tif", "b"),
        Input("gone.tif", "gone"),
        Input("a.tif", "a"),
    ]


def test_a_folder_stands_for_all_images_below_it():
    touch("s/b/2.TIF", "s/b/10.jp2", "s/a-b/x.png", "s/a/x.jpeg", "s/a/y.vrt", "s/z.img")
    touch("s/notes.txt", "s/.hidden.tif", "s/.git/x.tif", "s/x.gpkg", "s/x.tif.aux.xml", "s/x.tif.ovr", "s/x.tfw")
    touch("s/.x.123.0a1b2c3d.tmp.tif")
    kept = ["a/x.jpeg", "a/y.vrt", "a-b/x.png", "b/10.jp2", "b/2.TIF", "z.img"]
    assert sources("s") == [str(Path("s", name)) for name in kept]
    assert names("s") == ["a/x", "a/y", "a-b/x", "b/10", "b/2", "z"]


def test_names_count_from_the_folder_that_was_given_whatever_lies_in_it():
    touch("s/deep/er/1.tif", "s/deep/er/x/2.tif", "s/deep/er/y/2.tif")
    assert names("s") == ["deep/er/1", "deep/er/x/2", "deep/er/y/2"]
    touch("s/0.tif")
    assert names("s") == ["0", "deep/er/1", "deep/er/x/2", "deep/er/y/2"]
    assert names("s/deep/er/x") == ["2"]
    assert names("s/deep/er/x", "s/deep/er/y") == ["x/2", "y/2"]
    assert names("s/deep/er/x/*.tif", "s/deep/er/y") == ["x/2", "y/2"]


def test_the_folder_that_named_files_share_is_cut_off():
    touch("s/deep/er/1.tif", "s/deep/er/x/2.tif", "s/deep/er/y/2.tif")
    assert names("s/deep/er/1.tif", "s/deep/er/x/2.tif") == ["1", "x/2"]


def test_own_rasters_are_left_out(write_scene):
    pixels = np.ones((1, 8, 8), np.uint8)
    Path("s").mkdir()
    for number, (tag, options) in enumerate(
        itertools.product(["GEOSEG_LEGEND", "GEOSEG_CONTENT", "OTHER"], [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
    ):
        path = write_scene(Path(f"s/{tag}{number}.tif"), pixels, **options)
        with rasterio.open(path, "r+") as file:
            file.update_tags(**{tag: "x"})
    plain = write_scene(Path("s/plain.tif"), pixels)
    cut = Path("s/cut.tif")
    cut.write_bytes(plain.read_bytes()[:9])
    link("s/link.tif", "GEOSEG_LEGEND0.tif")
    kept = ["OTHER6", "OTHER7", "OTHER8", "cut", "plain"]
    assert names("s") == kept
    assert names("s/*.tif") == kept
    assert names("s/GEOSEG_LEGEND0.tif") == ["GEOSEG_LEGEND0"], "named by itself it is what is asked for"
    assert names(str(SAMPLES)) == ["scene"]


@pytest.mark.parametrize("folder", ["empty", "other"])
def test_a_folder_without_images_is_named(folder):
    Path("empty").mkdir()
    touch("other/notes.txt", "good.tif")
    with pytest.raises(UsageError, match=f"^{folder}: holds no images, .*; name another") as told:
        gather_inputs(["good.tif", folder])
    assert told.value.exit_code == 2


def test_a_folder_that_cannot_be_read_is_told(monkeypatch):
    touch("s/a.tif", "s/closed/b.tif")
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    told = []
    assert names("s", note=told.append) == ["a"]
    assert len(told) == 1
    assert "closed: cannot be read (Permission denied)" in told[0]


def test_links_in_circles_end_and_files_are_called_by_their_own_folder():
    touch("s/real/a.tif", "s/real/b.tif", "elsewhere/c.tif")
    link("s/again", "real", folder=True)
    link("s/real/up", "..", folder=True)
    link("s/up", "..", folder=True)
    link("s/self.tif", "self.tif")
    link("s/broken.tif", "nowhere.tif")
    link("s/broken", "nowhere")
    told = []
    assert names("s", note=told.append) == ["broken", "real/a", "real/b", "self", "up/elsewhere/c"]
    assert told == []
    with pytest.raises(InputError, match="broken link"), open_raster("s/broken.tif"):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_folder_is_no_image():
    touch("s/a.tif")
    os.mkfifo("s/pipe.tif")
    assert sources("s") == ["s/a.tif"]


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800.tif"])
def test_what_no_file_can_be_called_is_refused(text):
    if os.name == "nt" and text and "\0" not in text:
        pytest.skip("Windows has such names")
    with pytest.raises(UsageError, match="is not a path"):
        gather_inputs([text])


def test_patterns_that_no_shell_expanded():
    touch("s/1/a.tif", "s/2/a.tif", "s/2/x.txt", "s/2/.h.tif", "s/b.tif", "top.tif", "s/c.dat", "t/d.tif")
    assert sources("s/*.tif") == [str(Path("s", "b.tif"))]
    assert names("s/*") == ["1/a", "2/a", "b"], "folders that match are walked, as if a shell had named them"
    assert names("s/[12]/?.tif") == ["1/a", "2/a"]
    assert names("s/**") == names("s/**/*.tif") == ["1/a", "2/a", "b"]
    assert names("[s]/**/*") == ["s/1/a", "s/2/a", "s/b"]
    assert sources("**/a.tif") == [str(Path("s", "1", "a.tif")), str(Path("s", "2", "a.tif"))]
    assert names("**/s/**/2/**") == ["s/2/a"]
    assert names("?/*.tif") == ["s/b", "t/d"]
    assert names("?/**/*.tif") == ["s/1/a", "s/2/a", "s/b", "t/d"]
    assert names("s/*.dat") == ["c"], "an ending that is asked for is taken"
    assert names(f"{Path.cwd()}/**/b.tif") == ["s/b"]


@pytest.mark.parametrize(
    "pattern", ["*.tif", "**/*.tif", "nowhere/**", "s/*.txt/*", "s/**/**/x.tif", "[s/**", "s/**/y/**"]
)
def test_a_pattern_without_images_is_named(pattern):
    touch("s/notes.txt", "s/y.jp2")
    with pytest.raises(UsageError) as told:
        gather_inputs([pattern])
    assert str(told.value).startswith(f"{pattern}: matches no images")


def test_patterns_do_not_run_in_circles():
    touch("s/a.tif")
    for name in "xyz":
        link(f"s/{name}", ".", folder=True)
    started = time.monotonic()
    assert names("s/**/*.tif") == ["a"]
    assert time.monotonic() - started < 5


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_what_exists_under_its_very_name_is_no_pattern():
    touch("a[1].tif", "a1.tif", "s*/b.tif", "star/c.tif")
    assert sources("a[1].tif") == ["a[1].tif"]
    assert sources("s*") == ["s*/b.tif"]
    assert names("s*") == ["b"]


def test_nothing_at_all_says_what_to_type():
    with pytest.raises(UsageError, match=r"^no scenes are given; type: geoseg batch FOLDER") as told:
        gather_inputs([])
    assert told.value.exit_code == 2
    Path("list").write_text("\n\r\n  \n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^list: lists no scenes, expected one path per line"):
        gather_inputs([], files_from="list")
    touch("a.tif")
    assert sources("a.tif", files_from="list") == ["a.tif"]
    with pytest.raises(UsageError, match=r"no list is given; add --files-from"):
        gather_inputs(["a.tif"], nul=True)


def test_a_list_is_taken_literally():
    touch("a1.tif", "folder/z.tif")
    lines = ["#1.tif", "", "a[1].tif", "  spaced.tif ", "-dash.tif", "../up.tif", "folder", "*.tif", "ünï.tif", "~"]
    Path("list.txt").write_bytes("\r\n".join(lines).encode())
    found = sources(files_from="list.txt")
    assert found[:2] == ["#1.tif", "a[1].tif"]
    assert found[2] == f".{os.sep}  spaced.tif "
    assert found[3] == f".{os.sep}-dash.tif"
    assert found[4:] == ["../up.tif", str(Path("folder", "z.tif")), "*.tif", "ünï.tif", "~"]


def test_entries_that_end_with_nul_hold_anything():
    Path("list").write_bytes(b"line\nbreak.tif\0\0#x.tif\0\r.tif\0last.tif")
    found = gather_inputs([], files_from="list", nul=True)
    assert [f.source for f in found] == ["line\nbreak.tif", "#x.tif", f".{os.sep}\r.tif", "last.tif"]
    assert [f.name for f in found] == ["line_break", "#x", "_", "last"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_no_utf8_are_found():
    Path(os.fsdecode(b"caf\xe9.tif")).write_bytes(b"x")
    Path("list").write_bytes(b"caf\xe9.tif\n")
    (found,) = gather_inputs([], files_from="list")
    assert Path(found.source).exists()
    assert found.name == "caf_"
    assert sources(".") == [f".{os.sep}{found.source}"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_as_windows_writes_them(encoding):
    Path("list").write_bytes("größe.tif\r\nb.tif\r\n".encode(encoding))
    assert sources(files_from="list") == ["größe.tif", "b.tif"]


@pytest.mark.parametrize(
    ("raw", "nul", "said"),
    [
        (b"a.tif\nb.tif\n", True, "list: has no NUL, .*leave -0 out"),
        (b"a.tif\0b.tif\0", False, "list: holds NUL, .*add -0"),
        (b"\xff\xfea", False, "list: is damaged UTF-16, .*save it as UTF-8"),
    ],
)
def test_lists_of_another_kind_are_told(raw, nul, said):
    Path("list").write_bytes(raw)
    with pytest.raises(InputError, match=said):
        gather_inputs([], files_from="list", nul=nul)


@pytest.mark.parametrize("place", ["gone", ".", "a\0b"])
def test_a_list_that_cannot_be_read_is_told(place):
    with pytest.raises(InputError, match=r"cannot be read \(.*\), expected a list"):
        gather_inputs([], files_from=place)


def test_standard_input_is_a_list(monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"a.tif\nb.tif\n")))
    assert sources("c.tif", files_from="-") == ["c.tif", "a.tif", "b.tif"]
    with pytest.raises(UsageError, match=r"^standard input: lists no scenes"):
        gather_inputs([], files_from="-")
    with pytest.raises(UsageError, match="type: --files-from -"):
        gather_inputs(["-"])
    touch("-")
    assert sources("-") == [f".{os.sep}-"]


def test_a_file_is_taken_once_and_the_note_counts():
    touch("s/a.tif", "s/b.tif")
    link("link.tif", "s/a.tif")
    link("t", "s", folder=True)
    told = []
    given = ["link.tif", "./s/a.tif", "s//b.tif", "t/b.tif", "s", "gone.tif", "./gone.tif"]
    given.append(str(Path("s/b.tif").absolute()))
    found = gather_inputs(given, note=told.append)
    assert {f.name: Path(f.source).is_symlink() for f in found} == {"s/a": False, "s/b": False, "gone": False}
    assert told == ["6 of 9 inputs name a file that is given already; each file is taken once"]
    for order in itertools.permutations(given[:5]):
        assert {f.source for f in gather_inputs(order)} <= {"./s/a.tif", "s/a.tif", "s//b.tif", "s/b.tif"}
        assert {f.name for f in gather_inputs(order)} == {"a", "b"}


def test_ten_thousand_are_gathered():
    for folder in range(100):
        Path(f"s/{folder}").mkdir(parents=True)
        for number in range(100):
            Path(f"s/{folder}/{number}.tif").touch()
    Path("list").write_text("\n".join(f"s/{n % 100}/{n // 100}.tif" for n in range(10_000)), encoding="utf-8")
    Path("gone").write_text("\n".join(f"g/{n}.tif\ng/{n}.png" for n in range(5_000)), encoding="utf-8")
    for given, listed in ((["s"], None), ([], "list"), (["s/**/*.tif"], None), ([], "gone")):
        found = gather_inputs(given, files_from=listed)
        assert len({one.name for one in found}) == len(found) == 10_000


def test_addresses_only_where_the_network_is_allowed():
    address = "https://me:secret@example.com/a/b.tif?sig=hidden"
    with pytest.raises(UsageError) as told:
        gather_inputs([address])
    assert str(told.value) == (
        "https://example.com/a/b.tif: is an address, not a local file; download it first, or add --allow-network"
    )
    given = [address, "s3://bucket/a/c.tif", "gs://bucket/d/%2e%2e/c%2Fd.tif#x", "https://example.com", address]
    told = []
    found = gather_inputs(given, allow_network=True, note=told.append)
    assert [f.source for f in found] == given[:4]
    assert [f.name for f in found] == ["a/b", "a/c", "d/_/c_d", "scene"]
    assert told == ["1 of 5 inputs name a file that is given already; each file is taken once"]
    Path("list").write_text(address, encoding="utf-8")
    with pytest.raises(UsageError, match="allow-network"):
        gather_inputs([], files_from="list")


@pytest.mark.parametrize(
    "address", ["ftp://x/a.tif", "file:///a.tif", "/vsicurl/https://me:it@x/a.tif", " gopher://x/a"]
)
@pytest.mark.parametrize("allowed", [True, False])
def test_other_addresses_are_refused(address, allowed):
    with pytest.raises(UsageError, match="is not an address geoseg reads; use https") as told:
        gather_inputs([address], allow_network=allowed)
    assert "me:it" not in str(told.value)
