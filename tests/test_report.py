"""Reports: pages that need nothing but themselves, curves, and pictures."""

import html.parser
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geoseg.report.page import Beside, Bullets, Figure, Numbers, Section, Swatches, Table, Text, page
from geoseg.report.pictures import RIGHT, WRONG, class_picture, error_picture, picture_key, side_by_side, stacked
from geoseg.report.plots import lines, reliability
from geoseg.vocabulary import DEFAULT_LEGEND


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


class Read(html.parser.HTMLParser):
    """Collects tags, texts and what is linked to; knows whether every tag is closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.links, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def read(text):
    found = Read()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


PNG = lines({"loss": ([0, 1], [1, 0])}, x="step", y="loss")


def a_page(text):
    parts = [
        Text(text),
        Table([text, "n"], [[text, "1"], ["b", text]], text, [[0.5], [1.0]]),
        Figure(PNG, text),
        Beside([Figure(PNG, text, 100), Text(text)]),
        Numbers([(text, "0.5", text)]),
        Swatches([(text, "#102030")]),
        Bullets([text, text]),
    ]
    return page(text, [Section(text, parts), Section("", [])], lead=text, footer=text)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20))
def test_any_text_comes_out_as_it_went_in_and_as_nothing_else(text):
    plain, found = read(a_page("plain")), read(a_page(text))
    assert found.tags == plain.tags
    if text.strip():
        assert sum(text in shown for shown in found.texts) >= 13


def test_a_hostile_name_stays_a_name():
    text = a_page('"><script src="http://example.org/x.js">alert(1)</script>')
    assert "<script" not in text
    assert not re.search(r"(src|href)=.?http", text)
    assert "default-src 'none'" in text


def test_pages_load_nothing_from_elsewhere():
    found = read(a_page("plain"))
    assert len(found.links) == 2
    assert all(link.startswith("data:image/png;base64,") for link in found.links)
    assert "url(" not in a_page("plain")
    assert "prefers-color-scheme: dark" in a_page("plain")
    assert "@media print" in a_page("plain")


def test_plots_are_pictures_of_the_size_asked_for():
    curves = {"train": (range(10), np.linspace(2, 0.5, 10)), "held out": ([2, 5, 9], [1.5, float("nan"), 0.9])}
    picture = opened(lines(curves, x="step", y="loss", size=(4, 2), log_y=True))
    assert picture.shape == (300, 600, 3)
    assert (picture != 255).any()
    nothing = float("nan")
    picture = opened(reliability([0.2, nothing, 0.9], [0.1, nothing, 0.8], [0.4, 0, 0.6], size=(3, 3)))
    assert picture.shape == (450, 450, 3)
    assert lines({}, x="a", y="b")


def test_drawing_leaves_no_global_state():
    code = """
import sys
from geoseg.report import pictures, plots
plots.lines({"a": ([0], [1])}, x="x", y="y")
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


def test_classes_have_the_colours_of_their_style():
    picture = class_picture(np.array([[0, 1], [5, 77]], np.uint8), DEFAULT_LEGEND)
    assert picture[0, 0].tolist() == picture[1, 1].tolist() == [255, 255, 255]
    assert bytes(picture[0, 1]).hex().upper() == "B0413E"


def test_errors_are_shown_where_there_is_a_label():
    predicted, reference = np.array([[1, 2, 1, 0]], np.uint8), np.array([[1, 1, 0, 1]], np.uint8)
    found = [f"#{bytes(pixel).hex().upper()}" for pixel in error_picture(predicted, reference)[0]]
    assert found == [RIGHT, WRONG, "#FFFFFF", WRONG]


@pytest.mark.parametrize(("shape", "wide"), [((64, 64), 128), ((64, 32), 64), ((1, 3), 384)])
def test_panels_stand_side_by_side_in_whole_pixels(shape, wide):
    left, right = np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 200, np.uint8)
    picture = opened(side_by_side({"left": left, "right": right}, height_px=128))
    second = 16 + max(80, wide)  # there is room for the titles of narrow ones
    assert picture.shape == (128 + 30, second + max(80, wide) + 8, 3)
    assert (picture[22 + 1 : 22 + 127, 8 + 1 : 8 + wide - 1] == 0).all()
    assert (picture[22 + 1 : 22 + 127, second + 1 : second + wide - 1] == 200).all()
    assert (picture[:, :7] == 255).all()


def test_stacked_pictures_do_not_touch():
    found = stacked([np.zeros((4, 6, 3), np.uint8), np.full((2, 3, 3), 9, np.uint8)])
    assert found.shape == (4 + 8 + 2, 6, 3)
    assert (found[:4] == 0).all()
    assert (found[12:, :3] == 9).all()
    assert (found[4:12] == 255).all()
    assert (found[12:, 3:] == 255).all()


_SIGHT = {
    "all colours": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""What is left of linear red, green and blue: Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009."""


@pytest.mark.parametrize("sight", _SIGHT)
def test_wrong_pixels_are_like_no_class_for_anyone(sight):
    names, colors = zip(*picture_key(DEFAULT_LEGEND), strict=True)
    assert names[-3:] == ("right", "wrong", "unlabelled or nodata")
    channels = np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(_SIGHT[sight]).T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(seen @ to_xyz.T / (0.9505, 1, 1.089)).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    apart = np.delete(np.linalg.norm(lab - lab[-2], axis=1), len(lab) - 2)
    assert apart.min() > 30, names[int(apart.argmin())]


def test_captions_are_as_wide_as_the_screen_and_pictures_no_smaller_than_can_be_read():
    assert read(Table(["a"], [["1"]], "long words").html()).tags[:3] == ["div", "p", "div"]
    own, narrow = Figure(PNG, "a").html(), Figure(PNG, "a", 100).html()
    assert 'width="1050" style="min-width: 840px"' in own
    assert 'width="100" style="min-width: 80px"' in narrow
    assert own.index('class="wide"') < own.index("<img") < own.index("</div>") < own.index("<figcaption")


def test_the_legend_of_a_reliability_diagram_lies_on_no_bar():
    picture = opened(reliability([0.1, 0.5, 0.9], [1.0, 1.0, 1.0], [0.3, 0.3, 0.4]))
    blue = (picture[:, :, 2].astype(int) - picture[:, :, 0] > 30).sum(1) > picture.shape[1] / 3
    words = (picture[:, picture.shape[1] // 7 : picture.shape[1] // 2] < 60).all(2).sum(1) > 3
    first = int(blue.argmax())
    assert words[:first].sum() > 20
    assert not words[first + 10 : first + 100].any()
