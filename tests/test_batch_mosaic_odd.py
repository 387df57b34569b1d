"""Maps of many tiles that drift, differ, fail, lie elsewhere or were changed since."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.errors import BatchError
from tests.towns import PLACE, assert_same_layers, polygons, report_of, run, town  # noqa: F401


def a_vrt(path, tiles):
    """Write what ``gdalbuildvrt`` writes: the mean pixel, the outermost corner; but every tile at a whole pixel.

    It places tiles at fractions of a pixel, which lets the next tile's first row replace the last one's last row.
    """
    opened = [rasterio.open(tile) for tile in tiles]
    size = sum(d.transform.a for d in opened) / len(opened), sum(d.transform.e for d in opened) / len(opened)
    left, top = min(d.bounds.left for d in opened), max(d.bounds.top for d in opened)
    right, bottom = max(d.bounds.right for d in opened), min(d.bounds.bottom for d in opened)
    width, height = int(0.5 + (right - left) / size[0]), int(0.5 + (bottom - top) / size[1])
    bands = []
    for band, color in enumerate(("Red", "Green", "Blue"), 1):
        sources = "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{tile.name}</SourceFilename>'
            f"<SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{d.width}" ySize="{d.height}"/>'
            f'<DstRect xOff="{round((d.bounds.left - left) / size[0])}" yOff="{round((d.bounds.top - top) / size[1])}" '
            f'xSize="{d.width}" ySize="{d.height}"/></SimpleSource>'
            for tile, d in zip(tiles, opened, strict=True)
        )
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{color}</ColorInterp>{sources}</VRTRasterBand>'
        )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{opened[0].crs.to_wkt()}</SRS>'
        f"<GeoTransform>{left!r}, {size[0]!r}, 0, {top!r}, 0, {size[1]!r}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
    return path


@pytest.mark.slow
def test_real_tiles_that_drift_equal_their_vrt(run, shared_data, tmp_path):
    """Tiles in degrees, JPEG under the name .tif, placed by side files, a hundredth of a pixel out of step."""
    for path in (shared_data / "banepa" / "tiles").iterdir():
        shutil.copy(path, tmp_path)
    tiles = sorted(tmp_path.glob("*.tif"))
    vrt = a_vrt(tmp_path / "banepa.vrt", tiles)
    assert run("segment", vrt, "--out", tmp_path / "a.gpkg", "--raster", tmp_path / "a.classes.tif")[0] == 0
    code, said = run("batch", *tiles, "--mosaic", tmp_path / "b.gpkg", "--raster")
    assert code == 0, said.output
    with rasterio.open(tmp_path / "a.classes.tif") as a, rasterio.open(tmp_path / "b.classes.tif") as b:
        assert a.transform == b.transform
        np.testing.assert_array_equal(a.read(), b.read())
    assert_same_layers(tmp_path / "a.gpkg", tmp_path / "b.gpkg")


@pytest.mark.slow
def test_chips_of_two_zones_in_one_call(run, shared_data, tmp_path):
    """Near-infrared tagged alpha, two UTM zones: every chip is done, in its own CRS."""
    chips = [
        *sorted((shared_data / "naip").glob("eureka*.tif"))[:4],
        *sorted((shared_data / "naip").glob("clare*.tif"))[:4],
    ]
    folder = tmp_path / "chips"
    folder.mkdir()
    for chip in chips:
        shutil.copy(chip, folder)
    code, said = run("batch", folder, "--out-dir", tmp_path / "maps", "--raster")
    assert code == 0, said.output
    for chip in chips:
        with rasterio.open(chip) as scene, rasterio.open(tmp_path / "maps" / f"{chip.stem}.classes.tif") as made:
            assert made.crs == scene.crs
            assert made.transform == scene.transform
            assert (made.read(1) != 0).all()  # the band tagged alpha hides nothing
        assert pyogrio.read_info(tmp_path / "maps" / f"{chip.stem}.gpkg", layer="land")["crs"] == str(scene.crs)


def test_nodata_of_the_first_grid_is_left_to_the_other(run, tmp_path, write_scene):
    """Turned images and seams of satellites lie in wedges of nodata: that ground is not taken from others."""
    pixels = np.full((3, 96, 96), 80, np.uint8)
    wedge = pixels.copy()
    wedge[:, np.tri(96, dtype=bool)] = 0
    first = write_scene(tmp_path / "first.tif", wedge, transform=PLACE, nodata=0)
    other = write_scene(tmp_path / "other.tif", pixels, transform=PLACE @ Affine.translation(0.5, 0.5))
    out = tmp_path / "b.gpkg"
    assert run("batch", first, other, "--mosaic", out)[0] == 0
    every = np.concatenate([table.geometry.to_numpy() for table in polygons(out).values()])
    union = shapely.area(shapely.union_all(every))
    assert shapely.area(every).sum() == pytest.approx(union, rel=1e-9)
    assert union > 0.95 * 48 * 48  # all but a strip along the wedge that both keep clear of


def test_pixels_of_other_types_are_other_grids(run, tmp_path, write_scene):
    """One stretch for bytes and 16 bits would make the bytes black."""
    bytes_ = np.random.default_rng(0).integers(0, 256, (3, 64, 64)).astype(np.uint8)
    write_scene(tmp_path / "a.tif", bytes_, transform=PLACE)
    write_scene(tmp_path / "b.tif", bytes_.astype(np.uint16) * 20 + 900, transform=PLACE @ Affine.translation(64, 0))
    assert run("batch", tmp_path / "a.tif", tmp_path / "b.tif", "--mosaic", tmp_path / "m.gpkg", "--raster")[0] == 0
    assert report_of(tmp_path / "m.gpkg")["maps"][0]["grids"] == 2
    assert run("segment", tmp_path / "a.tif", "--raster", tmp_path / "alone.tif")[0] == 0
    with rasterio.open(tmp_path / "alone.tif") as a, rasterio.open(tmp_path / "m-1.classes.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())


def test_neighbours_that_drift_leave_no_gap_and_are_told(run, tmp_path, write_scene):
    folder = tmp_path / "tiles"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(1, 256, (3, 40, 40)).astype(np.uint8)
    for number in range(12):
        place = PLACE @ Affine.translation(40.09 * number, 0)
        write_scene(folder / f"{number:02d}.tif", pixels, transform=place)
    code, said = run("batch", folder, "--mosaic", tmp_path / "m.gpkg", "--raster", "--resolution", "native")
    assert code == 0, said.output
    with rasterio.open(tmp_path / "m.classes.tif") as raster:
        assert raster.shape == (40, 480)
        assert (raster.read(1) != 0).all()
    assert "drift by up to 1.0 pixels" in said.stderr


def test_paths_typed_in_another_way_are_the_same_tiles(run, town, tmp_path, monkeypatch):
    _, folder = town
    out = tmp_path / "m.gpkg"
    monkeypatch.chdir(tmp_path)
    assert run("batch", folder.name, "--mosaic", out)[0] == 0
    assert run("batch", folder, "--mosaic", out, "--dry-run")[1].stdout == ""


def test_a_tile_that_could_not_be_read_is_tried_again(run, town, tmp_path):
    _, folder = town
    victim, out = folder / "r100c110.tif", tmp_path / "m.gpkg"
    with rasterio.open(victim) as file:
        pixels, profile = file.read(), file.profile
    with rasterio.open(victim, "w", **profile | {"compress": "deflate"}) as file:
        file.write(pixels)
    whole, status = victim.read_bytes(), victim.stat()
    victim.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    code, _said = run("batch", folder, "--mosaic", out, "--raster")
    victim.write_bytes(whole)
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    if code == 0:
        pytest.skip("half a file was read without a complaint")
    assert run("batch", folder, "--mosaic", out, "--raster")[0] == 0
    with rasterio.open(tmp_path / "m.classes.tif") as raster:
        assert (raster.read(1) != 0).all()


def test_tiles_outside_of_the_area_are_told_and_nothing_fails(run, town, tmp_path, write_scene):
    _, folder = town
    far = write_scene(tmp_path / "far.tif", np.full((3, 40, 40), 9, np.uint8), transform=PLACE @ Affine.scale(0.7))
    far_away = write_scene(tmp_path / "z.tif", np.full((3, 40, 40), 9, np.uint8), crs="EPSG:32639")
    box = ("--bounds", 330_100, 2_779_900, 330_140, 2_779_950)
    out = tmp_path / "m.gpkg"
    code, said = run("batch", folder, far, "--mosaic", out, *box)
    assert code == 0, said.output
    told = {Path(scene["source"]).name: scene["status"] for scene in report_of(out)["scenes"]}
    assert told["far.tif"] == "outside"
    code, said = run("batch", folder, far_away, "--mosaic", tmp_path / "n.gpkg", *box)
    assert code == 2
    assert "--bounds: the tiles have 2 CRSs" in said.stderr
    code, said = run("batch", far, "--mosaic", tmp_path / "o.gpkg", *box)
    assert code == 0
    assert not (tmp_path / "o.gpkg").exists()


def test_edited_layers_are_not_replaced_unasked(run, town, tmp_path):
    _, folder = town
    out = tmp_path / "m.gpkg"
    assert run("batch", folder, "--mosaic", out)[0] == 0
    with out.open("ab") as file:
        file.write(b"notes of mine" * 1000)
    edited = out.read_bytes()
    code, said = run("batch", folder, "--mosaic", out, "--min-area-m2", "20")
    assert code == 4
    assert "has changed since it was made" in said.stderr
    assert out.read_bytes() == edited


def test_other_polygons_are_joined_anew_and_nothing_is_classified_again(run, town, tmp_path):
    _, folder = town
    out = tmp_path / "m.gpkg"
    assert run("batch", folder, "--mosaic", out, "--resolution", "native")[0] == 0
    other = ("--min-area-m2", "20", "--raster", "--dry-run")
    _code, said = run("batch", folder, "--mosaic", out, "--resolution", "native", *other)
    assert [line.split(":")[0] for line in said.stdout.splitlines()] == [str(out)]


def test_shards_without_work_claim_nothing(run, town, tmp_path):
    _, folder = town
    out = tmp_path / "m.gpkg"
    assert run("batch", folder, "--mosaic", out, "--shard", "3/3")[0] == 0
    told = json.loads((tmp_path / "m.gpkg.run" / "shard-3-of-3-report.json").read_text("utf-8"))
    assert {scene["status"] for scene in told["scenes"]} == {"left"}


def test_max_failures_count_tiles_that_cannot_be_opened(run, town, tmp_path):
    _, folder = town
    (folder / "x.tif").write_bytes(b"junk")
    out = tmp_path / "m.gpkg"
    assert run("batch", folder, "--mosaic", out, "--max-failures", "0")[0] == BatchError.exit_code
    assert not out.exists()
