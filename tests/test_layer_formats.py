"""Vector layers of every format and CRS, and on a disk that fills."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import warnings
from contextlib import closing
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from rasterio.crs import CRS

from geoseg.errors import OutputError, UsageError
from geoseg.layers.vector import check_layers, driver_of
from geoseg.vocabulary import Polygons
from tests.written_layers import (
    BUILDING,
    CRSS,
    NO_CODE,
    grid,
    some_classes,
    some_polygons,
    three_layers,
    write,
    write_classes,
)


@pytest.mark.parametrize("ending", [".gpkg", ".fgb", ".parquet"])
@pytest.mark.parametrize("crs", ["utm", "degrees", "mercator", "feet", "no code"])
def test_the_crs_of_a_layer_comes_back_identical(tmp_path, ending, crs):
    path = tmp_path / f"map{ending}"
    assert write(path, crs=crs) == []
    frame = geopandas.read_parquet(path) if ending == ".parquet" else geopandas.read_file(path, layer=0)
    assert CRS.from_wkt(frame.crs.to_wkt()) == CRSS[crs]
    assert pyproj.CRS(frame.crs).equals(pyproj.CRS(CRSS[crs].to_wkt()), ignore_axis_order=True)


@pytest.mark.parametrize(("crs", "code"), [("no code", None), ("local", None), ("utm", 32640)])
def test_a_geopackage_defines_a_crs_that_has_no_code(tmp_path, crs, code):
    write(tmp_path / "map.gpkg", crs=crs)
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as file:
        of_layers = {number for (number,) in file.execute("SELECT srs_id FROM gpkg_geometry_columns")}
        assert len(of_layers) == 1
        query = "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id = ?"
        organization, number, definition = file.execute(query, tuple(of_layers)).fetchone()
        if code is None:
            assert of_layers.pop() >= 100_000  # codes below are those of EPSG; 0 and -1 would say nothing of the place
            assert organization == "NONE"
        else:
            assert (organization, number) == ("EPSG", code)
            assert of_layers == {code}
    assert definition != "undefined"
    assert pyogrio.read_info(tmp_path / "map.gpkg", layer="roads")["crs"]


@pytest.mark.parametrize(("name", "driver"), [("a.GPKG", "GPKG"), ("a.json", "GeoJSON"), ("a.fgb", "FlatGeobuf")])
def test_the_ending_names_the_format(name, driver):
    assert driver_of(name) == driver


def test_an_unknown_ending_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'\.shp'; use one of \.gpkg, \.geojson, \.json, \.fgb, \.parquet"):
        driver_of("map.shp")


@pytest.mark.parametrize("ending", [".geojson", ".json", ".fgb", ".parquet"])
def test_one_layer_formats_hold_all_classes(tmp_path, ending):
    path = tmp_path / f"map{ending}"
    write(path)
    frame = geopandas.read_parquet(path) if ending == ".parquet" else geopandas.read_file(path)
    assert sorted(frame["class"]) == ["building"] * 5 + ["road"] * 3
    assert frame["area_m2"].tolist() == [1.5] * 8
    assert frame["confidence"].isna().sum() == 5
    assert set(frame.geom_type) == {"Polygon"}


@pytest.mark.parametrize("ending", [".geojson", ".fgb", ".parquet"])
def test_nothing_found_is_still_a_file_with_its_columns(tmp_path, ending):
    path = tmp_path / f"map{ending}"
    write(path, layers=three_layers(0, 0, 0))
    frame = geopandas.read_parquet(path) if ending == ".parquet" else geopandas.read_file(path)
    assert len(frame) == 0
    assert frame.crs.to_epsg() == 32640


def test_geojson_keeps_a_crs_with_a_code_and_says_so(tmp_path):
    notes = write(tmp_path / "map.geojson")
    assert len(notes) == 1
    assert "EPSG:32640" in notes[0]
    text = json.loads((tmp_path / "map.geojson").read_text())
    assert text["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32640"
    assert text["features"][1]["geometry"]["coordinates"][0][0] == pytest.approx([3, 0])
    assert write(tmp_path / "degrees.geojson", crs="degrees") == []


def test_geojson_rounds_to_a_hundredth_of_a_pixel(tmp_path):
    third = Polygons(np.array([1], np.uint8), np.array([shapely.box(1 / 3, 0, 2 / 3, 1)]), *(np.ones((3, 1))))
    write(tmp_path / "map.geojson", layers=[(BUILDING, third)])
    ring = json.loads((tmp_path / "map.geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
    assert {x for x, _ in ring} == {0.333, 0.667}  # pixels of 0.5 m
    write(tmp_path / "degrees.geojson", layers=[(BUILDING, third)], crs="degrees")
    ring = json.loads((tmp_path / "degrees.geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
    assert {x for x, _ in ring} == {0.3333333, 0.6666667}  # pixels of 0.00001 degrees


def test_rfc7946_reprojects_whatever_the_crs(tmp_path):
    transformer = pyproj.Transformer.from_crs(NO_CODE, 4326, always_xy=True)
    assert write(tmp_path / "map.geojson", crs="no code", rfc7946=True) == []
    text = json.loads((tmp_path / "map.geojson").read_text())
    assert "crs" not in text
    corners = np.array(text["features"][0]["geometry"]["coordinates"][0])
    expected = np.column_stack(transformer.transform([0, 1], [0, 1]))
    np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], expected, atol=1.1e-7)


def test_geojson_refuses_a_crs_it_cannot_name(tmp_path):
    for refusal in (
        lambda: check_layers(tmp_path / "map.geojson", grid(crs="no code"), rfc7946=False),
        lambda: write(tmp_path / "map.geojson", crs="no code"),
    ):
        with pytest.raises(OutputError, match="--rfc7946"):
            refusal()
    check_layers(tmp_path / "map.geojson", grid(crs="no code"), rfc7946=True)
    check_layers(tmp_path / "map.gpkg", grid(crs="no code"), rfc7946=False)
    with pytest.raises(UsageError, match="--rfc7946"):
        check_layers(tmp_path / "map.gpkg", grid(), rfc7946=True)


@pytest.mark.parametrize("rfc7946", [True, False])
def test_geojson_refuses_a_local_crs_without_advising_what_would_not_help(tmp_path, rfc7946):
    for refusal in (
        lambda: check_layers(tmp_path / "map.geojson", grid(crs="local"), rfc7946=rfc7946),
        lambda: write(tmp_path / "map.geojson", crs="local", rfc7946=rfc7946),
    ):
        with pytest.raises(OutputError, match=r"local CRS .* write \.gpkg$"):
            refusal()
    assert not list(tmp_path.iterdir())


def test_a_writer_gives_gdal_its_settings_back(tmp_path):
    pyogrio.set_gdal_config_options({"OGR_SQLITE_SYNCHRONOUS": "FULL"})
    try:
        write(tmp_path / "map.gpkg")
        assert pyogrio.get_gdal_config_option("OGR_SQLITE_SYNCHRONOUS") == "FULL"
    finally:
        pyogrio.set_gdal_config_options({"OGR_SQLITE_SYNCHRONOUS": None})


def test_writing_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ending in ("gpkg", "geojson", "fgb", "parquet"):
            write(tmp_path / f"map.{ending}")


FULL = """
    import resource, signal, sys
    import numpy as np
    sys.path.insert(0, {tests!r})
    import geopandas, pyogrio
    from written_layers import some_classes, some_polygons, write, write_classes, BUILDING
    from geoseg.errors import OutputError
    from geoseg.layers.publish import published
    classes, layers = some_classes(600, 600), [(BUILDING, some_polygons(BUILDING, 2000))]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit in {limits}:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            with published({target!r}, overwrite=True) as path:
                write_classes(path, classes) if path.suffix == ".tif" else write(path, layers=layers)
            print(limit, "published")
        except OutputError as error:
            print(limit, error)
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE is POSIX")
@pytest.mark.parametrize("ending", [".tif", ".gpkg", ".geojson", ".fgb", ".parquet"])
def test_a_disk_that_fills_at_any_moment_never_goes_unnoticed(tmp_path, ending):
    """GDAL reports nothing when the last blocks of a file find no room; we must."""
    target = tmp_path / f"map{ending}"
    whole = tmp_path / f"whole{ending}"
    if ending == ".tif":
        write_classes(whole, some_classes(600, 600))
    else:
        write(whole, layers=[(BUILDING, some_polygons(BUILDING, 2000))])
    size = whole.stat().st_size
    target.write_bytes(b"the earlier result")
    limits = [size - missing for missing in (2, 700, 3000, 5000, 20_000, size // 2, size - 2000)]
    script = FULL.format(tests=str(Path(__file__).parent), target=str(target), limits=limits)
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    told = run.stdout.splitlines()
    assert len(told) == len(limits)
    for line in told:
        assert f"{target}: " in line, line
    assert target.read_bytes() == b"the earlier result"
    assert {found.name for found in tmp_path.iterdir()} - {f"{whole.name}.aux.xml"} == {
        target.name,
        whole.name,
    }
