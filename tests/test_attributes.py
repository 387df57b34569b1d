"""Fields on request: what they say of polygons, on any ground, and that nobody gets them unasked."""

import json

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

from geoseg.cli import segment as segment_verb
from geoseg.cli import vectorize as vectorize_verb
from geoseg.cli.vector_options import vector_options
from geoseg.errors import UsageError
from geoseg.layers.features import WantedLayers
from geoseg.layers.vector import write_layers
from geoseg.vector.attributes import KNOWN, chosen_attributes, elongation, holes
from geoseg.vector.measure import Ruler
from geoseg.vocabulary import DEFAULT_LEGEND, Attribute, Grid, Polygons

BUILDING, ROAD = list(DEFAULT_LEGEND)[:2]
PLAIN = ["class", "area_m2", "perimeter_m", "confidence"]
ENDINGS = ["gpkg", "geojson", "fgb", "parquet"]


def grid_in(crs, middle=(0.0, 0.0)):
    return Grid(pyproj.CRS(crs).to_wkt(), Affine(1e-9, 0, middle[0], 0, -1e-9, middle[1]), 100, 100)


def rectangles(count=40, seed=0):
    """Rectangles and kites around (0, 0), 10 to 100 long and 1 to 10 times as long as wide, in all directions."""
    random = np.random.default_rng(seed)
    made = []
    for turn, width, ratio, bend in zip(
        random.uniform(0, 180, count), random.uniform(10, 20, count), random.uniform(1, 10, count),
        random.uniform(0, 5, count), strict=True,
    ):  # fmt: skip
        half, long = width / 2, width * ratio / 2
        made.append(
            shapely.affinity.rotate(
                shapely.Polygon([(-long, -half), (long, -half), (long + bend, 0), (long, half), (-long, half)]), turn
            )
        )
    return np.array(made, object)


def sides_of(polygon):
    """Return length by width of the smallest rectangle, by shapely, one polygon at a time."""
    x, y = polygon.minimum_rotated_rectangle.exterior.coords.xy
    sides = [np.hypot(x[1] - x[0], y[1] - y[0]), np.hypot(x[2] - x[1], y[2] - y[1])]
    return max(sides) / min(sides)


# --- what they say


@pytest.mark.parametrize("crs", [32640, 2263, 2154])
def test_elongation_in_the_plane_is_that_of_shapelys_rectangle(crs):
    where = pyproj.CRS(crs)
    west, south, east, north = where.area_of_use.bounds
    middle = pyproj.Transformer.from_crs(4326, where, always_xy=True).transform((west + east) / 2, (south + north) / 2)
    polygons = shapely.transform(rectangles(), lambda xy: xy + middle)
    found = elongation(polygons, Ruler.of(grid_in(crs, middle)))
    np.testing.assert_allclose(found, [sides_of(polygon) for polygon in rectangles()], rtol=1e-6)


@pytest.mark.parametrize("crs", [4326, 3857, 32662, 4807], ids=["degrees", "mercator", "plate carree", "grads"])
@pytest.mark.parametrize("latitude", [-25.0, 0.0, 48.0, 67.0])
def test_elongation_is_that_on_the_ground_wherever_polygons_lie(crs, latitude):
    """The oracle draws them in metres on a plane that touches the ellipsoid in their midst."""
    plane = pyproj.CRS(f"+proj=aeqd +lat_0={latitude} +lon_0=2.5 +ellps={'clrk80ign' if crs == 4807 else 'WGS84'}")
    geographic = pyproj.CRS(crs).geodetic_crs
    to_degrees = pyproj.Transformer.from_crs(plane, plane.geodetic_crs, always_xy=True)

    def onto(x, y):
        longitude, latitude = to_degrees.transform(x, y)
        if crs == 4807:  # in grads from Paris
            return (longitude - 2.33722917) / 0.9, latitude / 0.9
        return pyproj.Transformer.from_crs(geographic, crs, always_xy=True).transform(longitude, latitude)

    # At the equator both projections keep areas well enough to count as a plane; the ellipsoid is 0.7 % narrower.
    rounder = 7e-3 if latitude == 0 and crs in (3857, 32662) else 1e-4
    drawn = rectangles()
    polygons = shapely.transform(drawn, onto, interleaved=False)
    middle = onto(0.0, 0.0)
    found = elongation(polygons, Ruler.of(grid_in(crs, middle)))
    np.testing.assert_allclose(found, [sides_of(polygon) for polygon in drawn], rtol=rounder)
    if latitude == 67.0 and crs in (4326, 4807, 32662):  # as drawn in degrees it would be something else
        assert max(abs(sides_of(polygon) / true - 1) for polygon, true in zip(polygons, found, strict=True)) > 0.5


def test_elongation_of_plain_shapes():
    plus = shapely.union_all([shapely.box(-3, -1, 3, 1), shapely.box(-1, -3, 1, 3)])
    shapes = [
        shapely.box(0, 0, 5, 5),
        shapely.affinity.rotate(shapely.box(0, 0, 9, 3), 30),
        shapely.box(0, 0, 1, 4),
        plus,
    ]
    found = elongation(np.array(shapes, object), Ruler.of(grid_in(32640)))
    np.testing.assert_allclose(found, [1, 3, 4, 1], rtol=1e-9)
    assert (found >= 1).all()


def test_what_has_no_width_has_no_elongation():
    flat = shapely.Polygon([(300_000, 0), (300_009, 9), (300_003, 3)])
    point = shapely.Polygon([(5, 5)] * 4)
    shapes = np.array([shapely.box(0, 0, 2, 1), flat, point, shapely.Polygon()], object)
    for crs in (32640, 4326):
        found = elongation(shapes, Ruler.of(grid_in(crs)))
        assert np.isfinite(found).tolist() == [True, False, False, False]
        assert len(elongation(shapes[:0], Ruler.of(grid_in(crs)))) == 0


@pytest.mark.filterwarnings("error")
def test_slivers_are_long_until_only_rounding_is_left_of_their_width():
    shapes = np.array([shapely.box(0, 0, 1e5, 1e-3), shapely.box(0, 0, 1e6, 1e-300)], object)
    found = elongation(shapes, Ruler.of(grid_in(32640)))
    assert found[0] == pytest.approx(1e8)
    assert np.isnan(found[1])


def test_what_lies_nowhere_on_the_ground_has_no_elongation():
    """The edge of an orthographic map is the horizon; a polygon may reach beyond it."""
    ruler = Ruler.of(grid_in("+proj=ortho +lat_0=0 +lon_0=0 +datum=WGS84", (4_000_000, 0)))
    assert ruler.to_degrees is not None
    shapes = np.array([shapely.box(4_000_000, 0, 4_000_100, 100), shapely.box(6_300_000, 0, 6_900_000, 100)], object)
    assert np.isfinite(elongation(shapes, ruler)).tolist() == [True, False]


def test_holes_are_counted():
    ring = shapely.box(0, 0, 9, 9).difference(shapely.box(2, 2, 3, 3))
    shapes = np.array([shapely.box(0, 0, 1, 1), ring, ring.difference(shapely.box(5, 5, 6, 6))], object)
    assert holes(shapes).dtype == np.int32
    assert holes(shapes).tolist() == [0, 1, 2]
    assert holes(shapes[:0]).tolist() == []


# --- which are chosen


def test_names_choose_in_the_order_of_the_fields_and_none_chooses_nothing():
    names = [
        [entry.name for entry in chosen_attributes(wanted, grid_in(4326))]
        for wanted in (None, " holes,elongation, holes", "holes")
    ]
    assert names == [[], ["elongation", "holes"], ["holes"]]


@pytest.mark.parametrize(
    ("wanted", "words"), [("colour,holes", "colour is no field"), ("", "an empty list"), (" , ", "an empty list")]
)
def test_an_unknown_name_is_one_sentence_that_lists_the_known(wanted, words):
    with pytest.raises(UsageError, match=words) as refused:
        chosen_attributes(wanted, grid_in(4326))
    assert str(refused.value).endswith("use any of elongation, holes")
    assert "\n" not in str(refused.value)


def test_the_help_names_all_there_are():
    (told,) = (o.help for o in vector_options("")(lambda: None).__click_params__ if o.name == "attributes")
    assert all(name in told for name in KNOWN)


# --- how they are written


def shapes_of(entry, count):
    shapes = np.array([shapely.box(9 * i, 0, 9 * i + i + 1, 1) for i in range(count)], object)
    return Polygons(np.full(count, entry.value, np.uint8), shapes, *np.ones((3, count)))


def written(path, attributes):
    batches = [shapes_of(BUILDING, 3), shapes_of(ROAD, 2)]
    write_layers(path, WantedLayers([BUILDING], attributes), batches, grid_in(32640), {})
    found = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path, layer=0)
    return found.iloc[found.geometry.bounds["minx"].argsort()]  # FlatGeobuf orders features by its index


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_holds_what_was_asked_for_and_nothing_else(tmp_path, ending):
    found = written(tmp_path / f"map.{ending}", chosen_attributes("holes,elongation", grid_in(32640)))
    assert list(found.columns.drop(found.geometry.name)) == [*PLAIN, "elongation", "holes"]
    assert found["elongation"].tolist() == pytest.approx([1, 2, 3])
    assert (found["elongation"].dtype, found["holes"].dtype) == (np.float64, np.int32)
    assert found["holes"].tolist() == [0, 0, 0]
    assert list(written(tmp_path / f"plain.{ending}", ()).columns.drop(found.geometry.name)) == PLAIN


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_not_known_is_null_and_only_chosen_classes_are_asked(tmp_path, ending):
    asked = []

    def of(polygons):
        asked.append(len(polygons))
        return np.where(np.arange(len(polygons)) == 1, np.nan, 2.5)

    found = written(tmp_path / f"map.{ending}", [Attribute("elongation", "float64", of)])
    assert found["elongation"].isna().tolist() == [False, True, False]
    assert sum(asked) == 3
    if ending == "geojson":
        features = json.loads((tmp_path / "map.geojson").read_text())["features"]
        assert [feature["properties"]["elongation"] for feature in features] == [2.5, None, 2.5]


@pytest.fixture
def scene(tmp_path, write_scene):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 8)).astype(np.uint8)
    return write_scene(tmp_path / "scene.tif", np.kron(pixels, np.ones((1, 9, 9), np.uint8)), crs="EPSG:4326",
        transform=Affine(1e-5, 0, 55, 0, -1e-5, 60))  # fmt: skip


def told(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in (*arguments, "-q", "-q")])


def assert_as_shapely_says(path):
    """Compare every polygon with shapely, drawn in metres at the parallel of 60 degrees."""
    count = 0
    for name, kind in pyogrio.list_layers(path):
        if kind is None:
            continue
        info = pyogrio.read_info(path, layer=name)
        assert info["fields"].tolist() == [*PLAIN, "elongation", "holes"]
        assert info["ogr_types"][-2:] == ["OFTReal", "OFTInteger"]
        frame = geopandas.read_file(path, layer=name)
        if len(frame):
            plane = frame.to_crs("+proj=aeqd +lat_0=60 +lon_0=55 +datum=WGS84").geometry
            alike = np.isclose(frame["elongation"], [sides_of(polygon) for polygon in plane], rtol=1e-3)
            assert alike.mean() > 0.98  # of two rectangles of nearly the same area either may be the smallest
            assert frame["holes"].tolist() == [len(polygon.interiors) for polygon in frame.geometry]
            count += len(frame)
    assert count > 3


def test_both_verbs_write_them_on_request(quiet_log, tmp_path, scene, tiny_model_path):
    rings, classes = tmp_path / "rings.gpkg", tmp_path / "classes.tif"
    flags = ("--classes", "all", "--min-area-m2", "0", "--simplify-px", "0")
    ran = told(segment_verb.command, scene, "--out", rings, "--raster", classes, "--attributes", "elongation,holes",
        "--resolution", "native", "--model", tiny_model_path, *flags)  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert_as_shapely_says(rings)
    again, plain = tmp_path / "again.gpkg", tmp_path / "plain.gpkg"
    assert (
        told(vectorize_verb.command, classes, "--out", again, "--attributes", "holes,elongation", *flags).exit_code == 0
    )
    assert_as_shapely_says(again)
    assert told(vectorize_verb.command, classes, "--out", plain, *flags).exit_code == 0
    assert pyogrio.read_info(plain, layer="roads")["fields"].tolist() == PLAIN


def test_what_cannot_be_is_refused_before_any_work(quiet_log, tmp_path, scene, tiny_model_path):
    with rasterio.open(tmp_path / "classes.tif", "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8",
        crs="EPSG:32640", transform=Affine(2, 0, 0, 0, -2, 0)) as raster:  # fmt: skip
        raster.write(np.ones((1, 4, 4), np.uint8))
    for command, source in ((segment_verb.command, scene), (vectorize_verb.command, tmp_path / "classes.tif")):
        more = ("--model", tiny_model_path) if command is segment_verb.command else ()
        ran = told(command, source, "--out", tmp_path / "map.gpkg", "--attributes", "colour", *more)
        assert isinstance(ran.exception, UsageError)
        assert str(ran.exception) == "--attributes: colour is no field of polygons; use any of elongation, holes"
        assert not (tmp_path / "map.gpkg").exists()
    ran = told(
        segment_verb.command, scene, "--raster", tmp_path / "c.tif", "--attributes", "holes", "--model", tiny_model_path
    )
    assert "give it with --out" in str(ran.exception)
