"""Everything a run can learn from, read and told apart: folders, scenes with labels, made-up scenes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import InputError, ModelError, UsageError, first_of
from geoseg.labels.classes import Elsewhere, taught
from geoseg.labels.folders import ground_pixel_of, read_folder
from geoseg.labels.labelled import LabelKey, LabelledImage
from geoseg.labels.made_up import demo_images
from geoseg.labels.mask_key import MaskKey
from geoseg.labels.mosaic import clusters, in_line, joined, share_ground
from geoseg.labels.same_ground import unseen
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, found_scenes
from geoseg.labels.split import How, split
from geoseg.model.learned import ImageNames
from geoseg.scene.read_request import ReadRequest, alike, flags_of
from geoseg.vocabulary import DEFAULT_LEGEND, Legend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from geoseg.model.card import ModelCard

_NAMED = 12  # classes in a sentence
SCENES = "scenes"
"""Source of the images of labelled scenes."""


@dataclass(frozen=True, slots=True)
class Material:
    """What to read."""

    dataset: Path | None = None
    """Folder of images with masks."""
    scenes: tuple[ScenePair, ...] = ()
    class_field: ClassField = field(default_factory=ClassField)
    scene_options: Mapping[str, Any] = field(default_factory=dict)
    """What the user says about the scenes: ``bands``, ``nodata`` and more fields of a ReadRequest."""
    elsewhere: Elsewhere | None = None
    """What ground of the scenes is that no label covers; None: ``background``, or ``unknown`` beside a dataset."""
    legend_file: Path | None = None
    """Names and colours of the dataset's masks; None for those of the Dubai data set."""
    resolution_m: float | None = None
    """Ground pixel to learn at: that of the dataset's images, and what scenes are resampled to. None: that of the
    model to begin with, else the scenes' own, else 1."""
    demo_scenes: int = 0
    """Made-up scenes to add, of all climates in turn."""
    hold_out: tuple[str, ...] = ()
    """Groups (tiles) or single images (``Tile 1/image_part_003``) that are scored on and never trained on."""
    how: How = "auto"
    """What is held out where nothing is named."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hold_out and self.how != "auto":
            instead = "learn from all" if self.how == "none" else "let it be random patches"
            raise UsageError(f"--hold-out and --split {self.how}: name what is held out, or {instead}")
        if self.legend_file is not None and self.dataset is None:
            raise UsageError("--legend: names the masks of a DATASET; scenes' labels name their classes themselves")

    @property
    def reading_flags(self) -> dict[str, str]:
        """What was said of how scenes are read, as flags have it, for the card."""
        return flags_of(self.scene_options)

    @property
    def names(self) -> list[str]:
        """What its sources are called in a card."""
        paths = [] if self.dataset is None else [self.dataset]
        paths += [scene for pair in self.scenes for scene in pair.scenes]
        return list(dict.fromkeys(path.resolve().name for path in paths))


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was read."""

    key: LabelKey
    learned: list[LabelledImage]
    held_out: list[LabelledImage]
    split: str
    """How they were told apart; '' where nothing is held out."""
    resolution_m: float | None
    """Ground pixel of the images; None where nothing says it."""
    aside: tuple[ImageNames, ...]
    """The images held out, before those of touching tiles became one."""


def gathered(wanted: Material, init: ModelCard | None, note: Callable[[str], None]) -> Gathered:
    """Read everything and tell what is learned from what is held out.

    Args:
        wanted: what to read.
        init: card of the model to begin with.
        note: called with sentences on what was read.

    Raises:
        InputError: images or labels cannot be read.
        UsageError: there is nothing to read, or names that do not exist.
        ModelError: the model to begin with reads other bands or values than the images have.
    """
    if wanted.dataset is None and not wanted.scenes:
        raise UsageError("nothing to learn from; give a DATASET folder, or --scene with --labels")
    if init is not None and (wanted.dataset is not None or wanted.demo_scenes):
        _check_pictures(init)
    key, images, resolution = _read(wanted, init, note)
    told = split(images, wanted.hold_out, wanted.how, wanted.seed)
    learned = unseen(told.learned, told.held_out) if told.hides else told.learned
    _tell_hidden(told.learned, learned, note)
    held_out = list(told.held_out)
    if wanted.how != "patch":
        learned, held_out = _joined(learned), _joined(held_out)
    _check_labels(learned, key, wanted)
    if wanted.demo_scenes and _numbered(key.legend) != _numbered(DEFAULT_LEGEND):
        raise UsageError(
            f"--demo-scenes: made-up scenes have the classes {', '.join(_numbered(DEFAULT_LEGEND).values())}, those to "
            f"learn are {', '.join(_numbered(key.legend).values())}; leave them away"
        )
    note(_classes_of(learned, key))
    if told.text:
        note(f"held out from training: {told.text}")
    learned += demo_images(wanted.demo_scenes, climates=True)
    aside = tuple(ImageNames(image.name, image.names, image.files) for image in told.held_out)
    return Gathered(key, learned, held_out, told.text, resolution, aside)


def _read(
    wanted: Material, init: ModelCard | None, note: Callable[[str], None]
) -> tuple[LabelKey, list[LabelledImage], float | None]:
    """Return what labels say, all images of folder and scenes, and their ground pixel in metres."""
    masks = None if wanted.legend_file is None else MaskKey.read(wanted.legend_file)
    legend = _legend(wanted, init) if masks is None else masks.legend
    key = LabelKey(legend or DEFAULT_LEGEND)
    images = [] if wanted.dataset is None else read_folder(wanted.dataset, masks or MaskKey.of(key.legend), note)
    resolution = _resolution(wanted, init, note)
    if not wanted.scenes:
        return key, images, resolution
    with found_scenes(wanted.scenes, wanted.scene_options.get("src_crs"), wanted.class_field, note) as found:
        resolution = resolution or found.finest_pixel_m
        placed = found.read(_reading(wanted, init, resolution))
    lesson = taught(placed, legend, wanted.elsewhere or ("unknown" if images else "background"), note=note)
    in_order = [
        replace(tile, group=_group(cluster), source=SCENES)
        for cluster in clusters([one.image for one in lesson.images], share_ground)
        for tile in in_line(cluster)
    ]
    return lesson.key, [*images, *in_order], resolution


def _resolution(wanted: Material, init: ModelCard | None, note: Callable[[str], None]) -> float | None:
    """Return the ground pixel to learn at, in metres; None where nothing says it.

    A folder's images are learned from as they are; scenes are resampled.
    """
    own = None if wanted.dataset is None else ground_pixel_of(wanted.dataset)
    said, begun = wanted.resolution_m, init.resolution_m if init else None
    if own is not None and said is not None and not alike(own, said):
        raise UsageError(
            f"--resolution {said:g}: the images of {wanted.dataset} have pixels of {own:.3g} m and are learned from "
            "as they are; leave it away, or give them as --scene with --labels"
        )
    pixel = own or said
    if wanted.dataset is not None and pixel and begun is not None and not alike(pixel, begun):
        note(
            f"{wanted.dataset}: its images have pixels of {pixel:.3g} m, those of the model to begin with {begun:.3g} m"
        )
    if not wanted.scenes:
        return said or own
    if wanted.dataset is not None and not (said or own or begun):
        raise UsageError(
            f"--resolution: the images of {wanted.dataset} do not say their ground pixel, and scenes have to be "
            "resampled to it; give it in metres"
        )
    return said or own or begun


def _tell_hidden(before: list[LabelledImage], after: list[LabelledImage], note: Callable[[str], None]) -> None:
    """Say what is not learned from because it shows ground that is held out; refuse a run that nothing is left of."""
    counts = np.array([[np.count_nonzero(image.labels) for image in part] for part in (before, after)])
    lost = np.flatnonzero(counts[0] > counts[1])
    if not len(lost):
        return
    names = first_of([before[i].name for i in lost.tolist()], 4)
    share = 1 - counts[1].sum() / counts[0].sum()
    sentence = f"{share:.0%} of the labels to learn from are of ground that is held out, by the places of {names}"
    if not counts[1].any():
        raise InputError(
            f"{sentence}; hold out less, or where such a place is not true, take it away with: gdal_edit.py -unsetgt "
            "-a_srs None FILE"
        )
    note(f"{sentence}; they are left out")


def _classes_of(learned: list[LabelledImage], key: LabelKey) -> str:
    """Return a sentence on the classes, and which share each has of the pixels that are certainly of one."""
    counts = sum((np.bincount(image.labels.ravel(), minlength=256) for image in learned), np.zeros(256, np.int64))
    certain = sum(int(counts[entry.value]) for entry in key.legend)
    shares = [f"{entry.name} {counts[entry.value] / max(certain, 1):.1%}" for entry in key.legend]
    in_all = f" ({len(shares)} in all)" if len(shares) > _NAMED else ""
    partly = sum(int(counts[value]) for value in key.choices)
    share = partly / max(certain + partly, 1)
    rest = f"; of {share:.1%} of the labelled pixels it is only known which classes they are not of" if partly else ""
    return f"classes to learn, and their shares of the labels: {first_of(shares, _NAMED)}{in_all}{rest}"


def _numbered(legend: Legend) -> dict[int, str]:
    return {entry.value: entry.name for entry in legend}


def _check_labels(learned: list[LabelledImage], key: LabelKey, wanted: Material) -> None:
    """Refuse images that teach nothing."""
    said = np.zeros(256, bool)
    for image in learned:
        said[np.unique(image.labels)] = True
    sets = {tuple(row) for row in key.allowed()[said] if not row.all()}
    names = ", ".join(wanted.names)
    if not sets and len(key.legend) > 1:
        raise InputError(
            f"{names}: not one labelled pixel is left, so there is nothing to learn; hold out less, give more "
            "labels, or name what the masks hold with --legend"
        )
    if len(sets) < 2:
        raise InputError(
            f"{names}: all labels say the same, so there is nothing to tell apart; name the rest with --legend, "
            "as in 0,background, or give footprints as --scene with --labels"
        )


def _legend(wanted: Material, init: ModelCard | None) -> Legend | None:
    """Return the classes that are settled before labels are read; None where labels decide."""
    if wanted.elsewhere == "unknown":
        if init is None and wanted.dataset is None:
            raise UsageError("--elsewhere unknown: goes with --init MODEL or a DATASET, which say what else there is")
        return init.legend if init is not None else DEFAULT_LEGEND
    if wanted.dataset is None:
        return None
    if init is not None and {entry.name for entry in init.legend} == {entry.name for entry in DEFAULT_LEGEND}:
        return init.legend
    return DEFAULT_LEGEND


def _check_pictures(init: ModelCard) -> None:
    """Refuse a model to begin with that reads other things than pictures of red, green and blue."""
    if init.bands != ("red", "green", "blue") or not init.takes_uint8:
        raise ModelError(
            f"--init: its bands are {', '.join(init.bands)} from {init.value_range[0]:g} to {init.value_range[1]:g}, "
            "those of the images red, green, blue from 0 to 255; choose another model, or none"
        )


def _reading(wanted: Material, init: ModelCard | None, resolution: float | None) -> ReadRequest:
    """Return how scenes are read: as the model to begin with wants them, else red, green and blue as bytes."""
    model: dict[str, Any] = (
        {} if init is None else {"model_bands": init.bands, "value_range": init.value_range, "fill": init.mean}
    )
    return ReadRequest(**model, **wanted.scene_options, resolution_m=resolution)


def _group(cluster: list[LabelledImage]) -> str:
    """Return what tiles are called together, which is no name of one of several."""
    first, more = min(tile.name for tile in cluster), len(cluster) - 1
    return f"{first} and {more} touching" if more else first


def _joined(images: list[LabelledImage]) -> list[LabelledImage]:
    """Return images with touching tiles of scenes as one."""
    tiles = [image for image in images if image.source == SCENES and image.grid is not None]
    others = [image for image in images if image.source != SCENES or image.grid is None]
    return others + [image for cluster in clusters(tiles) for image in joined(cluster)]
