"""Written files are opened again, by other readers where there are any, and say what was written."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import warnings
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.errors import InputError, OutputError, UsageError
from geoseg.layers import geopackage
from geoseg.layers.features import WantedLayers
from geoseg.layers.legend import read_legend
from geoseg.layers.publish import published
from geoseg.layers.qml import class_qml
from geoseg.layers.raster import ClassRasterWriter, ConfidenceWriter, check_raster, is_confidence
from geoseg.layers.vector import check_layers, driver_of, write_layers
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Legend, MapClass, Polygons

NO_CODE = "+proj=laea +lat_0=12.5 +lon_0=33.25 +x_0=100 +y_0=200 +ellps=GRS80 +units=m +no_defs"
LOCAL = 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["(E)",east],AXIS["(N)",north],LENGTHUNIT["metre",1]]'
CRSS = {
    "utm": CRS.from_epsg(32640),
    "degrees": CRS.from_epsg(4326),
    "mercator": CRS.from_epsg(3857),
    "feet": CRS.from_epsg(2263),
    "no code": CRS.from_proj4(NO_CODE),
    "local": CRS.from_wkt(LOCAL),
}
BUILDING, ROAD, WATER = list(DEFAULT_LEGEND)[:3]


def grid(height=40, width=30, crs="utm"):
    step = 1e-5 if crs == "degrees" else 0.5
    return Grid(CRSS[crs].to_wkt(version="WKT2_2019"), Affine(step, 0, 55, 0, -step, 25), height, width)


def some_classes(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 6, (height, width)).astype(np.uint8)


def write_classes(path, classes, *, on=None, legend=DEFAULT_LEGEND, tags=None, options=None, step=100):
    where = on or grid(*classes.shape)
    with ClassRasterWriter(path, where, legend, tags or {}, options or {}) as writer:
        for row in range(0, len(classes), step):
            writer.write(ClassRows(row, classes[row : row + step]))
    return path


def some_polygons(entry, count):
    x = np.arange(count) * 2.0
    confidence = np.where(np.arange(count) % 2, 0.75, np.nan)
    boxes = shapely.box(x, 0, x + 1, 1)
    return Polygons(np.full(count, entry.value, np.uint8), boxes, np.full(count, 1.5), np.full(count, 4.0), confidence)


def three_layers(buildings=5, roads=3, water=0):
    counts = zip((BUILDING, ROAD, WATER), (buildings, roads, water), strict=True)
    return [(entry, some_polygons(entry, count)) for entry, count in counts]


def write(path, *, crs="utm", layers=None, rfc7946=False, attributes=()):
    layers = layers or three_layers()
    return write_layers(
        path,
        WantedLayers([entry for entry, _ in layers], attributes, rfc7946),
        [polygons for _, polygons in layers],
        grid(crs=crs),
        {"model": "tiny"},
    ).notes


# --- class and confidence rasters


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 700), st.integers(1, 40), st.integers(1, 600), st.integers(0, 99))
@example(513, 1, 100, 0)  # too narrow for its overviews to have a factor
@example(1, 2000, 1, 0)
def test_strips_of_any_height_make_the_same_raster(tmp_path_factory, height, width, step, seed):
    classes = some_classes(height, width, seed)
    path = write_classes(tmp_path_factory.mktemp("strips") / "classes.tif", classes, step=step)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), classes)


def test_a_class_raster_says_what_its_values_are(tmp_path):
    classes = some_classes(1100, 700)
    where = grid(1100, 700)
    path = write_classes(tmp_path / "classes.tif", classes, tags={"GEOSEG_MODEL": "tiny"})
    with rasterio.open(path) as raster:
        assert raster.dtypes == ("uint8",)
        assert raster.nodata == 0
        assert raster.block_shapes == [(512, 512)]
        assert raster.compression.name == "deflate"
        assert raster.transform == where.transform
        assert raster.overviews(1) == [2, 4]
        assert raster.colormap(1)[1] == (0x3C, 0x10, 0x98, 255)
        assert raster.tags()["GEOSEG_MODEL"] == "tiny"
        assert raster.read_masks(1)[classes == 0].max() == 0
        rasterio.shutil.copy(raster, tmp_path / "seen.vrt", driver="VRT")  # GDAL writes down all it knows
        assert tuple(read_legend(raster, []).values()) == DEFAULT_LEGEND.classes
    names = ET.parse(tmp_path / "seen.vrt").findall("VRTRasterBand/CategoryNames/Category")
    assert [name.text for name in names] == ["nodata", "building", "road", "water", "vegetation", "land"]


def test_overviews_hold_classes_and_nothing_between(tmp_path):
    classes = some_classes(1280, 1280)
    path = write_classes(tmp_path / "classes.tif", classes)
    for level, factor in enumerate((2, 4)):
        with rasterio.open(path, overview_level=level) as overview:
            seen = overview.read(1)
        beneath = classes.reshape(1280 // factor, factor, 1280 // factor, factor)
        assert (beneath == seen[:, None, :, None]).any(axis=(1, 3)).all()


def test_a_small_raster_needs_no_overviews(tmp_path):
    with rasterio.open(write_classes(tmp_path / "classes.tif", some_classes(512, 512))) as raster:
        assert raster.overviews(1) == []


def test_a_confidence_raster_is_percents(tmp_path):
    percents = np.random.default_rng(0).integers(0, 101, (600, 50)).astype(np.uint8)
    percents[:9] = 255
    with ConfidenceWriter(tmp_path / "confidence.tif", grid(600, 50), {"A": "b"}, {}) as writer:
        writer.write(ClassRows(0, percents, percents))
    with rasterio.open(tmp_path / "confidence.tif") as raster:
        assert raster.nodata == 255
        assert raster.tags()["A"] == "b"
        assert is_confidence(raster)
        assert raster.overviews(1) == [2]
        np.testing.assert_array_equal(raster.read(1), percents)
    with pytest.raises(ValueError, match="without confidence"):
        ConfidenceWriter(tmp_path / "none.tif", grid(600, 50), {}, {}).write(ClassRows(0, percents))


@pytest.mark.parametrize("crs", CRSS)
def test_the_crs_of_a_raster_comes_back_identical(tmp_path, crs):
    with published(tmp_path / "classes.tif", overwrite=False) as path:
        write_classes(path, some_classes(9, 7), on=grid(9, 7, crs))
    with rasterio.open(tmp_path / "classes.tif") as raster:
        assert raster.crs == CRSS[crs]
        assert list(read_legend(raster, [])) == [1, 2, 3, 4, 5]
    assert {found.name for found in tmp_path.iterdir()} == {"classes.tif", "classes.tif.aux.xml"}


def test_rotated_and_south_up_places_come_back(tmp_path):
    for number, transform in enumerate((Affine.rotation(30) @ Affine.scale(2, -1), Affine(1, 0, 5, 0, 1, 7))):
        on = Grid(CRSS["utm"].to_wkt(version="WKT2_2019"), transform, 9, 7)
        with rasterio.open(write_classes(tmp_path / f"{number}.tif", some_classes(9, 7), on=on)) as raster:
            assert raster.transform.almost_equals(transform, 1e-12)


def test_creation_options_win_and_unknown_ones_are_refused(tmp_path):
    classes = some_classes(100, 100)
    path = write_classes(tmp_path / "a.tif", classes, options={"COMPRESS": "ZSTD", "blockxsize": "64"})
    with rasterio.open(path) as raster:
        assert raster.compression.name == "zstd"
        assert raster.block_shapes == [(512, 64)]
    with pytest.raises(UsageError, match="COMPRES"):
        write_classes(tmp_path / "b.tif", classes, options={"COMPRES": "ZSTD"})
    with pytest.raises(UsageError, match="would change pixel values"):
        write_classes(tmp_path / "c.tif", classes, options={"compress": "jpeg"})
    with pytest.raises(OutputError, match="incomplete"):
        write_classes(tmp_path / "d.tif", classes, options={"NBITS": "1"})
    with rasterio.open(path) as raster:
        assert not is_confidence(raster)


@pytest.mark.parametrize("option", [{"BLOCKXSIZE": "17"}, {"blockysize": "8"}, {"BLOCKXSIZE": "-16"}])
def test_a_tile_that_cannot_be_is_a_usage_error(tmp_path, option):
    with pytest.raises(UsageError, match=f"--co {next(iter(option))}="):
        write_classes(tmp_path / "a.tif", some_classes(40, 30), options=option)


def test_rasters_have_the_ending_of_a_geotiff():
    for path in ("a.tif", Path("b.TIFF")):
        check_raster(path)
    for path in ("a.png", Path("a.tif.jp2"), "tif"):
        with pytest.raises(UsageError, match=r"use one of \.tif, \.tiff"):
            check_raster(path)


def test_missing_and_misplaced_rows_are_refused(tmp_path):
    classes = some_classes(40, 30)
    with ClassRasterWriter(tmp_path / "a.tif", grid(), DEFAULT_LEGEND, {}, {}) as writer:
        for row, strip in ((1, classes), (0, classes[:, :29]), (0, np.vstack([classes, classes]))):
            with pytest.raises(ValueError, match="does not follow"):
                writer.write(ClassRows(row, strip))
        writer.write(ClassRows(0, classes))
    writer = ClassRasterWriter(tmp_path / "b.tif", grid(), DEFAULT_LEGEND, {}, {})
    writer.write(ClassRows(0, classes[:39]))
    with pytest.raises(ValueError, match="39 of 40 rows"):
        writer.__exit__(None, None, None)


# --- legends of other programs


def foreign(path, *, names=(), palette=None):
    with rasterio.open(
        path, "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8", crs=CRSS["utm"],
        transform=Affine(1, 0, 5, 0, -1, 7),
    ) as raster:  # fmt: skip
        if palette:
            raster.write_colormap(1, palette)
        raster.write(np.arange(16, dtype=np.uint8).reshape(4, 4), 1)
    if names:
        categories = "".join(f"<Category>{name}</Category>" for name in names)
        Path(f"{path}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames></PAMRasterBand>'
            "</PAMDataset>",
            encoding="utf-8",
        )
    return path


def test_names_and_colours_of_others_become_a_legend(tmp_path):
    names = ["", "Buildings", "Bäume &amp; Büsche", "", "1, 2 = 3", "樹", "gpkg_x", "bäume   büsche"]
    path = foreign(tmp_path / "land.tif", names=names, palette={1: (1, 2, 3, 255), 2: (0, 128, 255, 255)})
    with rasterio.open(path) as raster:
        found = read_legend(raster, [0, 1, 2, 3, 4, 5, 6, 7, 255])
    assert found[1] == MapClass(1, "building", "buildings", "#010203", BUILDING.style, BUILDING.min_area_m2)
    assert (found[2].name, found[2].layer, found[2].color) == ("Bäume & Büsche", "Baume_Busche", "#0080FF")
    assert (found[3].name, found[3].layer) == ("class_3", "class_3")
    assert (found[4].name, found[4].layer) == ("class_4", "class_4")  # a layer may not begin with a digit
    assert found[5].layer == "class_5"
    assert found[6].layer == "class_6"
    assert found[7].layer == "class_7"  # tables may not differ by case
    assert (found[0].value, found[0].name) == (8, "class_0")
    assert (found[255].value, found[255].name) == (9, "class_255")
    Legend(tuple(found.values()))  # no value, name or layer twice


def test_a_damaged_tag_is_no_legend(tmp_path):
    with rasterio.open(foreign(tmp_path / "land.tif"), "r+") as raster:
        raster.update_tags(GEOSEG_LEGEND='[{"value": 300}]')
    with rasterio.open(tmp_path / "land.tif") as raster:
        assert read_legend(raster, [2])[2].name == "class_2"


def test_more_classes_than_values_are_refused(tmp_path):
    with rasterio.open(foreign(tmp_path / "land.tif")) as raster, pytest.raises(InputError, match="254"):
        read_legend(raster, range(256))


# --- GeoPackage


def test_a_geopackage_has_a_layer_for_each_class_even_an_empty_one(tmp_path):
    assert write(tmp_path / "map.gpkg") == []
    for name, entry, count in (("buildings", BUILDING, 5), ("roads", ROAD, 3), ("water", WATER, 0)):
        info = pyogrio.read_info(tmp_path / "map.gpkg", layer=name)
        assert info["geometry_type"] == "Polygon"
        assert info["geometry_name"] == "geom"
        assert info["fields"].tolist() == ["class", "area_m2", "perimeter_m", "confidence"]
        assert info["ogr_types"] == ["OFTString", "OFTReal", "OFTReal", "OFTReal"]
        assert info["crs"] == "EPSG:32640"
        frame = geopandas.read_file(tmp_path / "map.gpkg", layer=name)
        expected = some_polygons(entry, count)
        assert shapely.equals_exact(frame.geometry.to_numpy(), expected.geometry).all()
        assert set(frame["class"]) <= {entry.name}
        np.testing.assert_array_equal(frame["confidence"].to_numpy(float), expected.confidence)


def in_batches(layers, size):
    """Yield polygons of several classes mixed, a few at a time."""
    for start in range(0, max(len(polygons.values) for _, polygons in layers), size):
        for _, polygons in reversed(layers):
            part = slice(start, start + size)
            yield Polygons(*(getattr(polygons, name)[part] for name in Polygons.__slots__))


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "parquet"])
def test_polygons_may_come_in_batches_of_mixed_classes(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(geopackage, "_HELD", 4)
    path, layers = tmp_path / f"map.{ending}", three_layers(11, 6, 0)
    chosen = [entry for entry, _ in layers]
    written = write_layers(path, WantedLayers(chosen), in_batches(layers, 3), grid(), {})
    assert {value: tally.features for value, tally in written.tallies.items()} == {1: 11, 2: 6, 3: 0}
    assert written.tallies[1].area_m2 == pytest.approx(11 * 1.5)
    if ending == "gpkg":
        assert [name for name, kind in pyogrio.list_layers(path) if kind] == ["buildings", "roads", "water"]
        assert len(geopandas.read_file(path, layer="buildings")) == 11
    else:
        read = geopandas.read_parquet if ending == "parquet" else geopandas.read_file
        assert read(path)["class"].value_counts().to_dict() == {"building": 11, "road": 6}


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "parquet"])
@pytest.mark.parametrize("error", [InputError("the scene broke off"), RuntimeError("torch"), OSError(5, "no scene")])
def test_what_goes_wrong_before_the_writer_is_not_the_writers_fault(tmp_path, ending, error):
    def broken():
        yield some_polygons(BUILDING, 2)
        raise error

    with pytest.raises(type(error)) as raised:
        write_layers(tmp_path / f"map.{ending}", WantedLayers([BUILDING]), broken(), grid(), {})
    assert raised.value is error


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "parquet"])
def test_an_interrupt_while_records_are_made_is_an_interrupt(tmp_path, monkeypatch, ending):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("geoseg.layers.features.shapely.to_wkb", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / f"map.{ending}")


def test_a_geopackage_is_version_1_3_and_knows_its_tables(tmp_path):
    write(tmp_path / "map.gpkg")
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (10300,)
        assert file.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        contents = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents"))
        assert contents == {
            "buildings": "features",
            "roads": "features",
            "water": "features",
            "layer_styles": "attributes",
        }
        counts = dict(file.execute("SELECT table_name, feature_count FROM gpkg_ogr_contents"))
        assert counts == {"buildings": 5, "roads": 3, "water": 0, "layer_styles": 3}
        extensions = set(file.execute("SELECT table_name, extension_name FROM gpkg_extensions"))
        assert extensions >= {
            ("gpkg_metadata", "gpkg_metadata"),
            ("gpkg_metadata_reference", "gpkg_metadata"),
        }
        assert {("buildings", "gpkg_rtree_index"), ("water", "gpkg_rtree_index")} <= extensions
        assert file.execute("SELECT count(*) FROM rtree_buildings_geom").fetchone() == (5,)
        assert file.execute("SELECT mime_type, metadata FROM gpkg_metadata").fetchall() == [
            ("application/json", '{"model": "tiny"}')
        ]
        scope = "SELECT reference_scope, md_file_id FROM gpkg_metadata_reference"
        assert file.execute(scope).fetchall() == [("geopackage", 1)]


def test_every_layer_has_a_style_that_qgis_finds(tmp_path):
    write(tmp_path / "map.gpkg")
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as file:
        rows = file.execute(
            "SELECT f_table_name, f_table_schema, useAsDefault, update_time FROM layer_styles "
            "JOIN gpkg_geometry_columns ON table_name = f_table_name AND column_name = f_geometry_column"
        ).fetchall()
    assert [(name, schema, default) for name, schema, default, _ in rows] == [
        ("buildings", "", 1),
        ("roads", "", 1),
        ("water", "", 1),
    ]
    for _, _, _, updated in rows:
        assert updated[10] == "T"
        assert updated[-1] == "Z"


def test_a_style_has_the_fill_of_the_class_and_outlines_only_buildings():
    """Edges in the fill's own colour close the seams between neighbours, and are not to be seen."""
    for entry in DEFAULT_LEGEND:
        layer = ET.fromstring(class_qml(entry)).find("renderer-v2/symbols/symbol/layer")
        options = {option.get("name"): option.get("value") for option in layer.findall("Option/Option")}
        assert options == {prop.get("k"): prop.get("v") for prop in layer.findall("prop")}
        assert options["color"] == ",".join(str(part) for part in bytes.fromhex(entry.style[1:])) + ",255"
        assert (options["outline_color"] != options["color"]) == (entry == BUILDING)


def test_a_published_geopackage_is_one_file_whatever_journal_gdal_is_told_to_use(tmp_path):
    """A database in mode WAL needs two files beside it, and cannot be opened from a read-only folder."""
    pyogrio.set_gdal_config_options({"OGR_SQLITE_JOURNAL": "WAL", "OGR_SQLITE_PRAGMA": "journal_mode=WAL"})
    try:
        with published(tmp_path / "map.gpkg", overwrite=False) as path:
            write(path)
    finally:
        pyogrio.set_gdal_config_options({"OGR_SQLITE_JOURNAL": None, "OGR_SQLITE_PRAGMA": None})
    assert [found.name for found in tmp_path.iterdir()] == ["map.gpkg"]
    assert (tmp_path / "map.gpkg").read_bytes()[18:20] == b"\1\1"  # 2 and 2 stand for WAL
    geopandas.read_file(tmp_path / "map.gpkg", layer="roads")
    assert [found.name for found in tmp_path.iterdir()] == ["map.gpkg"]


def test_an_empty_layer_is_like_a_full_one(tmp_path):
    """A project that shows a layer must find its CRS, columns, index and style, though nothing was found this time."""
    write(tmp_path / "map.gpkg", crs="feet")
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as file:
        full, empty = (
            [
                [row[1:3] for row in file.execute(f"PRAGMA table_info({layer})")],
                file.execute(
                    "SELECT column_name, geometry_type_name, srs_id, z, m FROM gpkg_geometry_columns "
                    "WHERE table_name = ?",
                    (layer,),
                ).fetchall(),
                file.execute("SELECT data_type, srs_id FROM gpkg_contents WHERE table_name = ?", (layer,)).fetchall(),
                file.execute(
                    "SELECT column_name, extension_name FROM gpkg_extensions WHERE table_name = ?", (layer,)
                ).fetchall(),
                file.execute(
                    "SELECT f_table_catalog, f_table_schema, f_geometry_column, useAsDefault FROM layer_styles "
                    "WHERE f_table_name = ?",
                    (layer,),
                ).fetchall(),
                file.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (f"rtree_{layer}_geom",)).fetchall(),
            ]
            for layer in ("roads", "water")
        )
        styles = dict(file.execute("SELECT f_table_name, styleQML FROM layer_styles"))
    assert len(full[1]) == len(full[2]) == len(full[4]) == 1
    assert full[4] == [("", "", "geom", 1)]
    assert full[5] == [(1,)]
    assert empty == full
    assert styles["water"] == class_qml(WATER)


def test_gdal_reads_the_geopackage_without_a_word(tmp_path):
    write(tmp_path / "map.gpkg")
    script = """
        import sys, pyogrio
        for name, _ in pyogrio.list_layers(sys.argv[1]):
            print(name, len(pyogrio.read_dataframe(sys.argv[1], layer=name)))
        print(pyogrio.read_info(sys.argv[1], layer="roads")["dataset_metadata"])
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(tmp_path / "map.gpkg")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""
    assert run.stdout.splitlines()[:4] == ["buildings 5", "roads 3", "water 0", "layer_styles 3"]
    assert '{"model": "tiny"}' in run.stdout


def test_many_batches_arrive_in_order(tmp_path):
    layers = [(BUILDING, some_polygons(BUILDING, 25_001))]
    write(tmp_path / "map.gpkg", layers=layers)
    found = pyogrio.read_dataframe(tmp_path / "map.gpkg", layer="buildings")
    np.testing.assert_array_equal(found.geometry.bounds["minx"], np.arange(25_001) * 2.0)


# --- coordinate reference systems and other formats


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


# --- a full disk

FULL = """
    import resource, signal, sys
    import numpy as np
    sys.path.insert(0, {tests!r})
    import geopandas, pyogrio
    from test_layers import some_classes, some_polygons, write, write_classes, BUILDING
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
