"""Lee's thinning of a plane, as scikit-image does it, but looking only where something has changed.

A pixel on one of four sides of the surface goes when that leaves as many pieces and holes, and it ends no line. Whether
it may go depends on its eight neighbours and the side alone; so it is looked at again only when one of these went.

https://doi.org/10.1006/cgip.1994.1042
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the skeleton of a mask, shape (height, width)."""
    padded = np.pad(mask, 1).astype(np.uint8)
    _thin(padded.reshape(-1), padded.shape[1], _MAY_GO, _IS_SIMPLE)
    return padded[1:-1, 1:-1].astype(np.bool_)


def _tables() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each set of neighbours whether a pixel on a side of it may go, and whether that parts nothing."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    side, corner = bits[:, 1::2], np.roll(bits[:, 0::2], -1, axis=1)
    # Each piece begins, clockwise, after a side that is free. Where none is free this is 0, and nothing goes.
    pieces = ((side == 0) & ((corner | np.roll(side, -1, axis=1)) == 1)).sum(axis=1)
    return (pieces == 1) & (bits.sum(axis=1) > 1), pieces <= 1


_MAY_GO, _IS_SIMPLE = _tables()


@compiled
def _code(image: Any, at: Any, width: Any) -> Any:
    """Return the neighbours of a pixel as eight bits."""
    return (
        image[at - width - 1]
        | image[at - width] << 1
        | image[at - width + 1] << 2
        | image[at + 1] << 3
        | image[at + width + 1] << 4
        | image[at + width] << 5
        | image[at + width - 1] << 6
        | image[at - 1] << 7
    )


@compiled
def _thin(image: Any, width: Any, may_go: Any, is_simple: Any) -> None:
    """Thin an image in place.

    Args:
        image: shape (height * width,), uint8, 0 along its edges.
        width: of the image.
        may_go: shape (256,), see `_tables`.
        is_simple: shape (256,).
    """
    sides = np.array([-width, width, 1, -1])
    unseen = np.zeros(image.size, np.uint8)  # how many sides are to be looked from
    waiting = np.zeros(image.size, np.bool_)
    queue = [np.int64(0) for _ in range(0)]
    for at in range(image.size):
        if image[at] and not (image[at - width] and image[at + width] and image[at + 1] and image[at - 1]):
            unseen[at] = 4
            waiting[at] = True
            queue.append(np.int64(at))
    turn = 0
    while len(queue) > 0:
        going = _looked_at(image, width, sides[turn % 4], may_go, (queue, unseen, waiting))
        going.sort()
        for at in going:
            if is_simple[_code(image, at, width)]:
                image[at] = 0
                _wake(image, width, at, (queue, unseen, waiting))
        turn += 1


@compiled
def _looked_at(image: Any, width: Any, side: Any, may_go: Any, waiting: Any) -> Any:
    """Return the waiting pixels that may go as seen from a side; those done with wait no longer."""
    queue, unseen, is_waiting = waiting
    going = [np.int64(0) for _ in range(0)]
    kept = 0
    for n in range(len(queue)):
        at = queue[n]
        if not image[at] or unseen[at] == 0:
            is_waiting[at] = False
            continue
        queue[kept] = at
        kept += 1
        unseen[at] -= 1
        if not image[at + side] and may_go[_code(image, at, width)]:
            going.append(at)
    del queue[kept:]
    return going


@compiled
def _wake(image: Any, width: Any, at: Any, waiting: Any) -> None:
    """Let the neighbours of a pixel that went be looked at from all sides."""
    queue, unseen, is_waiting = waiting
    for row in (-width, 0, width):
        for beside in range(at + row - 1, at + row + 2):
            if image[beside]:
                unseen[beside] = 4
                if not is_waiting[beside]:
                    is_waiting[beside] = True
                    queue.append(beside)
