"""Compile or load the tracer before it is needed, while something else takes its time."""

from __future__ import annotations

import threading

import numpy as np
from affine import Affine

from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import ClassRows, Grid, Legend, MapClass

_LEGEND = Legend((MapClass(1, "a", "a", "#000000", "#000000"), MapClass(2, "b", "b", "#000000", "#000000")))
_LOCAL = 'ENGCRS["local",EDATUM["local"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'


def warm_up(*, square: bool = False) -> threading.Thread:
    """Trace a few pixels, and square them where that is wanted, in a thread of its own; nobody need wait for it."""
    thread = threading.Thread(target=_trace_something, args=(square,), daemon=True)
    thread.start()
    return thread


def _trace_something(square: bool) -> None:
    classes = np.ones((12, 12), np.uint8)
    classes[2:9, 3:8] = 2
    classes[10, 10] = 2
    rows = [ClassRows(0, classes, classes)]
    grid = Grid(_LOCAL, Affine(1, 0, 0, 0, -1, 0), *classes.shape)
    for _ in polygonize(rows, grid, _LEGEND, Tracing({2: 5.0}, 0.75, to_square=2 if square else None)):
        pass
