"""``evaluate --model``: what is scored is what ``segment`` writes."""

import json
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import from_origin
from shapely import box
from shapely.affinity import translate

from geoseg.cli.evaluate import command
from geoseg.cli.main import geoseg
from geoseg.errors import InputError, ModelError, OutputError, UsageError
from geoseg.inference.network import RunsOn
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import LabelledImage
from geoseg.model.learned import ImageNames, learned_from, read_otherwise
from geoseg.pipeline.evaluate.answers import ModelRun, answer
from geoseg.pipeline.evaluate.model import ModelRequest, evaluate_model
from geoseg.pipeline.evaluate.report import WantedScores
from geoseg.pipeline.evaluate.scored_data import ScoredData, ScoredImage, chosen
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest
from geoseg.pipeline.segment import segment
from geoseg.scene.read_request import flags_of
from geoseg.scene.stretch import parse_stretch
from geoseg.scores.confusion import Confusion
from geoseg.vocabulary import DEFAULT_LEGEND

COLORS = np.array([(155, 155, 155), *(tuple(bytes.fromhex(c.color[1:])) for c in DEFAULT_LEGEND)], np.uint8)
SIZES = {"Tile 1/a": (90, 130), "Tile 1/b": (64, 70), "Tile 2/c": (75, 96)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Three small images of patches with labels, some of them missing."""
    folder = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    for name, (height, width) in SIZES.items():
        tile, stem = name.split("/")
        coarse = rng.integers(0, 6, (height // 16 + 1, width // 16 + 1))
        labels = np.kron(coarse, np.ones((16, 16), int))[:height, :width]
        pixels = rng.integers(0, 60, (height, width, 3)) + 30 * labels[..., None]
        for kind, picture in (("images", pixels.astype(np.uint8)), ("masks", COLORS[labels])):
            (folder / tile / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / tile / kind / f"{stem}.png")
    return folder


def request(dataset, model, *, only=(), classes=None, eightfold=False, **wanted):
    run = ModelRun(str(model), RunsOn("cpu", "fp32", 1), eightfold)
    return ModelRequest(run, ScoredData(dataset), only, classes, WantedScores(**wanted))


@pytest.mark.parametrize("eightfold", [False, True])
def test_answers_are_the_rasters_that_segment_writes(
    tmp_path, dataset, tiny_model, tiny_model_path, write_scene, eightfold
):
    total = Confusion.empty(DEFAULT_LEGEND)
    for image in read_folder(dataset):
        run = ModelRun(str(tiny_model_path), RunsOn("cpu", "fp32", 1), eightfold)
        found = answer(image, run, tiny_model, tmp_path)
        scene = write_scene(tmp_path / "scene.tif", image.pixels, pixel_m=0.7)
        output = OutputRequest(raster=tmp_path / "c.tif", confidence=tmp_path / "p.tif", overwrite=True)
        reading = SceneRequest(resolution="native")
        segment(SegmentRequest(scene, output, str(tiny_model_path), reading, runs_on=run.runs_on, eightfold=eightfold))
        for path, rows in ((output.raster, found.rows.classes), (output.confidence, found.rows.confidence)):
            with rasterio.open(path) as file:
                assert (file.read(1) == rows).all()
        assert len(np.unique(found.rows.classes)) > 2
        total = total.add(found.rows.classes, image.labels)
    report = evaluate_model(request(dataset, tiny_model_path, eightfold=eightfold))
    assert (report.confusion.counts == total.counts).all()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tif") == ["c.tif", "p.tif", "scene.tif"]


def test_json_has_scores_of_images_and_how_sure_they_are(dataset, tiny_model_path):
    done = []
    report = evaluate_model(request(dataset, tiny_model_path, boundary=True, objects=True), lambda *at: done.append(at))
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [image["name"] for image in found["images"]] == list(SIZES)
    assert [image["group"] for image in found["images"]] == ["Tile 1", "Tile 1", "Tile 2"]
    labelled = sum(int((image.labels > 0).sum()) for image in read_folder(dataset))
    assert sum(image["support"] for image in found["images"]) == np.sum(found["confusion"]) == labelled
    assert sum(row["pixels"] for row in found["reliability"]) == labelled
    low, high = found["intervals"]["pixel_accuracy"]
    assert low <= found["pixel_accuracy"] <= high
    assert 0 <= found["ece"] <= 1
    assert 0 <= found["boundary_f1"] <= 1
    assert set(found["objects"]) == set(found["classes"]) == {entry.name for entry in DEFAULT_LEGEND}
    assert found["model"]["name"] == "tiny"
    assert found["precision"] == "fp32"
    assert done[-1] == (3, 3, sum(height * width for height, width in SIZES.values()))
    text = report.to_text()
    assert "Tile 2/c" in text
    assert "expected calibration error" in text
    assert "worst" not in found


def test_counts_of_images_add_up(dataset, tiny_model_path):
    whole = evaluate_model(request(dataset, tiny_model_path, boundary=True, objects=True))
    parts = [
        evaluate_model(request(dataset, tiny_model_path, only=(name,), boundary=True, objects=True)) for name in SIZES
    ]
    assert (sum(part.confusion.counts for part in parts) == whole.confusion.counts).all()
    assert sum((part.boundary for part in parts[1:]), parts[0].boundary).to_json() == whole.boundary.to_json()
    assert sum((part.objects for part in parts[1:]), parts[0].objects).to_json() == whole.objects.to_json()
    assert parts[0].intervals is None


def test_images_are_chosen_by_name_or_tile(dataset):
    images = [ScoredImage(image, None) for image in read_folder(dataset)]
    names = [one.image.name for one in chosen(images, ("Tile 2", "Tile 1/a"), dataset)]
    assert names == ["Tile 1/a", "Tile 2/c"]
    assert chosen(images, (), dataset) == images
    with pytest.raises(UsageError, match=r"--only: .* no image or tile 'Tile 7'; it has Tile 1, Tile 2.*'Tile 1/a'"):
        chosen(images, ("Tile 1", "Tile 7"), dataset)


@pytest.mark.parametrize(
    ("training", "known"),
    [
        ({"data": [{"name": "town", "images": 3, "held_out": []}]}, 3),
        ({"data": [{"name": "town", "images": 3, "held_out": ["Tile 2"]}]}, 2),
        ({"data": [{"name": "town", "images": 3, "held_out": ["Tile 2", "Tile 1/a", "Tile 1/b"]}]}, 0),
        ({"data": [{"name": "village"}], "last_run": {"data": [{"name": "town"}]}}, 3),
        ({"data": [{"name": "village"}]}, 0),
        ({"data": "all kinds", "last_run": None}, 0),
        ({}, 0),
    ],
)
def test_scores_of_images_that_were_learned_from_are_called_that(tiny_model, training, known):
    card = replace(tiny_model.card, training=training)
    of_town = frozenset({"town", "b.tif"})
    images = [ImageNames(name, frozenset({name, name.split("/")[0]}), of_town) for name in SIZES]
    told = learned_from(card, images)
    assert (f"trained on town, perhaps on {known} of the 3 images" in told) if known else not told


def test_images_of_other_sources_are_not_called_learned_from(tiny_model):
    """A folder was learned from; its files are scored one by one, and a scene of another folder beside them."""
    card = replace(tiny_model.card, training={"data": [{"name": "tiles", "held_out": ["b"]}, {"name": "d.tif"}]})
    sources = {"a": {"a.tif", "tiles"}, "b": {"b.tif", "tiles"}, "c": {"c.tif", "others"}, "d": {"d.tif", "others"}}
    images = [ImageNames(name, frozenset({name}), frozenset(known)) for name, known in sources.items()]
    assert "trained on tiles, d.tif, perhaps on 2 of the 4 images" in learned_from(card, images)
    assert not learned_from(card, images[1:3])


def test_some_classes_only(dataset, tiny_model_path):
    report = evaluate_model(request(dataset, tiny_model_path, classes="buildings,water"))
    found = report.to_json()
    assert list(found["classes"]) == ["building", "water"]
    assert found["confusion_rows"] == ["building", "water", "other"]
    whole = evaluate_model(request(dataset, tiny_model_path))
    assert found["classes"]["water"] == whole.to_json()["classes"]["water"]
    with pytest.raises(UsageError, match="--classes: boats"):
        evaluate_model(request(dataset, tiny_model_path, classes="boats"))


def test_masks_of_a_legend_of_ones_own(tmp_path, dataset, tiny_model_path):
    told = evaluate_model(request(dataset, tiny_model_path)).to_json()
    for path in dataset.glob("*/images/*.png"):
        picture, mask = (tmp_path / path.parent.parent.name / kind / path.name for kind in ("images", "masks"))
        for folder in (picture.parent, mask.parent):
            folder.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(path.read_bytes())
        colors = np.asarray(Image.open(path.parent.parent / "masks" / path.name)).astype(int)
        values = sum(7 * i * (colors == color).all(-1) for i, color in enumerate(COLORS.astype(int)))
        Image.fromarray(values.astype(np.uint8)).save(mask)
    legend = tmp_path / "legend.csv"
    legend.write_text("".join(f"{7 * entry.value},{entry.name}\n" for entry in DEFAULT_LEGEND))
    arguments = ["--model", str(tiny_model_path), str(tmp_path), "--json", "--precision", "fp32", "--threads", "1"]
    shown = CliRunner().invoke(command, [*arguments, "--legend", str(legend)], catch_exceptions=False)
    assert json.loads(shown.stdout)["confusion"] == told["confusion"]
    refused = CliRunner().invoke(command, arguments)
    assert isinstance(refused.exception, InputError)
    assert "name them with --legend FILE" in str(refused.exception)


def test_a_model_with_other_bands_or_no_model_is_refused(tmp_path, dataset, make_model, tiny_spec, tiny_model):
    with pytest.raises(InputError, match="has 4 bands, but model tiny expects red, green, blue"):
        answer(
            LabelledImage("x", "x", np.zeros((4, 32, 32), np.uint8), np.zeros((32, 32), np.uint8)),
            ModelRun("x"),
            tiny_model,
            tmp_path,
        )
    with pytest.raises(ModelError, match="no such model file"):
        evaluate_model(request(dataset, tmp_path / "none.safetensors"))
    with pytest.raises(InputError, match="no images with masks"):
        evaluate_model(request(tmp_path, "default"))


def test_the_page_shows_the_worst_places_with_imagery(tmp_path, dataset, tiny_model_path):
    page = tmp_path / "page.html"
    arguments = ["--model", str(tiny_model_path), str(dataset), "--report", str(page), "--worst", "3", "--threads", "1"]
    shown = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
    found = json.loads(shown.stdout)
    assert len(found["worst"]) == 3
    wrong = [place["wrong"] for place in found["worst"]]
    assert wrong == sorted(wrong, reverse=True)
    assert sum(wrong) == sum(map(sum, found["confusion"])) - np.trace(np.array(found["confusion"])[:, :-1])
    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 3 + 1
    for words in ("tiny on", "Worst places", "Images", "Confidence", "Tile 2/c (row 0, column 0)", "boundary F1"):
        assert words in text
    refused = CliRunner().invoke(command, arguments)
    assert isinstance(refused.exception, OutputError)
    assert CliRunner().invoke(command, [*arguments, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_scenes_are_scored_on_their_own_pixels_as_segment_answers_them(tmp_path, tiny_model_path, write_scene, dtype):
    """Half a metre for a model of one: resampled for the model, and compared with rasterio's burning of the labels."""
    coarse = np.random.default_rng(3).integers(0, 255, (3, 8, 10))
    pixels = (np.kron(coarse, np.ones((1, 16, 16), int)) * (1 if dtype == "uint8" else 40)).astype(dtype)
    (tmp_path / "scenes").mkdir()
    for name, left in (("a", 0), ("b", 5000)):
        place = from_origin(330_000 + left, 2_780_000, 0.5, 0.5)
        write_scene(tmp_path / f"scenes/{name}.tif", pixels, transform=place)
    with rasterio.open(tmp_path / "scenes/a.tif") as scene:
        grid = {"out_shape": scene.shape, "transform": scene.transform}
    boxes = [box(0, 0, 30, 25), box(40, 30, 80, 64), box(31, 0, 80, 20), box(0, 60, 3, 64)]
    boxes = [translate(one, 330_000, 2_780_000 - 64) for one in boxes]
    names = ["Building", "buildings", "road", "road"]
    labels = tmp_path / "labels.gpkg"
    geopandas.GeoDataFrame({"kind": names}, geometry=boxes, crs="EPSG:32640").to_file(labels)
    truth = rasterize(zip(boxes, [1, 1, 2, 2], strict=True), **grid)
    output = OutputRequest(raster=tmp_path / "c.tif")
    segment(SegmentRequest(tmp_path / "scenes/a.tif", output, str(tiny_model_path), runs_on=RunsOn("cpu", "fp32", 1)))
    with rasterio.open(output.raster) as file:
        found = file.read(1)
    page = tmp_path / "page.html"
    arguments = [
        "--model",
        str(tiny_model_path),
        "--scene",
        str(tmp_path / "scenes"),
        "--labels",
        str(labels),
        "--json",
    ]
    arguments += ["--class-field", "kind", "--precision", "fp32", "--threads", "1", "--report", str(page)]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    said = json.loads(shown.stdout)
    assert said["confusion_rows"] == ["building", "road", "other"]
    expected = [
        [np.count_nonzero((truth == row) & match) for match in (found == 1, found == 2, found > 2, found == 0)]
        for row in (1, 2, 0)
    ]
    assert said["confusion"] == expected
    assert [image["name"] for image in said["images"]] == ["a"]
    assert "b.tif: no label lies on it" in shown.stderr
    html = page.read_text("utf-8")
    assert html.count("data:image/png;base64,") > 1
    assert " on scenes</" in html
    assert f"on 1 image of {tmp_path / 'scenes'}, labelled by {labels}," in html


def scored(tmp_path, model, shapes, names, *given):
    """Return what is said of a scene of 64 by 64 metres with polygons of some classes."""
    labels = tmp_path / "labels.gpkg"
    boxes = [translate(one, 330_000, 2_780_000 - 64) for one in shapes]
    geopandas.GeoDataFrame({"class": names}, geometry=boxes, crs="EPSG:32640").to_file(labels, mode="w")
    arguments = ["--model", str(model), "--scene", str(tmp_path / "a.tif"), "--labels", str(labels), "--json", *given]
    shown = CliRunner().invoke(command, [*arguments, "--precision", "fp32", "--threads", "1"], catch_exceptions=False)
    return json.loads(shown.stdout)


def test_all_labelled_pixels_of_a_scene_count(tmp_path, tiny_model_path, write_scene):
    """A class called other, a sliver without a class, one class over all: each has its place in the matrix."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    write_scene(tmp_path / "a.tif", pixels)
    strips = [box(10 * i, 0, 10 * i + 10 + 4 * (i == 5), 64) for i in range(6)]
    five = [entry.name for entry in DEFAULT_LEGEND]
    found = scored(tmp_path, tiny_model_path, strips, [*five, "other"], "--objects")
    assert found["confusion_rows"] == [*five, "other"]
    assert sum(found["confusion"][-1]) == 14 * 64
    assert np.sum(found["confusion"]) == 64 * 64
    sliver = scored(tmp_path, tiny_model_path, [box(0, 0, 30, 64), box(30, 1, 64, 64), box(31, 0, 64, 1)], five[:3])
    assert np.sum(sliver["confusion"]) == 64 * 64 - 1
    whole = scored(tmp_path, tiny_model_path, [box(0, 0, 64, 64)], five[:1], "--only", "a.tif")
    assert np.sum(whole["confusion"]) == 64 * 64
    ignored = scored(
        tmp_path, tiny_model_path, [box(0, 0, 64, 64), box(0, 0, 10, 64)], ["shed", "ignore"], "--classes", "all"
    )
    assert np.sum(ignored["confusion"]) == 54 * 64


def test_scenes_are_read_as_the_user_says(tmp_path, tiny_model_path, write_scene):
    grey = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    write_scene(tmp_path / "a.tif", grey)
    halves, names = [box(0, 0, 30, 64), box(30, 0, 64, 64)], ["building", "road"]
    found = scored(tmp_path, tiny_model_path, halves, names, "--bands", "1,1,1")
    assert np.sum(found["confusion"]) == 64 * 64
    unseen = scored(tmp_path, tiny_model_path, halves, names, "--bands", "1,1,1", "--nodata", str(grey[0, 5, 5]))
    assert np.sum(unseen["confusion"]) == np.count_nonzero(grey != grey[0, 5, 5])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give two maps to compare"),
        (["a.tif"], "give two maps to compare, PREDICTED and REFERENCE, or --model MODEL and DATA; 1 were given"),
        (["--model", "default"], "scored on one folder"),
        (
            ["--model", "default", "a", "b"],
            "scored on one folder of labelled images, DATA, or on --scene; 2 were given",
        ),
        (["a.tif", "b.tif", "--tta"], "--tta is about a model; give it with --model"),
        (["a.tif", "b.tif", "--hold-out", "x"], "--only is about a model"),
        (["a.tif", "b.tif", "--legend", "x"], "--legend is about a model"),
        (["--model", "default", "a", "--scene", "s.tif"], "one folder of labelled images, DATA, or on --scene; 1 were"),
        (["--model", "default", "--scene", "s.tif"], "--scene and --labels go together"),
        (["--model", "default", "--scene", "s.tif", "--labels", "a.gpkg", "--legend", "x"], "names the masks of DATA"),
        (["--model", "default", "a", "--class-name", "building"], "--class-name is about --scene, not DATA"),
        (["a.tif", "b.tif", "--labels", "x"], "--labels is about a model"),
        (["a.tif", "b.tif", "--scene", "s.tif", "--scene", "t.tif"], "one image for the pictures of two maps"),
        (["a.tif", "b.tif", "--tolerance-px", "1", "--tolerance-m", "1"], "say the same"),
        (["a.tif", "b.tif", "--tolerance-px", "-1"], "range"),
    ],
)
def test_flags_that_do_not_go_together(arguments, words):
    result = CliRunner().invoke(geoseg, ["evaluate", *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


@pytest.mark.slow
def test_the_bundled_model_on_real_images(shared_data, tmp_path):
    only = ("Tile 1/image_part_001", "Tile 8/image_part_002")
    report = evaluate_model(request(shared_data / "dubai", "default", only=only))
    assert report.confusion.pixel_accuracy > 0.75
    assert report.confusion.counts[:, -1].sum() == 0


def test_data_without_a_label_has_no_score(tmp_path, tiny_model_path):
    """Black masks, or such with a few values that nobody has named."""
    for name, shape in (("images", (32, 40, 3)), ("masks", (32, 40))):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}/a.png")
    shown = CliRunner().invoke(geoseg, ["evaluate", "--model", str(tiny_model_path), str(tmp_path)])
    assert shown.exit_code == 3
    assert "not one pixel is labelled, so there is nothing to score; name what the masks hold" in shown.stderr


@pytest.mark.parametrize(
    "read",
    [
        None,
        [],
        "text",
        {"bands": None},
        {"bands": [1, 2]},
        {"x": 5},
        {"stretch": {}},
        {"bands": "1,2\x1b[31m\nrm -rf"},
        {"stretch": "1" * 3000},
    ],
)
def test_what_a_card_says_of_reading_may_be_anything(tiny_model, read):
    card = replace(tiny_model.card, training={"read": read})
    assert read_otherwise(card, {}) == ""


def test_flags_that_a_model_was_trained_with_are_asked_for_once(tiny_model):
    card = replace(tiny_model.card, name="m", training={"read": {"bands": "4,1,2", "stretch": "2%,98%"}})
    told = "model m was trained on scenes read with --bands 4,1,2 --stretch 2%,98%; give the same for scenes like those"
    assert read_otherwise(card, {}) == told
    assert read_otherwise(card, {"bands": "3,2,1", "stretch": "none"}) == ""
    assert read_otherwise(card, flags_of({"bands": (4, 1, 2)})) == told.replace("--bands 4,1,2 ", "")
    assert flags_of({"stretch": parse_stretch("2%,98%"), "nodata": 0}) == {"stretch": "2%,98%"}
    assert flags_of({"stretch": parse_stretch("0.5,6000.25")}) == {"stretch": "0.5,6000.25"}
    assert flags_of({"stretch": parse_stretch("none"), "bands": None}) == {"stretch": "none"}
