"""The layer of centrelines: fields, style, report, formats, areas."""

import json
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg
from geoseg.cli.vectorize import command
from geoseg.errors import UsageError
from geoseg.pipeline import centerlines as wiring
from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.roads.clip import clipped_lines
from geoseg.vocabulary import DEFAULT_LEGEND, Grid, Legend, MapClass
from tests.painted_roads import ROAD, UTM, check_network, grid_of, painted, town, traced


def write_raster(path, classes, legend=True):
    profile = {"driver": "GTiff", "height": classes.shape[0], "width": classes.shape[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=UTM, transform=grid_of(classes).transform, **profile) as file:
        file.write(classes, 1)
        if legend:
            names = [{"value": c.value, "name": c.name, "layer": c.layer, "color": c.color, "style": c.style}
                     for c in DEFAULT_LEGEND]  # fmt: skip
            file.update_tags(GEOSEG_LEGEND=json.dumps(names))
    return path


def invoked(*arguments):
    return CliRunner().invoke(command, [str(part) for part in arguments])


def test_the_layer_comes_with_fields_style_and_report(tmp_path):
    classes = town(300, seed=5)
    out = tmp_path / "map.gpkg"
    done = invoked(write_raster(tmp_path / "classes.tif", classes), "--out", out, "--centerlines", "--json")
    assert done.exit_code == 0, done.output
    (layer,) = [one for one in json.loads(done.stdout)["layers"] if one["name"] == "road_centerlines"]
    frame = geopandas.read_file(out, layer="road_centerlines")
    assert layer == {"name": "road_centerlines", "class": "road", "features": len(frame), "length_m": layer["length_m"]}
    assert layer["length_m"] == pytest.approx(frame.length_m.sum(), abs=0.01)
    assert layer["length_m"] == pytest.approx(frame.length.sum(), abs=0.01)
    assert "road_centerlines: " in done.stderr
    check_network(frame.geometry.to_numpy())
    info = pyogrio.read_info(out, layer="road_centerlines")
    assert info["geometry_type"] == "LineString"
    assert list(info["fields"]) == ["width_m", "length_m"]
    assert json.loads(info["dataset_metadata"]["GPKG_METADATA_ITEM_1"])["centerlines"] is True
    styles = pyogrio.read_dataframe(out, layer="layer_styles").set_index("f_table_name")
    assert 'type="line"' in styles.styleQML["road_centerlines"]
    assert styles.f_geometry_column["road_centerlines"] == "geom"
    assert 'type="fill"' in styles.styleQML["roads"]


def test_threads_and_cells_make_no_difference_to_lines(tmp_path):
    path = write_raster(tmp_path / "classes.tif", town(300, seed=6))
    found = []
    for number, (threads, cell) in enumerate([(1, 0), (2, 0), (2, 64)]):
        out = tmp_path / f"{number}.gpkg"
        vectors = VectorRequest(centerlines=True, split_px=cell)
        vectorize(VectorizeRequest(path, out, vectors=vectors, threads=threads))
        found.append(shapely.to_wkb(geopandas.read_file(out, layer="road_centerlines").geometry).tolist())
    assert found[0] == found[1] == found[2]


def test_a_map_without_roads_has_an_empty_layer(tmp_path):
    out = tmp_path / "map.gpkg"
    path = write_raster(tmp_path / "classes.tif", np.full((40, 40), 5, np.uint8))
    assert invoked(path, "--out", out, "--centerlines").exit_code == 0
    info = pyogrio.read_info(out, layer="road_centerlines")
    assert info["features"] == 0
    assert list(info["fields"]) == ["width_m", "length_m"]
    assert info["crs"] == "EPSG:32640"
    assert "road_centerlines" in set(pyogrio.read_dataframe(out, layer="layer_styles").f_table_name)


def test_gdal_reads_the_layer(tmp_path):
    out = tmp_path / "map.gpkg"
    vectorize(
        VectorizeRequest(write_raster(tmp_path / "c.tif", town(200)), out, vectors=VectorRequest(centerlines=True))
    )
    code = f"import pyogrio; print(len(pyogrio.read_dataframe({str(out)!r}, sql='SELECT * FROM road_centerlines')))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 5


@pytest.mark.parametrize("ending", ["geojson", "fgb", "parquet"])
def test_only_a_geopackage_can_hold_the_layer(tmp_path, ending):
    done = invoked(tmp_path / "missing.tif", "--out", tmp_path / f"map.{ending}", "--centerlines")
    assert done.exception.exit_code == 2
    assert "ends in .gpkg" in str(done.exception)


def test_the_missing_package_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "find_spec", lambda name: None if name == "scipy" else name)
    with pytest.raises(UsageError, match=r"pip install 'geoseg\[roads\]'"):
        vectorize(VectorizeRequest(tmp_path / "no.tif", tmp_path / "map.gpkg", vectors=VectorRequest(centerlines=True)))


def test_a_legend_without_roads_is_refused(tmp_path):
    path = write_raster(tmp_path / "classes.tif", np.full((40, 40), 7, np.uint8), legend=False)
    done = invoked(path, "--out", tmp_path / "map.gpkg", "--centerlines")
    assert done.exception.exit_code == 2
    assert "class_7" in str(done.exception)
    assert not (tmp_path / "map.gpkg").exists()
    taken = Legend((*DEFAULT_LEGEND, MapClass(9, "axis", "Road_Centerlines", "#000000", "#000000")))
    with pytest.raises(UsageError, match="already"):
        wiring.road_class(taken)


@pytest.mark.parametrize("shape", ["bounds", "aoi"])
def test_segment_draws_the_streets_of_an_area(tmp_path, shape):
    sample = Path(__file__).parents[1] / "sample_data"
    area = shapely.box(325100, 2784400, 325300, 2784600)
    asked = ["--bounds", *map(str, area.bounds)]
    if shape == "aoi":
        area = shapely.Polygon([(325100, 2784400), (325300, 2784420), (325200, 2784600)])
        geopandas.GeoSeries([area], crs=UTM).to_file(tmp_path / "area.gpkg")
        asked = ["--aoi", str(tmp_path / "area.gpkg")]
    out = tmp_path / "map.gpkg"
    words = ["segment", str(sample / "scene.tif"), "--out", str(out), "--centerlines", *asked]
    done = CliRunner().invoke(geoseg, words)
    assert done.exit_code == 0, done.output
    lines = geopandas.read_file(out, layer="road_centerlines").geometry
    assert lines.within(area.buffer(1.5)).all()  # an area is cut along pixels where these are the network's
    true = geopandas.read_file(sample / "reference.gpkg", layer="road_centerlines").intersection(area).union_all()
    assert true.intersection(lines.buffer(5).union_all()).length > 0.75 * true.length
    assert lines.length.sum() < 1.25 * true.length


def test_lines_are_cut_along_a_border():
    classes = painted((100, 200), [(shapely.LineString([(0, 50), (200, 50)]), 8)])
    grid = grid_of(classes)
    border = shapely.union(shapely.box(300_020, 0, 300_050, 3e6), shapely.box(300_100, 0, 300_150, 3e6))
    cut = clipped_lines(traced(classes), border, grid)
    assert sorted(cut.length_m) == pytest.approx([30, 50], abs=0.1)
    assert cut.width_m == pytest.approx(8, rel=0.1)
    np.testing.assert_allclose(shapely.length(cut.geometry), cut.length_m)


@pytest.mark.parametrize("sides", [(1.0006, 0.9993), (0.9993, 1.0006), (0.9, 1.0), (1.0, 0.9), (0.7, 0.7), (1.1, 1.1)])
@pytest.mark.parametrize("across", [10, 12, 14, 17, 25])
def test_roads_are_as_wide_on_any_pixel(sides, across):
    """Pixels of geographic CRSs are hardly ever square on the ground."""
    classes = np.full((260, 300), 5, np.uint8)
    classes[100 : 100 + across] = ROAD
    for place in (classes, np.ascontiguousarray(classes.T)):
        x, y = sides
        grid = Grid(UTM.to_wkt(version="WKT2_2019"), Affine(x, 0, 300_000, 0, -y, 2_800_000), *place.shape)
        lines = traced(place, grid=grid)
        side = y if place is classes else x
        assert lines.width_m.tolist() == pytest.approx([across * side], abs=0.1)


@pytest.mark.parametrize("seed", [27, 42])
def test_junctions_side_by_side_do_not_pass_each_other(seed):
    check_network(traced(town(seed=seed), belt=100_000).geometry)
