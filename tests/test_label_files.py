"""Labels and maps of other kinds of files, without classes, without a CRS, with x and y swapped: each is told a way."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import sqlite3
import subprocess
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from geoseg.errors import InputError
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, found_scenes
from geoseg.pipeline.info import as_text, describe
from geoseg.scene.open_vector import read_layers
from tests.labelled_ground import HOUSES, UTM, write_scene
from tests.maps import perfect, scores

DRIVERS = {"b.shp": "ESRI Shapefile", "b.shz": "ESRI Shapefile", "b.geojsonl": "GeoJSONSeq", "b.sqlite": "SQLite",
           "b.gdb": "OpenFileGDB", "b.gml": "GML"}  # fmt: skip
PACKED = {"b.zip": "", "in folder.zip": "deep/er/"}
KINDS = [*DRIVERS, *PACKED, "b.csv", "b.geojson.gz"]


@pytest.fixture
def ground(tmp_path, monkeypatch):
    """A folder to be in, with a scene and its labels."""
    monkeypatch.chdir(tmp_path)
    write_scene(Path("scene.tif"))
    houses().to_file("reference.gpkg", layer="things")
    return tmp_path


def houses(**fields):
    return geopandas.GeoDataFrame(fields or {"class": ["building"] * len(HOUSES)}, geometry=HOUSES, crs=UTM)


def swapped(frame):
    return frame.set_geometry(shapely.transform(frame.geometry.values, lambda xy: xy[:, ::-1]), crs=frame.crs)


def write_kind(name):
    """Write houses as a file of a kind that geoseg does not read."""
    path = Path(name)
    if name in DRIVERS:
        pyogrio.write_dataframe(houses(), path, layer="b", driver=DRIVERS[name])
    elif name in PACKED:
        pyogrio.write_dataframe(houses(), "b.shp")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/b.shp", b"")
            archive.writestr(PACKED[name] + "about.csv", b"where,when")
            for part in Path().glob("b.*"):
                if part.suffix in (".shp", ".shx", ".dbf", ".prj"):
                    archive.write(part, PACKED[name] + part.name)
    elif name == "b.csv":
        lines = [f'"{house.wkt}",building' for house in HOUSES]
        path.write_text("\n".join(["WKT,class", *lines, ""]))
    else:
        path.write_bytes(gzip.compress(houses().to_json().encode()))
    return path


def learned(labels):
    """Look for the scene that labels lie on; InputError where training would raise it."""
    with found_scenes([ScenePair((Path("scene.tif"),), Path(labels))], None, ClassField(), lambda _: None) as found:
        return found.scenes


def refusal(do, *arguments):
    with pytest.raises(InputError) as refused:
        do(*arguments)
    return str(refused.value)


def follow(message, *, crs=UTM):
    """Type what a message ends with, where GDAL is there to do it; returns the file that it writes."""
    command = message[message.index("ogr2ogr") :].replace("EPSG:n", crs)
    if shutil.which("ogr2ogr"):
        subprocess.run(shlex.split(command), check=True, capture_output=True)
        return Path("out.gpkg")
    return None


@pytest.mark.parametrize("name", KINDS)
def test_other_kinds_of_vector_files_are_told_how_to_convert_them(ground, name):
    path = write_kind(name)
    told = refusal(learned, path)
    assert told.startswith(f"{name}: is no vector file geoseg reads as labels or maps, expected .gpkg, .geojson, .json")
    for maps in ((path, "reference.gpkg"), ("reference.gpkg", path)):
        assert refusal(scores, *maps) == told
    described = refusal(describe, name)
    assert described.startswith(f"{name}: is no vector file geoseg describes, expected .gpkg")
    command = told[told.index("ogr2ogr") :]
    assert described.endswith(f"; write it as one with: {command}")
    if name != "b.shp":  # an area of interest may be one
        assert refusal(read_layers, path).endswith(command)
    if (out := follow(told)) is not None:
        assert perfect(scores(out, "reference.gpkg"))
        assert learned(out)


def test_kinds_that_only_their_ending_tells(ground):
    for name in ("b.dxf", "b.gpx", "b.kml", "b.topojson.gz"):
        Path(name).write_bytes(b"something")
        assert "write it as one with: ogr2ogr" in refusal(learned, name)
        assert "write it as one with: ogr2ogr" in refusal(describe, name)


def test_what_is_missing_or_holds_no_vectors_is_not_converted(ground):
    for name in ("none.shp", "none.zip"):
        assert refusal(learned, name) == refusal(describe, name) == f"{name}: does not exist; check the path"
    with zipfile.ZipFile("pictures.zip", "w") as archive:
        archive.write("scene.tif")
    assert "is not an image geoseg can read" in refusal(learned, "pictures.zip")


def test_a_folder_is_no_labels_and_batch_is_no_way(ground):
    Path("shapes").mkdir()
    for told in (refusal(learned, "shapes"), refusal(scores, "reference.gpkg", "shapes")):
        assert told == "shapes: is a folder, expected one file of polygons or a class raster; name a file in it"


def test_geojson_may_end_in_json(ground):
    houses().to_file("b.json", driver="GeoJSON")
    assert len(learned("b.json")) == 1
    assert perfect(scores("b.json", "reference.gpkg"))
    assert perfect(scores("reference.gpkg", "b.json"))


@pytest.mark.parametrize("name", ["plain.gpkg", "plain.geojson", "plain.parquet", "many fields.fgb"])
def test_layers_that_name_no_class_are_told_with_their_fields(ground, name):
    count = 9 if "many" in name else 2
    frame = houses(**{f"field{i}": [i] * len(HOUSES) for i in range(count)})
    if name.endswith(".parquet"):
        frame.to_parquet(name)
    else:
        frame.to_file(name, layer="plain")
    told = refusal(learned, name)
    assert refusal(scores, name, "reference.gpkg") == told
    more = ", …" if count > 8 else ""
    fields = ", ".join(f"field{i}" for i in range(min(count, 8)))
    assert f"with the fields {fields}{more}), expected one" in told
    assert "--class-field NAME" in told
    assert "--class-name NAME" in told
    if name.endswith(".gpkg"):  # as QGIS does
        with sqlite3.connect(name) as database:
            database.execute("CREATE TABLE layer_styles (f_table_name TEXT)")
        database.close()
    if not name.endswith(".parquet") and follow(told) is not None:
        assert perfect(scores("out.gpkg", "reference.gpkg"))


def test_one_of_several_layers_without_classes_is_made_one(ground):
    bare = geopandas.GeoDataFrame(geometry=HOUSES, crs=UTM)
    for layer in ("old ones", "new"):
        bare.to_file("two.gpkg", layer=layer)
    told = refusal(learned, "two.gpkg")
    assert "(only old ones, new, without fields)" in told
    assert told.endswith('ogr2ogr -nln buildings out.gpkg two.gpkg "old ones"')
    if follow(told) is not None:
        assert pyogrio.list_layers("out.gpkg")[:, 0].tolist() == ["buildings"]


@pytest.mark.parametrize("srs", ["Undefined geographic SRS", "Undefined Cartesian SRS"])
@pytest.mark.parametrize("ending", ["gpkg", "fgb", "parquet"])
def test_undefined_is_no_crs(ground, srs, ending):
    """GDAL writes these into a GeoPackage where a shapefile has no .prj, and takes them along from there."""
    undefined = {
        "Undefined geographic SRS": 'GEOGCS["Undefined geographic SRS",DATUM["unknown",SPHEROID["unknown",6378137,'
        '298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]',
        "Undefined Cartesian SRS": 'LOCAL_CS["Undefined Cartesian SRS",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]',
    }
    frame = houses().set_crs(undefined[srs], allow_override=True)
    name = f"bare.{ending}"
    frame.to_parquet(name) if ending == "parquet" else frame.to_file(name)
    told = refusal(learned, name)
    assert refusal(scores, name, "reference.gpkg") == told
    assert told.startswith(f"{name}: its layer bare has no CRS, expected one; give it one with: ogr2ogr -a_srs EPSG:n")
    assert f" out.gpkg {name}" in told
    assert describe(name)["layers"][0]["crs"] is None
    assert "no CRS" in as_text(describe(name))
    if ending != "parquet" and follow(told) is not None:
        assert perfect(scores("out.gpkg", "reference.gpkg"))


def test_metres_are_no_degrees(ground):
    houses().set_crs("EPSG:4326", allow_override=True).to_file("metres.geojson")
    told = refusal(learned, "metres.geojson")
    assert refusal(scores, "metres.geojson", "reference.gpkg") == told
    assert "has coordinates such as 3500" in told
    assert "the CRS WGS 84, expected degrees of longitude and latitude" in told
    if follow(told) is not None:
        assert perfect(scores("out.gpkg", "reference.gpkg"))


def test_a_stray_polygon_beyond_the_poles_spoils_no_others(ground):
    frame = houses().to_crs("EPSG:4326")
    frame.loc[len(frame)] = ["building", shapely.box(*HOUSES[0].bounds)]
    frame.to_file("stray.gpkg", layer="things")
    assert len(learned("stray.gpkg")) == 1


@pytest.mark.parametrize("crs", ["EPSG:4326", UTM])
def test_x_and_y_that_changed_places_are_found(ground, crs):
    swapped(houses().to_crs(crs)).to_file("turned.fgb")
    told = refusal(learned, "turned.fgb")
    assert "shares no ground with scene.tif" in told
    way = 'turned.fgb would lie there with x and y swapped: ogr2ogr -ct "+proj=axisswap +order=2,1" out.gpkg turned.fgb'
    assert told.endswith(way)
    for maps in (("turned.fgb", "reference.gpkg"), ("reference.gpkg", "turned.fgb")):
        assert "shares no ground" in refusal(scores, *maps)
        assert "with x and y swapped: ogr2ogr -ct" in refusal(scores, *maps)
    if follow(told) is not None:
        out = geopandas.read_file("out.gpkg").to_crs(UTM)
        np.testing.assert_allclose(out.total_bounds, houses().total_bounds, atol=1e-3)


def test_labels_of_another_place_are_not_said_to_be_swapped(ground):
    houses().translate(9e4, 0).to_frame("geometry").to_file("far.gpkg", layer="buildings")
    for told in (refusal(learned, "far.gpkg"), refusal(scores, "far.gpkg", "reference.gpkg")):
        assert told.endswith("check their CRSs with: geoseg info")


def test_a_longitude_that_is_no_latitude_came_second(ground):
    """East of 90 degrees, a longitude in the latitude's place has no place on earth."""
    eastern = geopandas.GeoDataFrame(
        {"class": ["building"]}, geometry=[shapely.box(-6.2, 106.8, -6.1, 106.9)], crs=4326
    )
    eastern.to_file("east.gpkg", layer="things")
    told = refusal(learned, "east.gpkg")
    assert "expected longitude before latitude; swap them with: ogr2ogr -ct" in told
    if follow(told) is not None:
        bounds = geopandas.read_file("out.gpkg").total_bounds
        np.testing.assert_allclose(bounds, [106.8, -6.2, 106.9, -6.1])


@pytest.mark.parametrize(("stated", "told"), [("null", None), ("missing", "OGC:CRS84")])
def test_geoparquet_of_an_unknown_crs_is_told_from_one_of_the_default(ground, stated, told):
    """https://geoparquet.org/releases/v1.1.0/: null is unknown, and no word at all is OGC:CRS84."""
    from pyarrow import parquet

    houses().to_crs("OGC:CRS84").to_parquet("houses.parquet")
    table = parquet.read_table("houses.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    column.pop("crs") if stated == "missing" else column.update(crs=None)
    parquet.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo).encode()}), "houses.parquet")
    assert describe("houses.parquet")["layers"][0]["crs"] == told
