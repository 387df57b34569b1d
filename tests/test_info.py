"""``geoseg info`` on scenes, layers and things that are neither."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin
from shapely import box

from geoseg.cli.info import command
from geoseg.errors import InputError, ModelError
from geoseg.pipeline.info import as_text, describe


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.tif"
    shape = {"count": 3, "height": 8, "width": 6, "dtype": "uint8", "nodata": 0}
    placed = {"crs": "EPSG:3857", "transform": from_origin(0, 8399737.9, 0.5, 0.5)}
    with rasterio.open(path, "w", driver="GTiff", compress="deflate", **shape, **placed) as file:
        file.write(np.ones((3, 8, 6), "uint8"))
    return str(path)


@pytest.fixture
def layers(tmp_path):
    frame = gpd.GeoDataFrame({"class": ["building"]}, geometry=[box(0, 0, 9, 9)], crs="EPSG:32633")
    path = tmp_path / "classes.gpkg"
    frame.to_file(path, layer="buildings")
    frame.to_file(path, layer="roads")
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE layer_styles (f_table_name TEXT)")
        database.execute("INSERT INTO layer_styles VALUES ('buildings')")
        database.execute("CREATE TABLE gpkg_metadata (md_standard_uri TEXT, mime_type TEXT, metadata TEXT)")
        database.execute(
            "INSERT INTO gpkg_metadata VALUES ('https://geoseg.org/provenance', 'application/json', ?)",
            (json.dumps({"model": "default"}),),
        )
    database.close()
    for ending in ("geojson", "fgb"):
        frame.to_file(tmp_path / f"classes.{ending}")
    frame.to_parquet(tmp_path / "classes.parquet")
    return tmp_path


def test_a_scene(scene):
    found = describe(scene)
    assert found["kind"] == "scene"
    assert (found["driver"], found["width"], found["height"]) == ("GTiff", 6, 8)
    assert [band["color"] for band in found["bands"]] == ["red", "green", "blue"]
    assert found["crs"] == "EPSG:3857"
    assert found["ground_pixel_m"] == pytest.approx([0.25, 0.25], rel=0.01)
    assert found["validity"] == "nodata 0"
    assert found["warnings"] == []
    text = as_text(found)
    assert "6 x 8 pixels" in text
    assert "0.2502 x 0.2506 m" in text or "ground pixel" in text


def test_a_scene_that_segment_would_refuse_is_still_described(tmp_path):
    path = str(tmp_path / "plain.png")
    with rasterio.open(path, "w", driver="PNG", count=1, height=4, width=4, dtype="uint8") as file:
        file.write(np.ones((1, 4, 4), "uint8"))
    found = describe(path)
    assert found["crs"] is None
    assert "is not georeferenced" in found["warnings"][0]
    assert "unknown" in as_text(found)


def test_one_json_object_on_standard_output(scene, layers):
    for path in (scene, str(layers / "classes.gpkg")):
        result = CliRunner().invoke(command, [path, "--json"])
        assert json.loads(result.stdout)["schema"] == 1
        assert not result.stderr


def test_layers_of_a_geopackage(layers):
    found = describe(str(layers / "classes.gpkg"))
    assert [layer["name"] for layer in found["layers"]] == ["buildings", "roads"]
    assert [layer["styled"] for layer in found["layers"]] == [True, False]
    first = found["layers"][0]
    assert (first["features"], first["geometry"], first["crs"]) == (1, "Polygon", "EPSG:32633")
    assert first["fields"] == ["class"]
    assert found["provenance"] == {"model": "default"}
    assert "styled" in as_text(found)


@pytest.mark.parametrize("ending", ["geojson", "fgb", "parquet"])
def test_other_vector_formats(layers, ending):
    (layer,) = describe(str(layers / f"classes.{ending}"))["layers"]
    assert (layer["features"], layer["geometry"], layer["crs"]) == (1, "Polygon", "EPSG:32633")
    assert layer["fields"] == ["class"]


@pytest.mark.parametrize(("name", "content"), [
    ("a.gpkg", b"<OGRVRTDataSource><OGRVRTLayer name='a'/></OGRVRTDataSource>"),
    ("a.geojson", b"<OGRVRTDataSource><OGRVRTLayer name='a'/></OGRVRTDataSource>"),
    ("b.geojson", b"{ this is no JSON"),
    ("a.fgb", b"fgb but no more"),
    ("a.parquet", b"PAR1 but no more"),
    ("a.gpkg", b"SQLite format 3\0 but no more"),
    ("empty.gpkg", b""),
    ("a.tif", b"words"),
])  # fmt: skip
def test_damaged_and_disguised_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as refusal:
        describe(str(tmp_path / name))
    assert str(refusal.value).startswith(str(tmp_path / name))


def test_a_model_that_is_none(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"words")
    with pytest.raises(ModelError):
        describe(str(tmp_path / "a.safetensors"))


def test_a_model(tmp_path):
    from geoseg.model.card import Domain, ModelCard
    from geoseg.model.file import save_model
    from geoseg.model.network import NetworkSpec
    from geoseg.vocabulary import DEFAULT_LEGEND

    spec = NetworkSpec(bands=3, classes=5, widths=(2, 2))
    card = ModelCard(
        name="tiny", version="1", network=spec, bands=("red", "green", "blue"), value_range=(0, 255),
        mean=(1.0,) * 3, std=(1.0,) * 3, resolution_m=1.0, legend=DEFAULT_LEGEND, receptive_radius=0,
        domain=Domain((0.5, 2.0), ((0.0, 255.0),) * 3, "Nowhere."), license="CC0-1.0",
        scores=[{"split": "tile 2", "mean_iou": 0.5}],
        training={
            "data": [{"name": "town", "images": 3, "held_out": []}, {"name": "hills"}], "steps": 7,
            "before": {"data": [{"name": "sea"}], "recipe": {"steps": 900}},
        },
    )  # fmt: skip
    weights = {name: np.ones(shape, np.float32) for name, shape in spec.tensor_shapes().items()}
    save_model(tmp_path / "tiny.safetensors", card, weights)
    found = describe(str(tmp_path / "tiny.safetensors"))
    assert found["card"]["name"] == "tiny"
    text = as_text(found)
    assert "1 building, 2 road" in text
    assert "mean_iou 0.500" in text
    said = [line.split(maxsplit=2)[1:] for line in text.splitlines() if line.startswith("trained")]
    assert said == [
        ["data", "name town; images 3"], ["data", "name hills"], ["steps", "7"], ["before", "data (name sea); ..."],
    ]  # fmt: skip
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("arguments", [["missing.tif"], ["https://127.0.0.1:9/a.tif"], ["--json", "missing.gpkg"]])
def test_the_command_line_ends_with_one_sentence(arguments):
    run = subprocess.run(
        [sys.executable, "-m", "geoseg", "info", *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 3
    assert run.stdout == ""
    assert run.stderr.startswith(f"geoseg: {arguments[-1]}: ")
    assert run.stderr.count("\n") == 1


def test_nothing_but_the_answer_is_written(layers):
    run = subprocess.run(
        [sys.executable, "-m", "geoseg", "info", str(layers / "classes.gpkg")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stderr == ""
    assert "buildings" in run.stdout


def test_no_long_label_pushes_texts_to_the_right():
    lines = as_text(describe("default")).splitlines()
    starts = {len(line) - len(line[24:].lstrip()) if line[:24].strip() else 0 for line in lines}
    assert max(starts) <= 27, lines
