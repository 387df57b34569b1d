"""Names of a batch's results: unique, and taken by every system."""

from __future__ import annotations

import os
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import hypothesis
import pytest
from hypothesis import strategies as st

from geoseg.batch.sources.names import output_names
from tests.batch_files import named


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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
