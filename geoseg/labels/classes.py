"""Which classes a run learns, and what the codes of labels say about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from geoseg.class_names import Synonyms
from geoseg.errors import InputError, UsageError, first_of
from geoseg.labels.labelled import LabelKey, LabelledImage
from geoseg.layers.legend import completed
from geoseg.vocabulary import DEFAULT_LEGEND, NODATA, Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from geoseg.labels.scenes import PlacedImage

Elsewhere = Literal["background", "unknown"]
"""What ground is that no label covers: a class of its own, or any class but those of the labels."""

BACKGROUND = "background"
_GREY = "#808080"
_OTHERWISE = 255
"""Label value of ground that is of any class but those of its labels, and downwards for other sets of labels."""
_TAGS = {"yes", "no"}
_BARE = 0.001  # of the known ground without a class is enough to need one


@dataclass(frozen=True, slots=True)
class Taught:
    """Labelled images with values of a key."""

    key: LabelKey
    images: list[PlacedImage]


def taught(
    placed: Sequence[PlacedImage],
    legend: Legend | None,
    elsewhere: Elsewhere,
    *,
    fewest: int = 2,
    note: Callable[[str], None] = lambda _sentence: None,
) -> Taught:
    """Give the codes of labelled scenes the values of a legend.

    Args:
        placed: scenes with codes of their own.
        legend: the classes to learn, where that is settled; None learns those of the labels, and a class
            ``background`` where these do not cover the ground; slivers between them, below a thousandth of it, are of
            no class.
        elsewhere: what ground without a label is, where the legend is settled.
        fewest: classes that there must be, where the legend is not settled.
        note: called with a sentence on classes that lie on no pixel.

    Raises:
        UsageError: the labels have a class that the legend does not have, or it lacks a background.
        InputError: the labels name no class, or a single one that covers everything.
    """
    names = {name for one in placed for code, name in one.names.items() if (one.image.labels == code).any()}
    if not names:
        raise InputError(
            f"{placed[0].image.name}: no class lies on a pixel of it or the other scenes, expected labels to learn "
            "from; look whether all of them are called unlabelled, or smaller than a pixel of --resolution"
        )
    if unseen := sorted({name for one in placed for name in one.names.values()} - names):
        absent = first_of(unseen, 8)
        note(
            f"the labels have {absent}, which no pixel is of: away from the scenes, beneath polygons of other classes, "
            "or smaller than a pixel"
        )
    if tags := sorted(_TAGS & names):
        note(
            f"the labels have the class {' and '.join(map(repr, tags))}, as fields of OpenStreetMap have for any "
            "building; to make one class of all polygons say --class-name building"
        )
    bare = sum(int(_bare(one).sum()) for one in placed)
    gaps = bare > _BARE * sum(int(one.known.sum()) for one in placed)
    derived = legend is None
    if legend is None:
        legend = _legend_of(names, fewest, background=gaps)
    same = Synonyms.of(legend).canonical
    value_of = {same(entry.name): entry.value for entry in legend}
    if missing := sorted(name for name in names if same(name) not in value_of):
        raise UsageError(
            f"the labels have a class {missing[0]!r}, expected only {_listed(legend)}; rename it, choose another "
            "field with --class-field, or give all polygons one of these with --class-name"
        )
    choices: dict[int, tuple[str, ...]] = {}
    images = []
    for one in placed:
        own = {code: same(name) for code, name in one.names.items()}
        rest = value_of.get(BACKGROUND) if derived or elsewhere == "background" else None
        if rest is None and not derived and _bare(one).any():
            # Ground without one of these labels is of any class that they do not name.
            others = tuple(entry.name for entry in legend if same(entry.name) not in own.values())
            if elsewhere == "background" or not others:
                raise UsageError(
                    f"the labels leave ground without a class, but the classes to learn are {_listed(legend)}, with no "
                    "background among them; say --elsewhere unknown, or leave the model or data set with them away"
                )
            known = [value for value, choice in choices.items() if choice == others]
            rest = known[0] if known else _OTHERWISE - len(choices)
            choices[rest] = others
        images.append(replace(one, image=_relabelled(one, own, value_of, rest or NODATA)))
    return Taught(LabelKey(legend, choices), images)


def _bare(one: PlacedImage) -> NDArray[np.bool_]:
    """Return which known pixels have no class."""
    if NODATA in one.names:
        return np.zeros(one.known.shape, bool)
    return np.asarray((one.image.labels == NODATA) & one.known)


def _relabelled(one: PlacedImage, names: dict[int, str], value_of: dict[str, int], rest: int) -> LabelledImage:
    """Return an image with legend values in place of codes, and nothing where nothing is known."""
    table: NDArray[np.uint8] = np.full(256, rest, np.uint8)
    for code, name in names.items():
        table[code] = value_of.get(name, rest)
    return replace(one.image, labels=np.where(one.known, table[one.image.labels], np.uint8(NODATA)))


def _legend_of(names: set[str], fewest: int, *, background: bool) -> Legend:
    """Return the legend of the classes that labels name, in the default legend's order, the others by name."""
    order = [entry.name for entry in DEFAULT_LEGEND]
    known = sorted(names - {BACKGROUND}, key=lambda name: (order.index(name) if name in order else len(order), name))
    numbered = dict(enumerate(known, 1))
    entries = completed("labels", {}, numbered, {}, numbered)
    # A name that makes no layer's name, in another script, say, stays the class's.
    classes = [replace(entries[value], name=name) for value, name in numbered.items()]
    if background or BACKGROUND in names:
        classes.append(MapClass(len(classes) + 1, BACKGROUND, None, _GREY, _GREY))
    if len(classes) < fewest:
        only = classes[0].name
        raise InputError(
            f"the labels are all {only!r}, expected at least two classes, or ground without labels; where nodata of a "
            "raster means that nothing is there, declare it a value with: gdal_edit.py -unsetnodata FILE"
        )
    return Legend(tuple(classes))


def _listed(legend: Legend) -> str:
    return ", ".join(entry.name for entry in legend)
