"""Class and confidence rasters, and legends of other programs."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geoseg.errors import InputError, OutputError, UsageError
from geoseg.layers.legend import read_legend
from geoseg.layers.publish import published
from geoseg.layers.raster import ClassRasterWriter, ConfidenceWriter, check_raster, is_confidence
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Legend, MapClass
from tests.written_layers import BUILDING, CRSS, grid, some_classes, write_classes


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
