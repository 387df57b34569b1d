"""STAC items, collections and catalogs as inputs of a batch."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path

import pytest

from geoseg.batch.sources import stac, stac_json
from geoseg.batch.sources.inputs import gather_inputs
from geoseg.batch.sources.stac import stac_sources
from geoseg.errors import InputError, UsageError
from tests.batch_files import names, sources, touch


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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
