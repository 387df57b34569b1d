"""Class rows on their way to files and polygons: cut to the asked-for area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vocabulary import NO_CONFIDENCE, NODATA, ClassRows, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.pipeline.plan import Place
    from geoseg.scene.area import Area


def placed(rows: Iterable[ClassRows], place: Place, area: Area) -> Iterator[ClassRows]:
    """Yield rows counted from the first row of ``place``, nodata outside the area's polygons and the place's margin."""
    area = area.widened(place.margin)

    def cut(strip: ClassRows) -> ClassRows:
        window = Window(strip.row, place.window.col, *strip.classes.shape)
        inside = area.inside(place.whole.crop(window))
        classes, confidence = strip.classes, strip.confidence
        if inside is not None:
            classes = np.where(inside, classes, np.uint8(NODATA))
            if confidence is not None:
                confidence = np.where(inside, confidence, np.uint8(NO_CONFIDENCE))
        return ClassRows(strip.row - place.window.row, classes, confidence)

    return map(cut, rows)  # unlike a loop with a yield, it does not hold a strip while the next one is made
