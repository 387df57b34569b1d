"""GeoPackage: layers, styles, versions, batches."""

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from geoseg.errors import InputError
from geoseg.layers import geopackage
from geoseg.layers.features import WantedLayers
from geoseg.layers.publish import published
from geoseg.layers.qml import class_qml
from geoseg.layers.vector import write_layers
from geoseg.vocabulary import DEFAULT_LEGEND
from tests.written_layers import BUILDING, ROAD, WATER, grid, in_batches, some_polygons, three_layers, write


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
