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
from geoseg.report.pictures import RIGHT, WRONG, class_picture, error_picture, side_by_side
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


def test_errors_are_red_where_there_is_a_label():
    predicted, reference = np.array([[1, 2, 1, 0]], np.uint8), np.array([[1, 1, 0, 1]], np.uint8)
    found = [f"#{bytes(pixel).hex().upper()}" for pixel in error_picture(predicted, reference)[0]]
    assert found == [RIGHT, WRONG, "#FFFFFF", WRONG]


@pytest.mark.parametrize(("shape", "wide"), [((64, 64), 128), ((64, 32), 64), ((1, 3), 384)])
def test_panels_stand_side_by_side_in_whole_pixels(shape, wide):
    left, right = np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 200, np.uint8)
    picture = opened(side_by_side({"left": left, "right": right}, height_px=128))
    assert picture.shape == (128 + 30, 2 * wide + 24, 3)
    assert (picture[22 + 1 : 22 + 127, 8 + 1 : 8 + wide - 1] == 0).all()
    assert (picture[22 + 1 : 22 + 127, 16 + wide + 1 : 16 + 2 * wide - 1] == 200).all()
    assert (picture[:, :7] == 255).all()
