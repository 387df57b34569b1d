"""However hastily a GeoPackage is written, it holds what GDAL and SQLite write by their own careful settings."""

import os
import sqlite3
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from written_layers import BUILDING, grid, in_batches, three_layers

from geoseg.layers import geopackage
from geoseg.layers.centerlines import LAYER, SCHEMA, append_lines, line_records
from geoseg.layers.features import WantedLayers, feature_stream
from geoseg.layers.publish import published
from geoseg.layers.styles import add_line_style, write_styles
from geoseg.layers.vector import write_layers
from geoseg.vector.attributes import chosen_attributes
from geoseg.vocabulary import Lines, Polygons

PROVENANCE = {"model": "tiny", "where": "Dübái"}
MOMENTS = {"last_change", "timestamp", "update_time"}
SHADOWS = ("_node", "_parent", "_rowid")


def write_plainly(path, layers, crs, attributes=()):
    """Write each layer at once, with a journal on the disk, synced at every transaction."""
    for number, (entry, polygons) in enumerate(layers):
        pyogrio.write_arrow(
            feature_stream([(entry, polygons)], attributes), path, driver="GPKG", layer=entry.layer,
            geometry_name="geom", geometry_type="Polygon", crs=crs, append=number > 0, VERSION="1.3",
        )  # fmt: skip
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        write_styles(file, [entry for entry, _ in layers])
        geopackage._write_provenance(file, PROVENANCE)


def content(path, *, shadows=True):
    """Return everything in a database but moments; of a spatial index also how it is laid out, if wanted."""
    with closing(sqlite3.connect(path)) as file:
        pragmas = ("user_version", "application_id", "page_size", "encoding", "journal_mode", "auto_vacuum")
        found = {name: file.execute(f"PRAGMA {name}").fetchall() for name in pragmas}
        schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"  # appending moves triggers
        found["schema"] = file.execute(schema).fetchall()
        for kind, table, _, _ in found["schema"]:
            if kind == "table" and (shadows or not table.endswith(SHADOWS)):
                rows = file.execute(f'SELECT * FROM "{table}"')
                kept = [number for number, column in enumerate(rows.description) if column[0] not in MOMENTS]
                found[table] = sorted(repr([row[number] for number in kept]) for row in rows)
    return found


def assert_the_same(one, other, *, shadows=True):
    first, second = content(one, shadows=shadows), content(other, shadows=shadows)
    assert first.keys() == second.keys()
    for name, rows in first.items():
        assert rows == second[name], name
    for layer, kind in pyogrio.list_layers(one):
        infos = [pyogrio.read_info(path, layer=layer, force_total_bounds=True) for path in (one, other)]
        for name, value in infos[0].items():
            np.testing.assert_array_equal(value, infos[1][name], err_msg=name)
        if kind is not None:
            assert_geodataframe_equal(*(pyogrio.read_dataframe(path, layer=layer) for path in (one, other)))


@pytest.mark.parametrize("crs", ["utm", "degrees", "feet", "no code", "local"])
@pytest.mark.parametrize("counts", [(20, 20, 20), (5, 0, 3), (0, 0, 0), (3000, 1, 0)])
def test_a_geopackage_is_what_gdal_writes_by_itself(tmp_path, crs, counts):
    layers, where = three_layers(*counts), grid(crs=crs)
    attributes = chosen_attributes("elongation,holes", where) if crs == "utm" else ()
    wanted = WantedLayers([entry for entry, _ in layers], attributes)
    with published(tmp_path / "ours.gpkg", overwrite=False) as path:
        write_layers(path, wanted, [polygons for _, polygons in layers], where, PROVENANCE)
    write_plainly(tmp_path / "plain.gpkg", layers, where.crs, attributes)
    assert_the_same(tmp_path / "ours.gpkg", tmp_path / "plain.gpkg")


def test_layers_that_grow_together_hold_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(geopackage, "_HELD", 40)
    layers = three_layers(300, 120, 0)
    wanted = WantedLayers([entry for entry, _ in layers])
    with published(tmp_path / "ours.gpkg", overwrite=False) as path:
        write_layers(path, wanted, in_batches(layers, 30), grid(), PROVENANCE)
    write_plainly(tmp_path / "plain.gpkg", layers, grid().crs)
    assert_the_same(tmp_path / "ours.gpkg", tmp_path / "plain.gpkg", shadows=False)


@pytest.mark.parametrize("count", [0, 25])
def test_a_layer_of_lines_is_what_gdal_writes_by_itself(tmp_path, count):
    layers = three_layers(20, 20, 20)
    ends = np.arange(count) * 3.0
    shapes = shapely.linestrings([[(x, 0), (x + 2, 1)] for x in ends]) if count else np.empty(0, object)
    records = line_records(Lines(shapes, ends + 1, ends + 2))
    for name in ("ours", "plain"):
        write_plainly(tmp_path / f"{name}.gpkg", layers, grid().crs)
    append_lines(tmp_path / "ours.gpkg", [records], grid().crs)
    pyogrio.write_arrow(
        pa.RecordBatchReader.from_batches(SCHEMA, [records]), tmp_path / "plain.gpkg", driver="GPKG", layer=LAYER,
        geometry_name="geom", geometry_type="LineString", crs=grid().crs, append=True,
    )  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "plain.gpkg", isolation_level=None)) as file:
        add_line_style(file, LAYER)
    assert_the_same(tmp_path / "ours.gpkg", tmp_path / "plain.gpkg")


@pytest.mark.skipif(os.name == "nt", reason="a folder says when names came or went only in the end")
def test_no_journal_lies_beside_a_file_that_nobody_knows_yet(tmp_path, monkeypatch):
    """A journal that comes and goes with every transaction is much of what a small file would cost."""
    layers, original = three_layers(20, 20, 20), pyogrio.write_arrow

    def watched(*arguments, **options):
        original(*arguments, **options)
        if not options["append"]:  # the file itself is new in the folder; from here on no name comes or goes
            os.utime(tmp_path, ns=(0, 0))

    monkeypatch.setattr(pyogrio, "write_arrow", watched)
    polygons = [polygons for _, polygons in layers]
    write_layers(tmp_path / "map.gpkg", WantedLayers([entry for entry, _ in layers]), polygons, grid(), PROVENANCE)
    assert tmp_path.stat().st_mtime_ns == 0


def test_settings_of_gdal_come_back_after_a_failure(tmp_path):
    broken = Polygons(np.ones(1, np.uint8), np.array([None], object), *np.ones((3, 1)))
    settings = {"OGR_SQLITE_SYNCHRONOUS": "FULL", "OGR_SQLITE_JOURNAL": "TRUNCATE"}
    pyogrio.set_gdal_config_options(settings)
    try:
        with pytest.raises(Exception, match=r"."):
            write_layers(tmp_path / "none" / "map.gpkg", WantedLayers([BUILDING]), [broken], grid(), {})
        assert {name: pyogrio.get_gdal_config_option(name) for name in settings} == settings
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(settings))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_folder_is_listed_once_by_a_run_that_ends_well(tmp_path, monkeypatch, overwrite):
    """Ten thousand results in a folder would otherwise be looked through several times by each of them."""
    listed = []
    for name in ("listdir", "scandir"):
        original = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *folder, original=original: (listed.append(os.fspath(*folder)), original(*folder))[1]
        )
    target = tmp_path / "map.gpkg"
    if overwrite:
        write_layers(target, WantedLayers([BUILDING]), [], grid(), {})
    with published(target, overwrite=overwrite) as path:
        write_layers(path, WantedLayers([BUILDING]), [], grid(), PROVENANCE)
    assert listed.count(str(tmp_path)) == 1
    monkeypatch.undo()
    assert [found.name for found in tmp_path.iterdir()] == ["map.gpkg"]
