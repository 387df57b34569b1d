"""Follow the pixels of a skeleton from node to node.

Pixels that share a side are joined, and pixels that share a corner where no pixel beside both is there. So paths never
cross between pixels, and small triangles at junctions do not come up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


def follow(
    rows: NDArray[np.int64], cols: NDArray[np.int64], *, known: int, seam: int | None
) -> list[NDArray[np.int64]]:
    """Return paths, each the indices of its pixels: from node to node, or around with its first pixel again at the end.

    Nodes are pixels with other than two joined to them, and those of rows behind which the skeleton continues: what
    is joined to these is not all here.

    Args:
        rows: shape (n,), rows of the skeleton's pixels, ascending.
        cols: shape (n,), their columns, ascending within a row.
        known: how many pixels at the beginning are the last row of what has been followed before.
        seam: the last row, where others follow it.
    """
    joined, degree = _joined(rows, cols, known)
    open_ends = np.zeros(len(rows), np.bool_)
    open_ends[:known] = True
    open_ends[rows == seam] = True
    pixels, first = _followed(joined, degree, open_ends | (degree != 2))
    return np.split(pixels, first[1:-1]) if len(first) > 1 else []


@compiled
def _joined(rows: Any, cols: Any, known: Any) -> Any:
    """Return what is joined to each pixel, shape (n, 8), and how many, shape (n,)."""
    n = rows.size
    joined = np.full((n, 8), -1, np.int64)
    degree = np.zeros(n, np.int64)
    below = 0
    for i in range(n):
        beside = i + 1 < n and rows[i + 1] == rows[i] and cols[i + 1] == cols[i] + 1
        before = i > 0 and rows[i - 1] == rows[i] and cols[i - 1] == cols[i] - 1
        if beside and i + 1 >= known:
            _join(joined, degree, i, i + 1)
        while below < n and (rows[below] <= rows[i] or (rows[below] == rows[i] + 1 and cols[below] < cols[i] - 1)):
            below += 1
        left = middle = right = -1
        at = below
        while at < n and rows[at] == rows[i] + 1 and cols[at] <= cols[i] + 1:
            if cols[at] == cols[i]:
                middle = at
            elif cols[at] < cols[i]:
                left = at
            else:
                right = at
            at += 1
        if middle >= 0:
            _join(joined, degree, i, middle)
            continue
        if left >= 0 and not before:
            _join(joined, degree, i, left)
        if right >= 0 and not beside:
            _join(joined, degree, i, right)
    return joined, degree


@compiled
def _join(joined: Any, degree: Any, a: Any, b: Any) -> None:
    """Note that two pixels are joined."""
    joined[a, degree[a]] = b
    degree[a] += 1
    joined[b, degree[b]] = a
    degree[b] += 1


@compiled
def _followed(joined: Any, degree: Any, node: Any) -> Any:
    """Return the pixels of all paths, one after the other, and where each begins; at the end how many there are."""
    pixels = [np.int64(0) for _ in range(0)]
    first = [np.int64(0)]
    seen = node.copy()
    for start in range(node.size):
        if not node[start]:
            continue
        for k in range(degree[start]):
            before, here = start, joined[start, k]
            mark = len(pixels)
            pixels.append(np.int64(start))
            while not node[here]:
                pixels.append(here)
                seen[here] = True
                ahead = joined[here, 0] if joined[here, 0] != before else joined[here, 1]
                before, here = here, ahead
            pixels.append(here)
            # Every path is found from both of its ends.
            if here < start or (here == start and before < joined[start, k]):
                del pixels[mark:]
                continue
            first.append(np.int64(len(pixels)))
    for start in range(node.size):
        if seen[start]:
            continue
        before, here = start, joined[start, 0]
        pixels.append(np.int64(start))
        while here != start:
            pixels.append(here)
            seen[here] = True
            ahead = joined[here, 0] if joined[here, 0] != before else joined[here, 1]
            before, here = here, ahead
        pixels.append(np.int64(start))
        first.append(np.int64(len(pixels)))
    return np.array(pixels, np.int64), np.array(first, np.int64)
