"""Styles and projects as texts: colours that all eyes tell apart, sound XML, files that come together or not at all."""

import itertools
import json
import sqlite3
import zipfile
from contextlib import closing
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from colors_seen import EYES, difference, rgb, seen

from geoseg.cli.main import geoseg as program
from geoseg.errors import OutputError, UsageError
from geoseg.layers.looks import OPACITY, LineLook, area_look
from geoseg.layers.qgis_project.references import reference
from geoseg.layers.qml import class_qml, class_raster_qml, classes_qml, lines_qml
from geoseg.layers.raster import ClassRasterWriter
from geoseg.layers.sld import class_raster_sld, class_sld, classes_sld, lines_sld
from geoseg.pipeline.request import OutputRequest, VectorRequest
from geoseg.pipeline.style_export import export_styles, styles_of
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Legend, MapClass

SE, SLD, OGC = "{http://www.opengis.net/se}", "{http://www.opengis.net/sld}", "{http://www.opengis.net/ogc}"
GROUNDS = [(0, 0, 0), (40, 45, 40), (75, 90, 60), (128, 128, 128), (165, 150, 130), (215, 205, 190), (255, 255, 255)]
ODD = Legend(
    (
        MapClass(3, 'Bäume & "Büsche" <x>', "trees", "#00FF00", "#1A7A33"),
        MapClass(7, "Häuser", "houses", "#FF0000", "#AA2211"),
    )
)


def test_the_measure_of_colours_is_ciede2000():
    """Pairs of the table by which Sharma, Wu and Dalal (2005) let implementations be tested."""
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ]
    for one, other, expected in pairs:
        assert difference(one, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("eyes", EYES)
def test_classes_are_told_apart_by_all_eyes(eyes):
    """A difference of 1 is just visible under best conditions, one of 10 at a glance."""
    fills = {entry.name: rgb(area_look(entry).fill) for entry in DEFAULT_LEGEND}
    for one, other in itertools.combinations(fills, 2):
        assert difference(seen(fills[one], eyes), seen(fills[other], eyes)) > 15, (one, other)
        for ground in GROUNDS:
            through = [OPACITY * fills[name] + (1 - OPACITY) * np.array(ground) for name in (one, other)]
            assert difference(*(seen(color, eyes) for color in through)) > 9, (one, other, ground)


@pytest.mark.parametrize("eyes", EYES)
def test_lines_are_told_from_roads_and_their_axis_from_them(eyes):
    look, road = LineLook(), DEFAULT_LEGEND.by_value(2)
    band = look.opacity * rgb(look.band) + (1 - look.opacity) * rgb(road.style)
    axis = look.opacity * rgb(look.axis) + (1 - look.opacity) * rgb(road.style)
    assert difference(seen(band, eyes), seen(rgb(road.style), eyes)) > 20
    assert difference(seen(band, eyes), seen(axis, eyes)) > 20


def test_any_legend_gives_sound_documents():
    for legend in (DEFAULT_LEGEND, ODD, Legend((MapClass(1, "a\x01b\x7f", "odd", "#000000", "#FFFFFF"),))):
        documents = [classes_qml(legend), class_raster_qml(legend), classes_sld("l & l", legend)]
        documents += [class_raster_sld("l", legend), lines_qml(LineLook()), lines_sld("road_centerlines", LineLook())]
        for entry in legend:
            documents += [class_qml(entry), class_sld(entry.layer, entry)]
        for document in documents:
            root = ET.fromstring(document)
            assert root.tag in ("qgis", f"{SLD}StyledLayerDescriptor")


def test_an_sld_has_the_order_of_its_schema():
    """http://schemas.opengis.net/sld/1.1.0 and se/1.1.0: sequences, not sets."""
    root = ET.fromstring(classes_sld("map", ODD))
    assert root.get("version") == "1.1.0"
    (layer,) = root
    assert [part.tag for part in layer] == [f"{SE}Name", f"{SLD}UserStyle"]
    assert [part.tag for part in layer[1]] == [f"{SE}Name", f"{SE}FeatureTypeStyle"]
    for rule, entry in zip(layer[1][1], ODD, strict=True):
        assert [part.tag for part in rule] == [f"{SE}Name", f"{OGC}Filter", f"{SE}PolygonSymbolizer"]
        assert rule.findtext(f"{OGC}Filter/{OGC}PropertyIsEqualTo/{OGC}Literal") == entry.name
        fill = {part.get("name"): part.text for part in rule.find(f"{SE}PolygonSymbolizer/{SE}Fill")}
        assert fill == {"fill": entry.style, "fill-opacity": f"{OPACITY:g}"}
    raster = ET.fromstring(class_raster_sld("map", ODD))
    assert raster.get("version") == "1.0.0"
    entries = [dict(entry.attrib) for entry in raster.iter(f"{SLD}ColorMapEntry")]
    assert [(entry["quantity"], entry["color"], entry["label"]) for entry in entries] == [
        (str(entry.value), entry.style, entry.name) for entry in ODD
    ]


# ---- files


def own_raster(path, legend=DEFAULT_LEGEND, values=(1, 2, 3)):
    crs = rasterio.crs.CRS.from_epsg(32640).to_wkt(version="WKT2_2019")
    classes = np.kron(np.array([values, values[::-1]], np.uint8), np.ones((20, 20), np.uint8))
    with ClassRasterWriter(
        path, Grid(crs, Affine(1, 0, 330_000, 0, -1, 2_780_000), *classes.shape), legend, {}, {}
    ) as writer:
        writer.write(ClassRows(0, classes))
    return path


def layers_of(tmp_path, name, legend=DEFAULT_LEGEND, values=(1, 2, 3), **more):
    path = own_raster(tmp_path / "classes.tif", legend, values)
    wanted = VectorRequest("all", {"*": 0.0})
    vectorize(VectorizeRequest(path, tmp_path / name, vectors=wanted, overwrite=True, **more))
    return tmp_path / name


def styles_in(path):
    with closing(sqlite3.connect(path)) as file:
        return {
            name: texts for name, *texts in file.execute("SELECT f_table_name, styleQML, styleSLD FROM layer_styles")
        }


@pytest.mark.parametrize(("legend", "values"), [(DEFAULT_LEGEND, (1, 2, 3)), (ODD, (3, 7, 3))])
def test_styles_of_a_geopackage_are_those_it_holds(tmp_path, legend, values):
    path = layers_of(tmp_path, "map.gpkg", legend, values)
    stored = styles_in(path)
    assert {style.layer: [style.qml, style.sld] for style in styles_of(path)} == stored
    assert stored[legend.classes[0].layer] == [
        class_qml(legend.classes[0]),
        class_sld(legend.classes[0].layer, legend.classes[0]),
    ]
    written = export_styles(path, tmp_path / "new" / "styles", overwrite=False)
    assert {file.name for file in written} == {f"{layer}{ending}" for layer in stored for ending in (".qml", ".sld")}
    for file in written:
        assert file.read_text(encoding="utf-8") == stored[file.stem][0 if file.suffix == ".qml" else 1]
    with pytest.raises(OutputError, match="exists; add --overwrite"):
        export_styles(path, tmp_path / "new" / "styles", overwrite=False)


def test_what_a_geopackage_does_not_say_follows_from_its_layers(tmp_path):
    """Files of earlier versions have no SLD, and those that went through other programs no styles at all."""
    path = layers_of(tmp_path, "map.gpkg", ODD, (3, 7, 3))
    before = styles_in(path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE layer_styles SET styleSLD = ''")
    assert {style.layer: [style.qml, style.sld] for style in styles_of(path)} == before
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE layer_styles SET styleSLD = x'00ff'")
    assert {style.layer: [style.qml, style.sld] for style in styles_of(path)} == before
    usual = layers_of(tmp_path, "usual.gpkg")
    before = styles_in(usual)
    with closing(sqlite3.connect(usual)) as file, file:
        file.execute("DELETE FROM layer_styles")
    assert {style.layer: [style.qml, style.sld] for style in styles_of(usual) if style.layer in before} == before


def test_each_layer_has_files_of_its_own_whatever_it_is_called(tmp_path):
    path = layers_of(tmp_path, "map.gpkg")
    names = {"buildings": "a/b", "roads": "A:B", "water": "é" * 200}
    with closing(sqlite3.connect(path)) as file, file:
        for before, after in names.items():
            file.execute("UPDATE layer_styles SET f_table_name = ? WHERE f_table_name = ?", (after, before))
            file.execute("UPDATE gpkg_geometry_columns SET table_name = ? WHERE table_name = ?", (after, before))
    stored = styles_in(path)
    written = export_styles(path, tmp_path / "styles", overwrite=False)
    assert [file.name for file in written[:6:2]] == ["a_b.qml", "A_B_2.qml", "é" * 100 + ".qml"]
    assert [file.read_text(encoding="utf-8") for file in written[:6:2]] == [stored[name][0] for name in names.values()]


@pytest.mark.parametrize("name", ["map.geojson", "map.fgb", "map.parquet"])
def test_one_layer_of_many_classes_is_styled_by_class(tmp_path, name):
    (style,) = styles_of(layers_of(tmp_path, name))
    assert style.layer == "map"
    values = [category.get("value") for category in ET.fromstring(style.qml).iter("category")]
    assert values == ["building", "road", "water"]
    literals = [literal.text for literal in ET.fromstring(style.sld).iter(f"{OGC}Literal")]
    assert literals == values


def test_a_class_raster_is_styled_by_its_legend(tmp_path):
    (style,) = styles_of(own_raster(tmp_path / "classes.tif", ODD, (3, 7, 3)))
    entries = [entry.attrib for entry in ET.fromstring(style.qml).iter("paletteEntry")]
    assert [(entry["value"], entry["label"], entry["color"]) for entry in entries] == [
        ("3", 'Bäume & "Büsche" <x>', "#1a7a33"),
        ("7", "Häuser", "#aa2211"),
    ]


def test_the_command_tells_files_and_refuses_in_a_sentence(tmp_path):
    path = layers_of(tmp_path, "map.gpkg")
    done = CliRunner().invoke(program, ["qgis", "styles", str(path), "--out", str(tmp_path / "styles")])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[:2] == [str(tmp_path / "styles" / f"buildings{end}") for end in (".qml", ".sld")]
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    for wrong in (tmp_path / "missing.gpkg", tmp_path / "none.geojson"):
        done = CliRunner().invoke(program, ["qgis", "styles", str(wrong), "--out", str(tmp_path / "other")])
        assert done.exit_code == 3, done.output
        assert str(wrong) in done.output
    assert not (tmp_path / "other").exists()


# ---- projects


def test_a_project_is_one_document_in_an_archive_and_names_its_neighbours(tmp_path):
    (tmp_path / "maps").mkdir()
    layers_of(tmp_path, "map.gpkg", project=tmp_path / "maps" / "map.qgz")
    with zipfile.ZipFile(tmp_path / "maps" / "map.qgz") as archive:
        assert archive.namelist() == ["map.qgs"]
        root = ET.fromstring(archive.read("map.qgs"))
    sources = [layer.findtext("datasource") for layer in root.iter("maplayer")]
    layers = ("buildings", "roads", "water", "vegetation", "land")
    assert sources == [*(f"../map.gpkg|layername={layer}" for layer in layers), "../classes.tif"]
    identities = [layer.findtext("id") for layer in root.iter("maplayer")]
    assert identities == [layer.get("id") for layer in root.iter("layer-tree-layer")]
    assert all(len(identity) > 10 for identity in identities)
    assert str(tmp_path) not in ET.tostring(root, encoding="unicode")


def test_the_same_run_gives_the_same_project(tmp_path):
    made = [
        layers_of(tmp_path, "map.gpkg", project=tmp_path / "map.qgz").with_suffix(".qgz").read_bytes() for _ in "ab"
    ]
    assert made[0] == made[1]


def test_names_of_files_count_from_the_project(tmp_path):
    home = tmp_path / "a" / "map.qgz"
    assert reference(str(tmp_path / "a" / "x y.tif"), home) == "./x y.tif"
    assert reference(str(tmp_path / "b" / "ü.tif"), home) == "../b/ü.tif"
    assert reference("/vsicurl/https://example.org/x.tif", home) == "/vsicurl/https://example.org/x.tif"


def test_a_project_alone_or_under_a_taken_name_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a project shows other results: give at least one of --out"):
        OutputRequest(project=tmp_path / "map.qgz")
    source = own_raster(tmp_path / "classes.tif")
    (tmp_path / "there.qgz").write_text("earlier")
    (tmp_path / "link.qgz").symlink_to(tmp_path / "map.gpkg")
    for project, kind, words in (
        ("map.qgs", UsageError, "end it in .qgz"),
        ("link.qgz", UsageError, "named for two results"),
        ("there.qgz", OutputError, "add --overwrite"),
        ("none/map.qgz", OutputError, "does not exist"),
    ):
        with pytest.raises(kind, match=words):
            vectorize(VectorizeRequest(source, tmp_path / "map.gpkg", project=tmp_path / project))
    assert not (tmp_path / "map.gpkg").exists()
    assert (tmp_path / "there.qgz").read_text() == "earlier"


def test_a_project_that_fails_takes_the_layers_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OutputError, match=r"map\.qgz"):
        layers_of(tmp_path, "map.gpkg", project=tmp_path / "map.qgz")
    assert [found.name for found in tmp_path.iterdir() if found.suffix in (".gpkg", ".qgz")] == []


def test_the_command_line_lists_the_project(tmp_path, write_scene, tiny_model_path):
    scene = write_scene(tmp_path / "scene.tif", np.full((3, 64, 64), 90, np.uint8))
    options = [
        "--raster",
        str(tmp_path / "c.tif"),
        "--qgis-project",
        str(tmp_path / "c.qgz"),
        "--model",
        str(tiny_model_path),
    ]
    done = CliRunner().invoke(program, ["segment", str(scene), *options, "--progress", "none"])
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(tmp_path / "c.tif"), str(tmp_path / "c.qgz")]
    done = CliRunner().invoke(program, ["segment", str(scene), *options, "--json", "--overwrite"])
    assert json.loads(done.stdout)["raster"] == str(tmp_path / "c.tif")
