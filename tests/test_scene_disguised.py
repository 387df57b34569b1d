"""Files that are something else make no request, run nothing, and show no other file's bytes."""

from __future__ import annotations

import os
import re
import socketserver
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from geoseg.errors import InputError
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from tests.opened import make, sentence, write

SECRET = b"root:x:0:0:a line no image may show\n" * 8


def vrt(source, *, kind="", band="", relative=1, size=5, extra=""):
    """Return a VRT of one band over one source."""
    return f"""<VRTDataset rasterXSize="{size}" rasterYSize="{size}"{kind}>
      <SRS>EPSG:32633</SRS><GeoTransform>500000, 1, 0, 5000000, 0, -1</GeoTransform>{extra}
      <VRTRasterBand dataType="Byte" band="1"{band}>
        <SimpleSource><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>
        <SourceBand>1</SourceBand></SimpleSource>
      </VRTRasterBand></VRTDataset>"""


def raw_band(source):
    return f"""<VRTDataset rasterXSize="16" rasterYSize="16"><SRS>EPSG:32633</SRS>
      <GeoTransform>500000, 1, 0, 5000000, 0, -1</GeoTransform>
      <VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">
      <SourceFilename relativeToVRT="1">{source}</SourceFilename><ImageOffset>0</ImageOffset>
      <PixelOffset>1</PixelOffset><LineOffset>16</LineOffset></VRTRasterBand></VRTDataset>"""


def wms(address):
    return f"""<GDAL_WMS><Service name="TMS">
      <ServerUrl>{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
      <DataWindow><UpperLeftX>-10</UpperLeftX><UpperLeftY>10</UpperLeftY><LowerRightX>10</LowerRightX>
      <LowerRightY>-10</LowerRightY><TileLevel>2</TileLevel></DataWindow><Projection>EPSG:3857</Projection>
      <BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>3</BandsCount></GDAL_WMS>"""


@pytest.fixture
def listener():
    """Serve on the loopback, and gather every request."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        server.asked = asked
        yield server
        server.shutdown()


def test_a_name_like_a_connection_string_is_still_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("plain.tif")
    Path("plain.tif").rename("GTIFF_DIR:1:x.tif")
    with open_raster("GTIFF_DIR:1:x.tif") as raster:
        assert raster.count == 3


@pytest.mark.parametrize("name", ["x.tif", "x.png", "x.vrt"])
def test_disguised_services_make_no_request(tmp_path, listener, name):
    path = make(tmp_path, name, wms(listener.address))
    assert "XML" in sentence(path)
    path = make(tmp_path, name, vrt(f"/vsicurl/{listener.address}/a.tif", relative=0))
    assert "VRT" in sentence(path) or "is not a file" in sentence(path)
    with pytest.raises(InputError), open_raster(f"{listener.address}/a.tif"):
        pass
    with pytest.raises(InputError), open_raster(f"/vsicurl/{listener.address}/a.tif"):
        pass
    assert not listener.asked


def test_disguised_services_as_source_overview_or_mask_make_no_request(tmp_path, listener):
    make(tmp_path, "inner.tif", wms(listener.address))
    assert "inner.tif: is an XML text" in sentence(make(tmp_path, "outer.vrt", vrt("inner.tif")))
    for ending in (".ovr", ".msk"):
        path = write(tmp_path / f"a{ending[1:]}.tif")
        make(tmp_path, path.name + ending, vrt(f"/vsicurl/{listener.address}/a.tif", relative=0))
        assert "side file" in sentence(path)
    path = write(tmp_path / "b.tif")
    make(tmp_path, "b.tif.aux.xml", "<PAMDataset><Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>"
         f"/vsicurl/{listener.address}/a.tif</MDI></Metadata></PAMDataset>")  # fmt: skip
    assert "refers to other files" in sentence(path)
    assert not listener.asked


PYTHON = """<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>
  <PixelFunctionCode><![CDATA[open("ran", "w")]]></PixelFunctionCode>"""
LAUGHS = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>'


HOSTILE = {
    "raw band": (raw_band("secret.txt"), "band type vrtrawrasterband"),
    "raw band, other case": (raw_band("secret.txt").replace("subClass", "SUBCLASS"), "band type"),
    "outside": (vrt("../secret.txt"), "outside the VRT's folder"),
    "absolute": (vrt("/etc/passwd", relative=0), "outside the VRT's folder|does not exist"),
    "missing source": (vrt("gone.tif"), "'gone.tif' does not exist"),
    "text source": (vrt("secret.txt"), "is not an image"),
    "address": (vrt("http://127.0.0.1:9/a.tif", relative=0), "is not a file"),
    "vsi": (vrt("/vsicurl/http://127.0.0.1:9/a", relative=0), "is not a file"),
    "connection string": (vrt("GTIFF_DIR:1:good.tif", relative=0), "connection string"),
    "inline": (vrt("&lt;VRTDataset/&gt;"), "is not a file"),
    "spaces": (vrt(" good.tif"), "is not a file"),
    "interrupted name": (vrt("good.tif<!-- -->x"), "markup inside a file name"),
    "cdata name": (vrt("<![CDATA[good.tif]]>"), "markup inside a file name"),
    "name as attribute": (
        vrt("good.tif").replace("<SimpleSource>", '<SimpleSource sourcefilename="x">'),
        "attribute",
    ),
    "odd flag": (vrt("good.tif", relative="01"), "relativeToVRT"),
    "python": (vrt("good.tif", band=' subClass="VRTDerivedRasterBand"', extra=""), None),
    "processed": (vrt("good.tif", kind=' subClass="VRTProcessedDataset"'), "dataset type"),
    "itself": (vrt("x.vrt"), "refers to itself"),
    "through another": (vrt("loop.vrt"), "refers to itself"),
    "laughs": (LAUGHS + vrt("&c;"), "document type"),
    "not well-formed": (vrt("good.tif").replace("</SimpleSource>", ""), "not well-formed"),
    "open options": (vrt("good.tif").replace("<SourceBand>", "<OpenOptions/><SourceBand>"), "<openoptions>"),
}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "python"])
def test_hostile_mosaics(tmp_path, name):
    folder = tmp_path / "mosaic"
    folder.mkdir()
    make(tmp_path, "secret.txt", SECRET)
    make(folder, "secret.txt", SECRET)
    make(folder, "loop.vrt", vrt("x.vrt"))
    write(folder / "good.tif", bands=1)
    text, expected = HOSTILE[name]
    message = sentence(make(folder, "x.vrt", text))
    assert re.search(expected, message), message
    with pytest.raises(InputError, match=r"is a VRT, not an image|is an XML text"), open_raster(
        make(folder, "x.tif", text)
    ):  # fmt: skip
        pass


def test_python_in_a_mosaic_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    write(tmp_path / "good.tif", bands=1)
    text = vrt("good.tif", band=' subClass="VRTDerivedRasterBand"').replace("<SimpleSource>", PYTHON + "<SimpleSource>")
    assert "Python" in sentence(make(tmp_path, "x.vrt", text))
    assert not (tmp_path / "ran").exists()


def test_deeply_nested_mosaics(tmp_path):
    write(tmp_path / "good.tif", bands=1)
    make(tmp_path, "0.vrt", vrt("good.tif"))
    for i in range(1, 9):
        make(tmp_path, f"{i}.vrt", vrt(f"{i - 1}.vrt"))
    with open_raster(tmp_path / "7.vrt") as raster:
        assert raster.count == 1
    assert "more than 8 deep" in sentence(tmp_path / "8.vrt")


def test_plain_mosaics_are_read(tmp_path, monkeypatch):
    (tmp_path / "tiles").mkdir()
    write(tmp_path / "tiles" / "good.tif", bands=1, size=(5, 5))
    path = make(tmp_path, "x.vrt", vrt("tiles/good.tif"))
    with open_scene(path, ReadRequest(bands=(1, 1, 1))) as scene:
        (rows,) = scene.iter_rows([(0, 5)], (0, 5))
    assert (rows.pixels == 1).all()
    monkeypatch.chdir(tmp_path)
    for name in ("x.vrt", "./x.vrt"):
        with open_raster(name) as raster:
            assert raster.driver == "VRT"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.vrt").symlink_to(path)
    with open_raster(tmp_path / "elsewhere" / "link.vrt") as raster:
        assert (raster.read() == 1).all()


def test_an_address_is_read_when_the_network_is_allowed(tmp_path):
    write(tmp_path / "a.tif")
    code = """
import sys, threading, http.server, functools
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
handler.func.log_message = lambda *_: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
from geoseg.scene.open import open_raster
with open_raster(f"http://127.0.0.1:{server.server_port}/a.tif", allow_network=True) as raster:
    print(raster.count, raster.read().sum())
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "no_proxy": "*", "NO_PROXY": "*"},
    )  # fmt: skip
    assert run.stdout.split() == ["3", "90"], run.stderr
