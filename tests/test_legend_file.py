"""What somebody else's values mean can be said in a file, and nonsense in it is refused by name."""

import json

import pytest

from geoseg.errors import InputError
from geoseg.layers.legend_file import read_legend_file
from geoseg.vocabulary import DEFAULT_LEGEND, Legend

BUILDING = DEFAULT_LEGEND.by_value(1)


def written(tmp_path, text, name="legend.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "value,name,color\n3,Buildings,#ff0000\n9,orchard,\n",
        "\ufeff3,Buildings,#FF0000\r\n9,orchard\r\n",
        "3;Buildings;#FF0000\r\n9;orchard\r\n",
        "3\tBuildings\t#FF0000\n9\torchard\n",
        json.dumps([{"value": 3, "name": "Buildings", "color": "#ff0000"}, {"value": 9, "name": "orchard"}]),
    ],
    ids=["csv", "csv of a spreadsheet", "csv where commas are decimal", "tabs", "json"],
)
def test_lines_and_json_name_values(tmp_path, text):
    found = read_legend_file(written(tmp_path, text), [3, 7])
    assert (found[3].name, found[3].layer, found[3].color) == ("building", "buildings", "#FF0000")
    assert found[3].min_area_m2 == BUILDING.min_area_m2
    assert (found[9].name, found[9].layer) == ("orchard", "orchard")
    assert found[7].name == "class_7"


def test_an_object_of_values_and_names_is_enough(tmp_path):
    found = read_legend_file(written(tmp_path, '{"1": "road", "0": "sea"}'), [0, 1])
    assert (found[1].name, found[0].name) == ("road", "sea")
    assert found[0].value not in (0, 1)


def test_a_name_for_nodata_makes_no_class(tmp_path):
    """Where 0 is not among the values found, it is nodata, and what the file calls it does not matter."""
    found = read_legend_file(written(tmp_path, "0,unknown\n1,road\n4,water\n"), [1, 2])
    assert {value: entry.name for value, entry in found.items()} == {1: "road", 2: "class_2", 4: "water"}


def test_values_of_one_name_are_one_class(tmp_path):
    found = read_legend_file(written(tmp_path, "3,class_7\n4,Orchard\n5,orchard\n9,or_chard\n"), [3, 4, 5, 7, 9])
    assert found[4] is found[5]
    assert (found[3].name, found[3].layer) == ("class_7", "class_7")
    assert (found[7].name, found[7].layer) == ("class_7_1", "class_7_1")
    Legend(tuple(dict.fromkeys(found.values())))
    assert found[9].name == "or_chard"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no class"),
        ("value,name\n", "names no class"),
        ("300,road\n", "'300'"),
        ("-1,road\n", "'-1'"),
        ("one,road\n", "'one'"),
        ("1,\n", "no class"),
        ("1,road\n1,water\n", "value 1 twice"),
        ("1,road,red\n", "'red' of road is no colour"),
        ("[1, 2]", "expected an object"),
        ('{"1": "road"', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"1": "road", "1": "water"}', "value 1 twice"),
        ('{"1": {"name": "road"}}', "is no class"),
        ('[{"value": 1, "name": null}]', "is no class"),
        ("9" * 5000 + ",road\n", "is no class|no class"),
        ('1,"' + "x" * 200_000, "no list of classes"),
    ],
)
def test_nonsense_is_refused_by_name(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=words) as refused:
        read_legend_file(path, [1])
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "b.csv").write_bytes(b"1,a\n" * 1_000_000)
    for name, words in (
        ("a.csv", "is not text"),
        ("b.csv", "too large"),
        ("none.csv", "No such file"),
        (".", "legend"),
    ):
        with pytest.raises(InputError, match=words):
            read_legend_file(tmp_path / name, [1])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "value{}name\n"])
def test_what_follows_the_first_value_separates_and_nothing_else(tmp_path, separator, head):
    quoted = '"{}"' if separator == "," else "{}"
    lines = f"{head.format(separator)}3{separator}{quoted.format('old, new')}\n7{separator}road\n"
    found = read_legend_file(written(tmp_path, lines), [3, 7])
    assert (found[3].name, found[7].name) == ("old new", "road")
