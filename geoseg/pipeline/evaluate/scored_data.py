"""What a model is scored on: a folder of labelled images, or scenes with labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geoseg.errors import UsageError, first_of
from geoseg.labels.classes import taught
from geoseg.labels.folders import read_folder
from geoseg.labels.mask_key import DUBAI, MaskKey
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, read_scenes
from geoseg.scene.read_request import ReadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from geoseg.labels.labelled import LabelledImage
    from geoseg.model.card import ModelCard
    from geoseg.vocabulary import Legend


@dataclass(frozen=True, slots=True)
class ScoredData:
    """Where labels come from: one of the two."""

    dataset: Path | None = None
    """Folder of labelled images."""
    legend_file: Path | None = None
    """Names and colours of the folder's masks; None for those of the Dubai data set."""
    scenes: tuple[ScenePair, ...] = ()
    class_field: ClassField = field(default_factory=ClassField)
    """How polygons of the scenes tell their class."""
    scene_options: Mapping[str, Any] = field(default_factory=dict)
    """What the user says about the scenes: ``bands``, ``nodata`` and more fields of a ReadRequest."""

    @property
    def text(self) -> str:
        """What the labels are called, for messages and reports."""
        return str(self.dataset or ", ".join(dict.fromkeys(str(pair.labels) for pair in self.scenes)))


class ScoredImage(NamedTuple):
    """One image or scene and its labels."""

    image: LabelledImage
    scene: Path | None
    """The file of a scene: its answer is that of this file, at its own pixels."""


def read_scored(data: ScoredData, card: ModelCard, note: Callable[[str], None]) -> tuple[Legend, list[ScoredImage]]:
    """Return the classes of the labels, and everything that has labels.

    Ground of scenes without a label, but within the labels' extent, is of a class ``background``.

    Args:
        data: where it is.
        card: of the model, which says what bands and values scenes are read as.
        note: called with sentences on what was repaired or left out.

    Raises:
        InputError: it cannot be read, or labels and scenes share no ground.
    """
    if data.dataset is not None:
        masks = DUBAI if data.legend_file is None else MaskKey.read(data.legend_file)
        return masks.legend, [ScoredImage(image, None) for image in read_folder(data.dataset, masks, note)]
    reading = ReadRequest(model_bands=card.bands, value_range=card.value_range, fill=card.mean, **data.scene_options)
    placed = read_scenes(data.scenes, reading, data.class_field, note)
    lesson = taught(placed, None, "background", fewest=1, note=note)
    return lesson.key.legend, [ScoredImage(_picture(one.image, card), one.path) for one in lesson.images]


def _picture(image: LabelledImage, card: ModelCard) -> LabelledImage:
    """Return an image with bytes for pixels: the model reads its file, these are for pictures alone."""
    if image.pixels.dtype == np.uint8:
        return image
    return replace(image, pixels=np.interp(image.pixels, card.value_range, (0, 255)).astype(np.uint8))


def chosen(all_of_it: Sequence[ScoredImage], only: Iterable[str], text: str) -> list[ScoredImage]:
    """Return what is named, itself or by its group; all for no names.

    Args:
        all_of_it: to choose from.
        only: the names.
        text: what it is called.

    Raises:
        UsageError: a name is nobody's.
    """
    names = set(only)
    images = [one.image for one in all_of_it]
    unknown = sorted(names.difference(*(image.names for image in images)))
    if unknown:
        some = first_of(sorted({image.group for image in images}), 12)
        raise UsageError(
            f"--only: {text} has no image or tile {', '.join(map(repr, unknown))}; it has {some}, and in them images "
            f"such as {images[0].name!r}"
        )
    return [one for one in all_of_it if not names or names & one.image.names]
