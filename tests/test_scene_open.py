"""What is no plain image ends in one sentence; sizes, places on the ground, and real files."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.errors import InputError, UsageError
from geoseg.scene.georeference import grid_of, ground_pixel_m
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from tests.opened import UTM, make, sentence, write

DATA = Path(__file__).parents[1].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="real files are not here")


NOT_IMAGES = {
    "text.tif": (b"just some words\n" * 20, "is not an image geoseg can read"),
    "empty.tif": (b"", "is empty"),
    "header.tif": (b"II*\0\x08\0\0\0", "copy or export it again|not an image"),
    "broken.tif": (b"II*\0\xff\xff\xff\x7f" + b"\0" * 50, "copy or export it again|not an image"),
    "collection.tif": (b'{"type":"FeatureCollection","features":[]}', "is not an image"),
    "map.gpkg": (b"SQLite format 3\0" + b"\0" * 100, "GeoPackage"),
    "page.tif": (b"<!DOCTYPE html><html></html>", "XML text"),
    "utf16.tif": ("\ufeff<VRTDataset/>".encode("utf-16-le"), "XML text|is a VRT"),
    "words.vrt": (b"II*\0not xml", "is named .vrt but is no VRT"),
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_files_that_are_no_images(tmp_path, name):
    content, expected = NOT_IMAGES[name]
    assert re.search(expected, sentence(make(tmp_path, name, content)))


@pytest.mark.parametrize(("path", "expected"), [
    ("missing.tif", "does not exist"),
    ("a.gpkg|layername=b c", "words of QGIS, expected a file; write that one with: ogr2ogr out.gpkg a.gpkg 'b c'$"),
    ("a b.gpkg|layername=l|geometrytype=Polygon", "write that one with: ogr2ogr out.gpkg 'a b.gpkg' l$"),
    ("", "is not a file name"),
    ("a\0b.tif", "is not a file name"),
    ("a\nb.tif", "is not a file name"),
    ("<VRTDataset rasterXSize='1'/>", "is a text"),
    ("{\"type\": \"x\"}", "is a text"),
    ("NETCDF:a.nc:band", "not GDAL connection strings"),
    ("GTIFF_DIR:1:a.tif", "not GDAL connection strings"),
    ("MEM:::DATAPOINTER=1", "not GDAL connection strings"),
    ("vrt://a.tif?bands=1", "is an address"),
    ("/vsizip/a.zip/b.tif", "is an address"),
    ("/vsimem/a.tif", "is an address"),
    ("s3://bucket/a.tif", "is an address"),
])  # fmt: skip
def test_paths_that_are_no_files(path, expected):
    with pytest.raises(InputError, match=expected), open_raster(path):
        pass


def test_addresses_are_told_without_their_secrets():
    with (
        pytest.raises(InputError, match="--allow-network") as refusal,
        open_raster("https://me:word@host/a?key=1"),
    ):
        pass
    assert "word" not in str(refusal.value)
    assert "key" not in str(refusal.value)


def test_folders_links_and_devices(tmp_path):
    assert "geoseg batch" in sentence(tmp_path)
    (tmp_path / "link.tif").symlink_to(tmp_path / "gone.tif")
    assert "broken link" in sentence(tmp_path / "link.tif")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.tif")
        assert "regular file" in sentence(tmp_path / "pipe.tif")


def test_sizes_are_checked_before_reading(tmp_path):
    path = tmp_path / "huge.tif"
    write(path, size=(600, 600))
    assert "over --max-pixels 1000;" in sentence(path, max_pixels=1000)
    sparse = {"sparse_ok": True, "tiled": True, "blockxsize": 16384, "blockysize": 16384, "dtype": "uint16"}
    with rasterio.open(
        tmp_path / "blocks.tif", "w", driver="GTiff", count=1, width=20000, height=20000, **UTM, **sparse
    ):
        pass
    assert "blocks of 512 MB" in sentence(tmp_path / "blocks.tif")
    with rasterio.open(tmp_path / "bands.tif", "w", driver="GTiff", count=600, width=1, height=1, dtype="uint8", **UTM):
        pass
    assert "600 bands" in sentence(tmp_path / "bands.tif")


def test_one_long_column_and_one_pixel(tmp_path):
    for size in ((1, 1), (5000, 1), (1, 5000)):
        with open_scene(write(tmp_path / "a.tif", size=size)) as scene:
            (rows,) = scene.iter_rows([(-3, size[0] + 3)], (-3, size[1] + 3))
        assert rows.pixels.shape == (3, size[0] + 6, size[1] + 6)
        assert (rows.pixels == 1).all()
        assert rows.valid.sum() == size[0] * size[1]


def test_complex_numbers_and_too_few_bands(tmp_path):
    assert "complex numbers" in sentence(write(tmp_path / "c.tif", dtype="complex64"))
    text = sentence(write(tmp_path / "one.tif", bands=1))
    assert "the model wants 3 (red, green, blue), the file has 1; use --bands 1,1,1" in text
    with pytest.raises(UsageError, match="there is no band 4"), open_scene(
        write(tmp_path / "a.tif"), ReadRequest(bands=(4, 1, 1))
    ):  # fmt: skip
        pass
    with pytest.raises(UsageError, match="2 bands are given"), open_scene(
        tmp_path / "a.tif", ReadRequest(bands=(1, 1))
    ):  # fmt: skip
        pass


PLACES = {
    "nothing": ({"crs": None, "transform": None}, "is not georeferenced.*gdal_translate"),
    "no transform": ({"transform": None}, "has a CRS but no pixel coordinates"),
    "no CRS": ({"crs": None}, "--src-crs EPSG:n"),
    "metres for degrees": ({"crs": "EPSG:4326"}, "no longitude and latitude.*--src-crs"),
    "flat": ({"transform": rasterio.Affine(1, 1, 0, 1, 1, 0)}, "degenerate"),
    "points": ({"transform": None, "crs": None, "gcps": [
        rasterio.control.GroundControlPoint(row, col, 10 + col / 9, 50 - row / 9)
        for row, col in ((0, 0), (0, 5), (6, 0), (6, 5))]}, "4 ground control points.*gdalwarp"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_scenes_without_a_place_on_the_ground(tmp_path, name):
    profile, expected = PLACES[name]
    profile = {key: value for key, value in {**UTM, **profile}.items() if value is not None}
    shape = {"driver": "GTiff", "count": 3, "height": 6, "width": 5, "dtype": "uint8"}
    points = profile.pop("gcps", None)
    with rasterio.open(tmp_path / "a.tif", "w", **shape, **profile) as file:
        if points:
            file.gcps = points, rasterio.crs.CRS.from_epsg(4326)
    assert re.search(expected, sentence(tmp_path / "a.tif"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_world_file_with_its_prj_places_a_scene(tmp_path):
    path = write(tmp_path / "a.tif", crs=None, transform=None)
    (tmp_path / "a.tfw").write_text("0.5\n0\n0\n-0.5\n500000.25\n4999999.75\n")
    assert "--src-crs" in sentence(path)
    esri = rasterio.crs.CRS.from_epsg(25832).to_wkt(version="WKT1_ESRI")
    (tmp_path / "a.prj").write_text(esri)
    with open_scene(path) as scene:
        assert scene.grid.transform == UTM["transform"]
        assert rasterio.crs.CRS.from_wkt(scene.grid.crs) == rasterio.crs.CRS.from_epsg(25832)


def test_the_user_may_name_the_crs(tmp_path):
    path = write(tmp_path / "a.tif", crs=None)
    with open_scene(path, ReadRequest(src_crs="EPSG:2056")) as scene:
        assert rasterio.crs.CRS.from_wkt(scene.grid.crs) == rasterio.crs.CRS.from_epsg(2056)
    with pytest.raises(UsageError, match="--src-crs"), open_scene(path, ReadRequest(src_crs="nonsense")):
        pass


CRSS = {
    "EPSG:32633": ((500000, 5000000, 0.5), 0.5),
    "EPSG:3857": ((0, 8399737.9, 0.5), 0.25),  # 60 degrees north: half
    "EPSG:4326": ((10, 60, 1e-5), None),
    "EPSG:2263": ((980000, 200000, 1), 0.3048006),  # US survey feet
    'LOCAL_CS["site",UNIT["metre",1]]': ((0, 10, 0.5), 0.5),
    'LOCAL_CS["site",UNIT["foot",0.3048]]': ((0, 10, 1), 0.3048),
    "EPSG:26918+5703": ((500000, 4000000, 2), 2),
    "+proj=tmerc +lat_0=1 +lon_0=13 +k=1 +x_0=0 +y_0=0 +ellps=bessel +units=m": ((0, 10, 2), 2),
}


@pytest.mark.parametrize("crs", CRSS)
def test_ground_pixels_are_true_metres_and_the_crs_survives(tmp_path, crs):
    (x, y, pixel), expected = CRSS[crs]
    crs = rasterio.crs.CRS.from_user_input(crs)
    path = write(tmp_path / "a.tif", crs=crs, transform=from_origin(x, y, pixel, pixel))
    with open_raster(path) as raster:
        grid = grid_of(raster)
        assert rasterio.crs.CRS.from_wkt(grid.crs) == raster.crs
    high, wide = ground_pixel_m(grid)
    if expected is not None:
        assert (high, wide) == pytest.approx((expected, expected), rel=0.01)
    elif y == 60:
        assert (high, wide) == pytest.approx((1.114, 0.558), rel=0.01)


REAL = {
    "RGB.byte.gcp.vrt": "4 ground control points",
    "white-gemini-iv.vrt": "3 ground control points",
    "compdcs.vrt": "3 ground control points",
    "RGB.byte.rpc.vrt": "gdalwarp -rpc",
    "389225main_sw_1965_1024.jpg": "is not georeferenced",
    "red.tif.ovr": "is not georeferenced",
    "RGB2.byte.tif.msk": "is not georeferenced",
    "RGB.nc": "container holding Band1, Band2, Band3",
    "two-subs.h5": "container holding data, data2",
    "issue1446.geojson": "is not an image",
    "float.tif": "--src-crs",
    "rotated.tif": "--src-crs",
    "byte.tif": "use --bands 1,1,1",
    "float_raster_with_nodata.tif": "use --bands 1,1,1",
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_awkward_real_files_are_refused(name):
    assert REAL[name] in sentence(DATA / "awkward" / "rasterio" / name)


@needs_data
def test_truncated_real_file_fails_while_reading():
    path = DATA / "awkward" / "rasterio" / "corrupt.tif"
    with open_scene(path) as scene, pytest.raises(InputError, match=r"rows \d+ to \d+ cannot be read"):
        list(scene.iter_rows([(0, 1024)], (0, 1024)))
