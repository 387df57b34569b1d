"""Inputs of a batch: everything named is found once, nothing else, and every result has a safe name of its own."""

from __future__ import annotations

import http.server
import io
import itertools
import json
import os
import sys
import threading
import time
import types
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import hypothesis
import numpy as np
import pytest
import rasterio
from hypothesis import strategies as st

from geoseg.batch.sources import stac, stac_json
from geoseg.batch.sources.inputs import Input, gather_inputs
from geoseg.batch.sources.names import output_names
from geoseg.batch.sources.stac import stac_sources
from geoseg.errors import InputError, UsageError
from geoseg.scene.open import open_raster

SAMPLES = Path(__file__).parents[1] / "sample_data"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def sources(*given, **options):
    return [found.source for found in gather_inputs(given, **options)]


def names(*given, **options):
    return [found.name for found in gather_inputs(given, **options)]


def link(name, target, *, folder=False):
    try:
        Path(name).symlink_to(target, target_is_directory=folder)
    except OSError:
        pytest.skip("links are not allowed here")


# ---- files and folders


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


# ---- patterns


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


# ---- lists


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


# ---- each file once


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


# ---- addresses


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


# ---- names


def named(*given):
    """Return the names of files below one folder, in their order."""
    found = output_names(["/r/" + name for name in given])
    return [found["/r/" + name] for name in given]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("scene.tif", "scene"),
        ("scene", "scene"),
        ("a.b.c.tif", "a.b.c"),
        ("-rf.tif", "_rf"),
        (".hidden.tif", "_hidden"),
        ("CON.tif", "_CON"),
        ("nul.x.tif", "_nul.x"),
        ("com1.tif", "_com1"),
        ("COM¹ .tif", "_COM¹"),
        ("CONSOLE.tif", "CONSOLE"),
        ("tail. . .tif", "tail"),
        (" a .tif", "a"),
        ("a\nb\x07.tif", "a_b_"),
        ("a\u202eb.tif", "a_b"),
        ('a<>:"|?*\\b.tif', "a________b"),
        ("\udce9.tif", "_"),
        ("Tu\u0308r 東京 🏠.tif", "T\u00fcr 東京 🏠"),
        ("CON/a.gpkg/b.tif", "_CON/a_gpkg/b"),
        ("x./-y/z.tif", "x/_y/z"),
        ("C:/z.tif", "C_/z"),
    ],
)
def test_names_that_every_system_takes(name, safe):
    assert named("other.tif", name)[1] == safe


def test_same_stems_stay_apart():
    assert named("x/a.tif", "y/a.tif") == ["x/a", "y/a"]
    assert named("a.tif", "a.png", "b.tif") == ["a_tif", "a_png", "b"]
    assert named("a", "a.tif") == ["a", "a_tif"]
    assert named("a.tif", "A.png") == ["a_tif", "A_png"]
    first, second, third = named("a.tif", "A.tif", "b.tif")
    assert (first[:6], second[:6], third) == ("a_tif-", "A_tif-", "b")
    assert len(first) == len("a_tif-12345678")
    natural = named("a.tif", "a.png", "a_tif.jpg")
    assert natural[1] == "a_png"
    assert len(set(natural)) == 3
    sly = named("a.tif", "A.tif", f"{first}.jpg", "X.tif")  # a file that is called like another's result
    assert len({name.casefold() for name in sly}) == 4


def test_a_name_says_nothing_about_where_the_shared_folder_lies():
    def at(top):
        return list(output_names([f"{top}/a.tif", f"{top}/A.tif", f"{top}/s/{'long' * 90}.tif"]).values())

    assert at("/here") == at("/over/there")


def test_long_names_are_cut_and_stay_apart():
    long = "é" * 100
    first, second = named(f"{long}1.tif", f"{long}2.tif")
    assert first != second
    assert 140 < len(first.encode()) <= 150
    deep = "/".join(["folder" * 20] * 9)
    first, second = named(f"{deep}/a.tif", f"{deep}2/a.tif")
    assert first != second
    assert first.count("/") == 1
    assert max(map(len, (first, second))) < 200


def test_addresses_that_differ_by_host_or_query_alone_stay_apart():
    given = ["https://a/x.tif?1", "https://a/x.tif?2", "https://b/x.tif?3", "s3://me:pw@a/x.tif", "/r/x.tif"]
    found = output_names(given)
    assert len({name.casefold() for name in found.values()}) == 5
    assert not any("pw" in name for name in found.values())
    signed = output_names(["https://a/x.tif?sig=1", "https://b/x.tif?sig=1"])
    again = output_names(["https://a/x.tif?sig=2", "https://b/x.tif?sig=2"])
    assert sorted(signed.values()) == sorted(again.values()), "a new signature is no new name"


@pytest.mark.skipif(os.name != "nt", reason="drives are letters on Windows alone")
def test_two_drives():
    found = output_names([r"C:\s\a.tif", r"D:\s\a.tif"])
    assert list(found.values()) == ["C_/s/a", "D_/s/a"]


def test_nothing_has_no_names():
    assert output_names([]) == {}


PARTS = st.one_of(
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8),
    st.sampled_from(["a", "A", "a.tif", "A.TIF", "a.png", "a_tif", "..", ".", "CON", "nul.tif", "a.gpkg", "-"]),
    st.sampled_from([" ", "x" * 200, "x" * 199 + "X.tif"]),
    st.text("aAbB._- é\u0301ßſİıK", min_size=1, max_size=5),
)
LOCAL = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
REMOTE = st.tuples(st.sampled_from(["s3://b/", "https://u:p@h/"]), LOCAL).map("".join)
SOURCES = st.one_of(LOCAL, LOCAL, REMOTE)


@hypothesis.given(st.lists(SOURCES, min_size=1, max_size=12, unique=True), st.randoms(use_true_random=False))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], max_examples=100)
def test_names_are_unique_inside_and_the_same_in_any_order(given, random):
    found = output_names(given)
    assert found.keys() == set(given)
    shuffled = random.sample(given, len(given))
    assert output_names(shuffled) == found
    for fold in (str.lower, str.upper, str.casefold, lambda name: unicodedata.normalize("NFD", name.upper())):
        assert len({fold(name) for name in found.values()}) == len(given)
    files = {name.casefold() + ".gpkg" for name in found.values()}
    for name in found.values():
        assert name == unicodedata.normalize("NFC", name)
        name.encode()
        path, windows = PurePosixPath(name), PureWindowsPath(name)
        assert not path.is_absolute()
        assert not windows.anchor
        assert not files & {parent.as_posix().casefold() for parent in path.parents}
        for part in name.split("/"):
            assert part.strip(". ") == part.rstrip(". ").strip() != ""
            assert part[0] not in "-."
            assert len(part.encode()) <= 150
            assert not set(part) & set('<>:"\\|?*')
            assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in part)
            assert part.split(".")[0].upper() not in ("CON", "NUL")
            assert part == windows.parts[windows.parts.index(part)]


# ---- STAC


def asset(href, kind="image/tiff; application=geotiff; profile=cloud-optimized", roles=("data",), **more):
    return {"href": href, "type": kind, "roles": list(roles), **more}


def item(name="one", **assets):
    return {"type": "Feature", "stac_version": "1.0.0", "id": name, "geometry": None, "links": [], "assets": assets}


def catalog(*links, kind="Catalog"):
    return {
        "type": kind,
        "id": "c",
        "stac_version": "1.0.0",
        "links": [{"rel": rel, "href": href} for rel, href in links],
    }


def write(name, content):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return name


THUMBNAIL = asset("t.png", "image/png", ["thumbnail"])


@pytest.mark.parametrize(
    ("assets", "chosen"),
    [
        ({"B01": asset("b.tif"), "visual": asset("v.tif", roles=["visual"])}, "v.tif"),
        ({"B01": asset("b.tif"), "Visual": asset("v.jp2", "image/jp2", ["overview"])}, "v.jp2"),
        ({"B01": asset("b.tif"), "tci": asset("v.tif", roles=["data", "visual"])}, "v.tif"),
        ({"x": asset("x.jp2", "image/jp2"), "image": asset("i.tif")}, "i.tif"),
        ({"x": asset("x.tif", roles=[]), "image": asset("i.jp2", "image/jp2")}, "i.jp2"),
        ({"p": asset("p.png", "image/png", []), "x": asset("x.tif", roles=[])}, "x.tif"),
        ({"p": asset("p.jpg", "image/jpeg", []), "q": asset("q.png", "image/png", [])}, "p.jpg"),
        ({"thumbnail": asset("t.tif"), "a": THUMBNAIL, "b": asset("o.tif", roles=["data", "overview"])}, None),
        ({"rendered_preview": asset("r.png", "image/png", ["overview"]), "metadata": asset("m.tif")}, None),
        ({"visual": asset("v.tif", roles=["thumbnail"])}, None),
        ({"visual": asset("v.xml", "application/xml"), "m": asset("m.json", "application/json")}, None),
        ({"a": {"href": "a.TIF"}, "b": {"href": "b.laz"}}, "a.TIF"),
        ({"a": {"href": "a.png"}, "b": {"href": "b.tif?x=1"}}, "b.tif?x=1"),
        (
            {
                "a": asset("a.svg", "image/svg+xml"),
                "b": asset("b.webp", "image/webp"),
                "g": asset("g.gif", "image/gif"),
            },
            None,
        ),
        ({"a": asset("a.bin", "image/vnd.stac.geotiff; cloud-optimized=true")}, "a.bin"),
        ({"a": {"href": 7}, "b": "text", "c": {"href": ""}, "d": {"href": "d.tif", "roles": "data"}}, "d.tif"),
        ({}, None),
    ],
)
def test_the_image_of_an_item(assets, chosen):
    write("item.json", item(**assets))
    if chosen is None:
        told = []
        with pytest.raises(InputError, match=r"^item.json: leads to no item with an image"):
            stac_sources("item.json", note=told.append)
        assert told == ["item.json: 1 of its items have no image and are left out, first 'one'"]
    else:
        assert stac_sources("item.json") == [chosen]


def test_relative_links_count_from_the_file():
    touch("cat/i/v.tif", "cat/i/sp ace.tif", "cat/i/50%25.tif", "outside.tif")
    place = Path("cat/i/item.json")
    for href, path in {
        "./v.tif": "cat/i/v.tif",
        "v.tif": "cat/i/v.tif",
        "../../outside.tif": "outside.tif",
        "sp%20ace.tif": "cat/i/sp ace.tif",
        "50%25.tif": "cat/i/50%25.tif",
        "gone%20.tif": "cat/i/gone%20.tif",
        str(Path("outside.tif").absolute()): "outside.tif",
        Path("outside.tif").absolute().as_uri(): "outside.tif",
        Path("cat/i/sp ace.tif").absolute().as_uri().replace("file://", "file://localhost"): "cat/i/sp ace.tif",
    }.items():
        write(place, item(visual=asset(href)))
        (found,) = sources(str(place))
        assert Path(found).resolve() == Path(path).resolve()


def test_collections_of_items_and_missing_images():
    touch("a/1.tif")
    features = [item("x", visual=asset("a/1.tif")), item("y", m=THUMBNAIL), item("z", image=asset("a/gone.tif")), 7]
    write(
        "all.geojson", {"type": "FeatureCollection", "features": features, "links": [{"rel": "next", "href": "?p=2"}]}
    )
    told = []
    found = gather_inputs(["all.geojson"], note=told.append)
    assert [f.source for f in found] == ["a/1.tif", "a/gone.tif"], "a missing image fails in the run"
    assert told == [
        "all.geojson: 1 of its items have no image and are left out, first 'y'",
        "all.geojson: has further pages, which are not followed; save them all and name each",
    ]


def test_catalogs_are_walked_in_order_and_in_circles_once():
    write("c/catalog.json", catalog(("child", "s/collection.json"), ("item", "i/1.json"), ("self", "x.json")))
    write(
        "c/s/collection.json",
        catalog(
            ("root", "../catalog.json"),
            ("item", "2/2.json"),
            ("child", "../catalog.json"),
            ("item", "3.json"),
            ("item", "2/2.json"),
            kind="Collection",
        ),
    )
    write("c/i/1.json", item(visual=asset("1.tif")))
    write("c/s/2/2.json", item(visual=asset("../2.tif")))
    old = {"stac_version": "0.6.0", "id": "old", "links": [{"rel": "item", "href": "i/1.json"}, 7, {"rel": "item"}]}
    write("c/old.json", old)
    found = gather_inputs(["c/catalog.json"])
    assert [f.name for f in found] == ["s/2", "s/3", "i/1"]
    assert [Path(f.source).name for f in found] == ["2.tif", "3.json", "1.tif"], "a missing item fails in the run"
    assert names("c/old.json") == ["i/1"]
    assert names("c/*.json") == ["s/2", "s/3", "i/1"]


def test_walks_are_bounded(monkeypatch):
    for number in range(20):
        write(f"{number}.json", catalog(("child", f"{number + 1}.json")))
    with pytest.raises(InputError, match=r"^17.json: lies over 16 links deep"):
        stac_sources("0.json")
    monkeypatch.setattr(stac, "_MAX_FILES", 5)
    with pytest.raises(InputError, match=r"^0.json: links to over 5 files"):
        stac_sources("0.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"is not well-formed JSON \("),
        ("[" * 100_000, r"is not well-formed JSON \("),
        ("\udcff", r"is not well-formed JSON \("),
        ("[1]", "holds a JSON list"),
        ('{"type": "Feature", "geometry": null}', "is a GeoJSON Feature without STAC assets, expected a STAC Item"),
        ('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "is a GeoJSON FeatureCollection without"),
        ('{"type": "Topology"}', "is JSON of type 'Topology', expected"),
        ('{"a": 1}', "is JSON without a type, expected"),
        ('{"type": "Catalog", "links": 5}', "leads to no item with an image"),
    ],
)
def test_what_is_no_stac_is_told_in_a_sentence(text, said):
    Path("x.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"^x.json: {said}") as told:
        gather_inputs(["x.json"])
    assert "\n" not in str(told.value)
    assert told.value.exit_code == 3


def test_json_that_is_too_large_is_refused(monkeypatch):
    write("x.json", item(visual=asset("a.tif")))
    monkeypatch.setattr(stac_json, "_MAX_BYTES", 20)
    with pytest.raises(InputError, match=r"^x.json: is over 0 MB"):
        gather_inputs(["x.json"])


def test_a_link_to_a_folder_or_closed_file_is_told(monkeypatch):
    Path("folder.json").mkdir()
    write("c.json", catalog(("item", "folder.json")))
    with pytest.raises(InputError, match=r"^folder.json: is not a regular file, expected STAC"):
        gather_inputs(["c.json"])

    def closed(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(InputError, match=r"^c.json: cannot be read \(Permission denied\)"):
        stac_sources("c.json")


def test_a_stac_file_that_does_not_exist_is_an_input():
    assert sources("gone.json") == ["gone.json"]


@pytest.mark.parametrize(
    "href",
    [
        "ftp://h/a.tif",
        "/vsicurl/http://h/a.tif",
        "data:image/png;base64,xx",
        "file://host/a.tif",
        "file:a.tif",
        "vrt://a.tif",
        "a\0.tif",
        "file:///vsizip/a.tif",
        "https:a.tif",
        "file://[/a.tif",
    ],
)
def test_links_of_other_kinds_are_refused(href):
    write("x.json", item("it", visual=asset(href)))
    with pytest.raises(InputError, match=r"^x.json: the image of its item 'it' leads to "):
        gather_inputs(["x.json"], allow_network=True)


def test_images_at_addresses_need_the_network():
    write("x.json", item("it", visual=asset("s3://me:secret@b/v.tif?sig=1")))
    with pytest.raises(
        UsageError, match=r"^x.json: the image of its item 'it' leads to s3://b/v.tif: .*--allow-network$"
    ):
        gather_inputs(["x.json"])
    assert sources("x.json", allow_network=True) == ["s3://me:secret@b/v.tif?sig=1"]
    write("c.json", catalog(("item", "https://example.com/x.json")))
    with pytest.raises(UsageError, match=r"^c.json: its link leads to https://example.com/x.json: .*--allow-network$"):
        gather_inputs(["c.json"])
    write("c.json", catalog(("item", "s3://b/x.json")))
    with pytest.raises(InputError, match=r"^s3://b/x.json: is a STAC file that geoseg does not fetch"):
        gather_inputs(["c.json"], allow_network=True)


@pytest.fixture
def served(monkeypatch):
    """Serve what a test puts into the dictionary, and return it with the address of the server."""
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = pages.get(self.path)
            if isinstance(content, str):
                self.send_response(302)
                self.send_header("Location", content)
                self.end_headers()
                return
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        def log_message(self, *_arguments):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield pages, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_stac_is_fetched_and_links_count_from_the_address(served):
    pages, top = served
    pages["/c/catalog.json?key=1"] = catalog(("child", "moved.json"), ("item", "/i/2.json"))
    pages["/c/moved.json"] = f"{top}/c/d/collection.json"
    pages["/c/d/collection.json"] = catalog(("item", "../1.json"), kind="Collection")
    pages["/c/1.json"] = item(visual=asset("1.tif?sig=a"))
    pages["/i/2.json"] = item(visual=asset("s3://b/2.tif"))
    found = sources(f"{top}/c/catalog.json?key=1", allow_network=True)
    assert found == [f"{top}/c/1.tif?sig=a", "s3://b/2.tif"]


@pytest.mark.parametrize("target", ["file:///etc/hosts", "ftp://127.0.0.1/x"])
def test_a_redirection_leads_to_no_other_scheme(served, target):
    pages, top = served
    pages["/c.json"] = target
    with pytest.raises(InputError, match=r"c\.json: cannot be fetched"):
        gather_inputs([f"{top}/c.json"], allow_network=True)


@pytest.mark.parametrize("href", ["file:///etc/hosts", "ftp://h/a.tif", "http://[/a.tif"])
def test_a_remote_file_names_no_local_one(served, href):
    pages, top = served
    pages["/x.json"] = item("it", visual=asset(href))
    with pytest.raises(InputError, match=r"x\.json: the image of its item 'it' leads to .*, expected https"):
        gather_inputs([f"{top}/x.json"], allow_network=True)


def test_answers_that_are_missing_large_or_slow_are_told(served, monkeypatch):
    pages, top = served
    with pytest.raises(InputError, match=r"gone\.json: cannot be fetched \(Not Found\)") as told:
        gather_inputs([f"{top}/gone.json?sig=secret"], allow_network=True)
    assert "secret" not in str(told.value)
    pages["/x.json"] = b" " * 300_000
    monkeypatch.setattr(stac_json, "_FETCH_SECONDS", -1)
    with pytest.raises(InputError, match=r"cannot be fetched \(too slow\)"):
        gather_inputs([f"{top}/x.json"], allow_network=True)
    monkeypatch.setattr(stac_json, "_FETCH_SECONDS", 100)
    monkeypatch.setattr(stac_json, "_MAX_BYTES", 70_000)
    with pytest.raises(InputError, match=r"x\.json: is over 0 MB"):
        gather_inputs([f"{top}/x.json"], allow_network=True)
