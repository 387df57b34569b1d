"""``geoseg vectorize``: any class raster in, layers out, or one sentence why not."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.area_option import EVERY, AreaType, areas_by_name
from geoseg.cli.vectorize import command
from geoseg.errors import InputError, OutputError, UsageError
from geoseg.layers.raster import ClassRasterWriter, ConfidenceWriter
from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid

PLACE = Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000)
KEEP = VectorRequest("all", {EVERY: 0.0}, 0.0)


def raster(path, classes, *, crs="EPSG:32640", transform=PLACE, nodata=None, dtype="uint8"):
    """Write what another program would: no names, no colours."""
    bands = classes if classes.ndim == 3 else classes[None]
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=len(bands), dtype=dtype,
        crs=crs, transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(bands.astype(dtype))
    return path


def own_raster(path, classes):
    crs = rasterio.crs.CRS.from_epsg(32640).to_wkt(version="WKT2_2019")
    tags = {"GEOSEG_MODEL": "tiny"}
    with ClassRasterWriter(path, Grid(crs, PLACE, *classes.shape), DEFAULT_LEGEND, tags, {}) as writer:
        writer.write(ClassRows(0, classes))
    return path


def patches(seed=0, values=6, size=8):
    small = np.random.default_rng(seed).integers(0, values, (9, 7)).astype(np.uint8)
    return np.kron(small, np.ones((size, size), np.uint8))


def run(tmp_path, path, vectors=KEEP, out="map.gpkg", **more):
    return vectorize(VectorizeRequest(path, tmp_path / out, vectors=vectors, **more))


def refusal(tmp_path, path, kind=InputError, **more):
    with pytest.raises(kind) as caught:
        run(tmp_path, path, **more)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob(".*"))
    return str(caught.value)


# --- what comes out


@pytest.mark.parametrize("seed", range(3))
def test_our_own_raster_comes_back_from_its_polygons(tmp_path, seed):
    classes = patches(seed)
    report = run(tmp_path, own_raster(tmp_path / "classes.tif", classes))
    assert [layer["name"] for layer in report.layers] == ["buildings", "roads", "water", "vegetation", "land"]
    burnt = np.zeros_like(classes)
    for entry, layer in zip(DEFAULT_LEGEND, report.layers, strict=True):
        frame = geopandas.read_file(tmp_path / "map.gpkg", layer=entry.layer)
        assert len(frame) == layer["features"]
        assert layer["area_m2"] == (classes == entry.value).sum() * 0.25 == frame["area_m2"].sum()
        if len(frame):
            here = rasterio.features.rasterize(frame.geometry, classes.shape, transform=PLACE, dtype="uint8")
            assert not burnt[here == 1].any()
            burnt += here * np.uint8(entry.value)
    np.testing.assert_array_equal(burnt, classes)
    assert report.pixels == classes.size
    assert report.warnings == []
    provenance = json.loads(
        pyogrio.read_info(tmp_path / "map.gpkg", layer="roads")["dataset_metadata"]["GPKG_METADATA_ITEM_1"]
    )
    assert provenance["GEOSEG_MODEL"] == "tiny"
    assert provenance["simplify_px"] == 0
    assert provenance["min_area_m2"] == {entry.name: 0 for entry in DEFAULT_LEGEND}
    assert "GEOSEG_LEGEND" not in provenance


def test_our_own_raster_gives_the_default_layers_by_default(tmp_path):
    report = run(tmp_path, own_raster(tmp_path / "classes.tif", patches()), VectorRequest())
    assert [layer["name"] for layer in report.layers] == ["buildings", "roads", "water"]


def test_values_of_other_programs_become_classes_of_their_own(tmp_path):
    classes = np.repeat(np.array([[0, 7, 255, 99]], np.uint8), 4, axis=0)
    path = raster(tmp_path / "land.tif", classes)
    report = run(tmp_path, path, VectorRequest())
    assert [(layer["name"], layer["area_m2"]) for layer in report.layers] == [
        ("class_255", 1.0),
        ("class_7", 1.0),
        ("class_99", 1.0),
    ]


def test_zero_is_a_class_where_another_value_is_nodata(tmp_path):
    classes = np.repeat(np.array([[0, 7, 255, 255]], np.uint8), 4, axis=0)
    report = run(tmp_path, raster(tmp_path / "land.tif", classes, nodata=255))
    assert {layer["class"]: layer["area_m2"] for layer in report.layers} == {"class_0": 1.0, "class_7": 1.0}


def test_min_area_takes_class_and_layer_names(tmp_path):
    classes = np.full((40, 40), 5, np.uint8)
    classes[2:6, 2:6] = 1  # 4 m²
    classes[20:24, 20:24] = 2
    path = own_raster(tmp_path / "classes.tif", classes)
    for least, expected in (
        ({EVERY: 5.0}, [0, 0]),
        ({"building": 4.0, "roads": 5.0}, [1, 0]),
        ({EVERY: 5.0, "road": 1.0}, [0, 1]),
    ):
        report = run(tmp_path, path, VectorRequest("building,road", least, 0.0), overwrite=True)
        assert [layer["features"] for layer in report.layers] == expected


def test_confidence_is_read_along(tmp_path):
    classes = patches()
    path = own_raster(tmp_path / "classes.tif", classes)
    percents = raster(tmp_path / "confidence.tif", np.where(classes == 2, 40, 90).astype(np.uint8), nodata=255)
    run(tmp_path, path, confidence=percents)
    assert geopandas.read_file(tmp_path / "map.gpkg", layer="roads")["confidence"].tolist() == pytest.approx(
        [0.4] * len(geopandas.read_file(tmp_path / "map.gpkg", layer="roads"))
    )
    moved = raster(tmp_path / "moved.tif", classes, transform=Affine.translation(0.5, 0) @ PLACE)
    assert "another grid" in refusal(tmp_path, path, confidence=moved, out="other.gpkg")


def test_all_nodata_gives_empty_layers_and_a_note(tmp_path):
    report = run(tmp_path, own_raster(tmp_path / "classes.tif", np.zeros((9, 9), np.uint8)))
    assert [layer["features"] for layer in report.layers] == [0] * 5
    assert "every pixel is nodata" in report.warnings[0]
    assert len(pyogrio.list_layers(tmp_path / "map.gpkg")) == 6  # five layers and their styles


def test_overwriting_leaves_nothing_of_earlier_layers_and_styles(tmp_path):
    classes = np.kron(np.array([[1, 2, 4]], np.uint8), np.ones((9, 9), np.uint8))
    path = own_raster(tmp_path / "classes.tif", classes)
    run(tmp_path, path, VectorRequest("all"))
    run(tmp_path, path, VectorRequest("road,water"), overwrite=True)
    assert [name for name, kind in pyogrio.list_layers(tmp_path / "map.gpkg") if kind] == ["roads", "water"]
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as file:
        styled = "SELECT f_table_name, f_table_schema, f_geometry_column FROM layer_styles ORDER BY id"
        assert file.execute(styled).fetchall() == [("roads", "", "geom"), ("water", "", "geom")]
        tables = {name for (name,) in file.execute("SELECT table_name FROM gpkg_contents")}
        assert tables == {"roads", "water", "layer_styles"}
        assert not list(file.execute("SELECT name FROM sqlite_master WHERE name LIKE '%building%'"))
    assert {found.name for found in tmp_path.iterdir()} >= {"map.gpkg", "classes.tif"}
    assert not list(tmp_path.glob("map.gpkg-*"))


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "parquet"])
def test_a_class_that_is_not_there_is_a_layer_without_features(tmp_path, ending):
    path = own_raster(tmp_path / "classes.tif", np.full((9, 9), 2, np.uint8))
    report = run(tmp_path, path, VectorRequest("water"), f"map.{ending}")
    assert [(layer["name"], layer["features"]) for layer in report.layers] == [("water", 0)]
    found = tmp_path / f"map.{ending}"
    frame = geopandas.read_parquet(found) if ending == "parquet" else geopandas.read_file(found, layer=0)
    assert len(frame) == 0
    assert frame.crs.to_epsg() == 32640
    if ending == "gpkg":
        with closing(sqlite3.connect(found)) as file:
            assert file.execute("SELECT f_table_name FROM layer_styles").fetchall() == [("water",)]


def test_a_crs_can_be_given(tmp_path):
    path = raster(tmp_path / "classes.tif", patches(), crs=None)
    assert "--src-crs" in refusal(tmp_path, path)
    run(tmp_path, path, src_crs="EPSG:3857")
    assert geopandas.read_file(tmp_path / "map.gpkg", layer="class_1").crs == "EPSG:3857"


# --- what is refused


def test_rasters_that_are_no_class_rasters_are_refused(tmp_path):
    classes = patches()
    assert "3 bands" in refusal(tmp_path, raster(tmp_path / "rgb.tif", np.stack([classes] * 3)))
    assert "float32" in refusal(tmp_path, raster(tmp_path / "float.tif", classes, dtype="float32"))
    assert "int16" in refusal(tmp_path, raster(tmp_path / "short.tif", classes, dtype="int16"))
    assert "none.tif" in refusal(tmp_path, tmp_path / "none.tif")


def test_our_own_confidences_are_not_taken_for_classes(tmp_path):
    percents = np.random.default_rng(0).integers(20, 101, (40, 30)).astype(np.uint8)
    place = Grid(rasterio.crs.CRS.from_epsg(32640).to_wkt(version="WKT2_2019"), PLACE, *percents.shape)
    with ConfidenceWriter(tmp_path / "confidence.tif", place, {}, {}) as writer:
        writer.write(ClassRows(0, percents, percents))
    assert "holds confidences" in refusal(tmp_path, tmp_path / "confidence.tif")
    classes = own_raster(tmp_path / "classes.tif", np.full((40, 30), 2, np.uint8))
    run(tmp_path, classes, confidence=tmp_path / "confidence.tif")


def test_a_link_as_result_is_reported_by_the_name_that_was_given(tmp_path):
    try:
        (tmp_path / "map.gpkg").symlink_to("blob")
    except OSError:
        pytest.skip("no symbolic links here")
    report = run(tmp_path, own_raster(tmp_path / "classes.tif", patches()))
    assert report.out == str(tmp_path / "map.gpkg")
    assert (tmp_path / "map.gpkg").is_symlink()
    assert len(pyogrio.list_layers(tmp_path / "map.gpkg")) == 6


def test_of_others_maps_unlabelled_ground_has_no_layer_unless_it_is_asked_for(tmp_path):
    path = own_raster(tmp_path / "classes.tif", patches(values=4))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(**{name: "" for name in raster.tags() if name.startswith("GEOSEG")})
    (tmp_path / "legend.csv").write_text("1,orchard\n2,Ignore\n3,not-labelled\n")
    unsaid = VectorRequest(simplify_px=0)
    run(tmp_path, path, unsaid, legend=tmp_path / "legend.csv")
    assert {layer for layer, _kind in pyogrio.list_layers(tmp_path / "map.gpkg")} & {
        "orchard",
        "Ignore",
        "not-labelled",
    } == {"orchard"}
    run(tmp_path, path, KEEP, "all.gpkg", legend=tmp_path / "legend.csv")
    assert {"orchard", "Ignore"} <= {layer for layer, _kind in pyogrio.list_layers(tmp_path / "all.gpkg")}
    (tmp_path / "legend.csv").write_text("1,void\n2,Ignore\n3,unlabelled\n")
    run(tmp_path, path, unsaid, "nothing.gpkg", legend=tmp_path / "legend.csv")
    assert {"void", "Ignore"} <= {layer for layer, _kind in pyogrio.list_layers(tmp_path / "nothing.gpkg")}


def test_a_truncated_raster_is_refused(tmp_path):
    path = own_raster(tmp_path / "classes.tif", np.random.default_rng(0).integers(0, 6, (900, 900)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "classes.tif" in refusal(tmp_path, path)


def test_results_that_cannot_be_are_refused_before_the_raster_is_read(tmp_path):
    path = own_raster(tmp_path / "classes.tif", patches())
    (tmp_path / "map.gpkg").write_bytes(b"earlier")
    assert "add --overwrite" in refusal(tmp_path, path, OutputError)
    assert "is an input" in refusal(tmp_path, path, UsageError, out="classes.tif", overwrite=True)
    assert "unknown ending" in refusal(tmp_path, path, UsageError, out="map.shp")
    assert "not in the legend" in refusal(tmp_path, path, UsageError, out="new.gpkg", vectors=VectorRequest("trees"))
    least = VectorRequest("all", {"trees": 3.0})
    assert "not in the legend" in refusal(tmp_path, path, UsageError, out="new.gpkg", vectors=least)
    assert (tmp_path / "map.gpkg").read_bytes() == b"earlier"


# --- the command line


def test_the_command_prints_one_object(tmp_path):
    path = own_raster(tmp_path / "classes.tif", patches())
    arguments = [
        str(path),
        "--out",
        str(tmp_path / "map.geojson"),
        "--classes",
        "building",
        "--json",
        "-q",
        "-q",
    ]
    told = CliRunner().invoke(command, arguments, catch_exceptions=False)
    report = json.loads(told.stdout)
    assert list(report) == ["schema", "out", "crs", "pixels", "layers", "seconds", "warnings"]
    assert report["schema"] == 1
    assert report["out"] == str(tmp_path / "map.geojson")
    assert report["crs"] == "EPSG:32640"
    assert [layer["name"] for layer in report["layers"]] == ["buildings"]
    assert set(report["seconds"]) == {"read", "vector", "write", "total"}
    assert "RFC 7946" in report["warnings"][0]


def test_the_command_prints_the_file_and_tells_the_rest_elsewhere(tmp_path):
    path = own_raster(tmp_path / "classes.tif", patches())
    verb = [sys.executable, "-m", "geoseg", "vectorize", str(path), "-o", str(tmp_path / "map.gpkg")]
    told = subprocess.run([*verb, "--min-area-m2", "0"], capture_output=True, text=True, check=True)
    assert told.stdout == f"{tmp_path / 'map.gpkg'}\n"
    assert [line.split(": ")[:2] for line in told.stderr.splitlines()] == [
        ["geoseg", layer] for layer in ("buildings", "roads", "water")
    ]
    again = subprocess.run(verb, capture_output=True, text=True, check=False)
    assert again.returncode == 4
    assert again.stderr == f"geoseg: {tmp_path / 'map.gpkg'}: exists; add --overwrite to replace it\n"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("25", (EVERY, 25.0)), ("building=10", ("building", 10.0)), ("a b = 0", ("a b", 0.0))],
)
def test_areas_are_for_all_or_by_name(text, parsed):
    assert AreaType().convert(text, None, None) == parsed


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "=5", "building=", "building=-2", "building=x"])
def test_what_is_no_area_is_a_usage_error(tmp_path, text):
    told = CliRunner().invoke(command, ["a.tif", "--out", str(tmp_path / "a.gpkg"), "--min-area-m2", text])
    assert told.exit_code == 2
    assert "--min-area-m2" in told.stderr


def test_the_last_area_of_a_name_counts():
    assert areas_by_name([("road", 1.0), (EVERY, 2.0), ("road", 3.0)]) == {"road": 3.0, EVERY: 2.0}


def test_simplified_layers_still_share_their_borders(tmp_path):
    classes = patches(3, size=5)
    classes[np.random.default_rng(1).random(classes.shape) < 0.1] = 3
    run(tmp_path, own_raster(tmp_path / "classes.tif", classes + np.uint8(0)), VectorRequest("all", {}, 1.0))
    names = ("buildings", "roads", "water", "vegetation", "land")
    polygons = np.concatenate([geopandas.read_file(tmp_path / "map.gpkg", layer=n).geometry.to_numpy() for n in names])
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)


def test_confidence_counts_only_where_it_is_valid(tmp_path):
    classes = np.full((8, 8), 2, np.uint8)
    percents = np.full((8, 8), 60, np.uint8)
    percents[0] = 0  # declared as nodata, though a legal percent
    path = raster(tmp_path / "confidence.tif", percents, nodata=0)
    run(tmp_path, own_raster(tmp_path / "classes.tif", classes), confidence=path)
    assert geopandas.read_file(tmp_path / "map.gpkg", layer="roads")["confidence"].tolist() == [0.6]
