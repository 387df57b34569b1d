"""Files that were cut off or damaged: said by name wherever images are read, and never taken for black ground."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from PIL import Image

from geoseg.errors import InputError
from geoseg.labels.folders import read_folder
from geoseg.scene import decode
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from tests.command_line import ran  # noqa: F401
from tests.labelled_ground import classes, noise, write, write_scene

# ruff: noqa: F811 - fixtures are imported

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

KINDS = {"PNG": "a.png", "JPEG": "a.jpg", "JP2OpenJPEG": "a.jp2", "GTiff": "a.tif", "ENVI": "a.dat", "EHdr": "a.bil"}


def cut_off(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize("width", [50, 120])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("driver", KINDS)
def test_a_file_that_was_cut_off_is_never_read_to_its_end(tmp_path, driver, share, width):
    path = tmp_path / KINDS[driver]
    write(path, noise((90, width)), driver)
    with open_raster(path) as whole:
        assert whole.read().shape == (3, 90, width)
    cut_off(path, share)
    with pytest.raises((InputError, rasterio.errors.RasterioIOError)), open_raster(path) as part:
        part.read()


@pytest.mark.parametrize("driver", ["PNG", "ENVI"])
def test_what_gdal_reads_beyond_its_end_is_refused_when_it_is_opened(tmp_path, driver, ran):
    scene = tmp_path / KINDS[driver]
    write(scene, noise((90, 120)), driver, crs="EPSG:32640", transform=rasterio.Affine(1, 0, 33e4, 0, -1, 278e4))
    cut_off(scene, 0.7)
    for verb in (("segment", scene, "--out", tmp_path / "o.gpkg"), ("info", scene)):
        code, _, complaints = ran(*verb)
        assert code == 3
        assert f"{scene}: is cut off" in complaints
    assert not (tmp_path / "o.gpkg").exists()


def test_a_png_with_more_behind_its_end_and_a_header_of_nonsense(tmp_path):
    path = tmp_path / "a.png"
    write(path, pixels := noise((9, 12)), "PNG")
    path.write_bytes(path.read_bytes() + b"a note of a camera")
    with open_raster(path) as whole:
        np.testing.assert_array_equal(whole.read(), pixels)
    path.write_bytes(path.read_bytes()[:8] + b"\xff" * 40)
    with pytest.raises(InputError, match="cut off"), open_raster(path):
        pass
    write(tmp_path / "a.dat", pixels, "ENVI")
    header = tmp_path / "a.hdr"
    header.write_text(header.read_text().replace("header offset = 0", "header offset = none"))
    with open_raster(tmp_path / "a.dat") as whole:
        np.testing.assert_array_equal(whole.read(), pixels)


def a_jpeg(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, cols = np.mgrid[:400, :600]
    picture = np.stack([rows % 256, cols % 256, (rows + cols) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(path, quality=95, **options)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_thumbnail_is_cut_off_wherever_it_ends_early(tmp_path, progressive):
    a_jpeg(small := tmp_path / "small.jpg")
    thumbnail = b"Exif\0\0" + small.read_bytes()[:50_000] + b"\xff\xd9"
    path = tmp_path / "a.jpg"
    a_jpeg(path, exif=thumbnail, progressive=progressive)
    whole = path.read_bytes()
    path.write_bytes(whole + b"more")
    with open_raster(path) as opened:
        assert opened.shape == (400, 600)
    for size in (len(whole) - 2, len(whole) // 2, 50_100, 3000, 30):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError), open_raster(path):
            pass


def test_nothing_is_believed_behind_damage_of_a_picture_without_blocks(tmp_path):
    path = tmp_path / "a.png"
    place = {"crs": "EPSG:32640", "transform": rasterio.Affine(1, 0, 33e4, 0, -1, 278e4)}
    write(path, pixels := noise((2500, 3000)), "PNG", **place)
    content = bytearray(path.read_bytes())
    at = 9 * len(content) // 10
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    with open_scene(path, ReadRequest(on_read_error="nodata")) as scene:
        strips = list(scene.iter_rows([(row, row + 500) for row in range(0, 2500, 500)], (0, 3000)))
    valid = np.concatenate([strip.valid for strip in strips])
    read = np.concatenate([strip.pixels for strip in strips], axis=1)
    assert valid[:2200].all()
    assert not valid[-200:].any()
    wrong = (read != pixels).any(0) & valid
    assert np.count_nonzero(wrong.any(1)) <= 1, "the row that the damage begins in"


def test_a_damaged_picture_with_transparency_is_damaged_and_no_defect(tmp_path, ran):
    path = tmp_path / "a.png"
    place = {"crs": "EPSG:32640", "transform": rasterio.Affine(1, 0, 33e4, 0, -1, 278e4)}
    write(path, np.concatenate([noise((900, 700)), np.full((1, 900, 700), 255, np.uint8)]), "PNG", **place)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(content)
    code, _, complaints = ran("info", path)
    assert "internal error" not in complaints
    code, _, complaints = ran("segment", path, "--out", tmp_path / "o.gpkg", "--threads", 1)
    assert code == 3
    assert f"{path}: rows" in complaints
    given = ("--on-read-error", "nodata", "--resolution", 2)
    code, _, complaints = ran("segment", path, "--raster", tmp_path / "o.tif", *given, "--threads", 1)
    assert code == 0, complaints
    with rasterio.open(tmp_path / "o.tif") as result:
        seen = (result.read(1) > 0).any(1)
    assert seen[: len(seen) // 2 - 40].all()
    assert not seen[len(seen) // 2 + 40 :].any()


@pytest.mark.parametrize("bits", ["8.0", "12 bits", "U8"])
def test_odd_remarks_on_bits_are_no_reason_to_refuse_a_picture(tmp_path, bits):
    write(tmp_path / "a.png", pixels := noise((9, 12)), "PNG")
    domain = f'<Metadata domain="IMAGE_STRUCTURE"><MDI key="NBITS">{bits}</MDI></Metadata>'
    (tmp_path / "a.png.aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="1">{domain}</PAMRasterBand></PAMDataset>'
    )
    with open_raster(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(opened.read(), pixels)


def test_exif_that_is_none_is_no_reason_to_refuse_a_picture(tmp_path, ran):
    a_jpeg(tmp_path / "city/images/a.jpg")
    content = (tmp_path / "city/images/a.jpg").read_bytes()
    odd = b"\xff\xe1" + (40).to_bytes(2, "big") + b"Exif\0\0" + b"no TIFF" + bytes(25)
    (tmp_path / "city/images/a.jpg").write_bytes(content[:2] + odd + content[2:])
    write(tmp_path / "city/masks/a.png", classes((400, 600))[None], "PNG")
    (image,) = read_folder(tmp_path / "city")
    assert image.pixels.shape == (3, 400, 600)
    code, _, complaints = ran("info", tmp_path / "city/images/a.jpg")
    assert (code, "internal error" in complaints) == (0, False)


@pytest.mark.parametrize("place", ["here", "far away"])
@pytest.mark.parametrize("policy", ["fail", "nodata"])
def test_what_a_driver_makes_up_when_it_is_asked_again_is_not_believed(tmp_path, monkeypatch, policy, place):
    """GDAL complains once of a JPEG that ends early, and then gives grey rows; a server may do better."""
    scene = write_scene(tmp_path / "scene.tif", (60, 80))
    failed = []

    def once(rows, window, pixels, valid, decode=decode.NativeRows._decode):
        if not failed:
            failed.append(window)
            raise rasterio.errors.RasterioIOError("premature end")
        decode(rows, window, pixels, valid)

    monkeypatch.setattr(decode.NativeRows, "_decode", once)
    monkeypatch.setattr(decode, "is_remote", lambda _name: place == "far away")
    with open_scene(scene, ReadRequest(on_read_error=policy)) as opened:
        if policy == "fail" and place == "here":
            with pytest.raises(InputError, match=r"rows 0 to 59 cannot be read \(premature end\)"):
                list(opened.iter_rows([(0, 60)], (0, 80)))
            return
        (rows,) = opened.iter_rows([(0, 60)], (0, 80))
        assert rows.valid.all() == (place == "far away")
        assert opened.unreadable == ([str(scene)] if place == "here" else [])


@pytest.mark.parametrize("damaged", ["images", "masks"])
@pytest.mark.parametrize("ending", ["tif", "png", "jpg"])
def test_damaged_images_and_masks_of_a_folder_are_named(tmp_path, ran, damaged, ending):
    driver = {"tif": "GTiff", "png": "PNG", "jpg": "JPEG"}[ending]
    for name in "ab":
        write(tmp_path / f"city/images/{name}.{ending}", noise((90, 120)), driver)
        options = {"compress": "deflate"} if ending == "tif" else {}
        write(tmp_path / f"city/masks/{name}.{ending}", classes((90, 120))[None], driver, **options)
    bad = tmp_path / f"city/{damaged}/b.{ending}"
    cut_off(bad, 0.5)
    for verb in (
        ("train", tmp_path / "city", "--out", tmp_path / "m.safetensors", "--steps", 1),
        ("evaluate", "--model", "default", tmp_path / "city"),
        ("compare", tmp_path / "city", "--out", tmp_path / "out"),
    ):
        code, _, complaints = ran(*verb)
        assert code == 3, complaints
        assert str(bad) in complaints
        assert "--on-read-error" not in complaints, "no flag of these verbs helps"


def test_damaged_parts_of_a_scene_to_learn_from_are_nodata_where_that_is_wanted(tmp_path, ran):
    scene = write_scene(tmp_path / "scene.tif", (60, 80))
    truth = classes((60, 80), most=2)
    with rasterio.open(scene) as file:
        write(tmp_path / "truth.tif", truth[None], crs=file.crs, transform=file.transform)
    cut_off(scene, 0.9)
    given = ("train", "--scene", scene, "--labels", tmp_path / "truth.tif", "--steps", 1, "--width", 4, "--chip", 32)
    code, _, complaints = ran(*given, "--out", tmp_path / "m.safetensors")
    assert code == 3
    assert "--on-read-error nodata" in complaints
    code, _, complaints = ran(*given, "--out", tmp_path / "m.safetensors", "--on-read-error", "nodata")
    assert code == 0, complaints
    assert "unreadable blocks were treated as nodata" in complaints
    code, _, complaints = ran(
        "evaluate", "--model", tmp_path / "m.safetensors", "--scene", scene, "--labels", tmp_path / "truth.tif",
        "--on-read-error", "nodata", "--json",
    )  # fmt: skip
    assert code == 0, complaints
