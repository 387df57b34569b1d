"""Give regions too small to be worth keeping to the class they share most of their border with.

Regions are 4-connected and counted whole, wherever strips begin and end. They are taken from the smallest upwards;
one that moves becomes part of every neighbour of its new class, so what it leaves is larger and is looked at again.
A move changes nothing for regions that do not touch it. Small regions that touch each other can therefore be settled
as soon as none of them can still grow, without knowing the rest of the scene, and the result is that of the whole.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vector.merging import numbered, root, unite
from geoseg.vector.runs import Runs, joined
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_LEAST_PIXELS = 4  # less is noise at any resolution


def least_pixels(min_area_m2: Mapping[int, float], pixel_area_m2: float) -> dict[int, int]:
    """Return the smallest number of pixels worth keeping, by class value; 0 keeps everything.

    Args:
        min_area_m2: smallest area by class value, in square metres; 0 keeps everything.
        pixel_area_m2: area of one pixel on the ground.
    """
    return {
        value: max(_LEAST_PIXELS, math.ceil(area / pixel_area_m2)) if area > 0 else 0
        for value, area in min_area_m2.items()
    }


def sieve(strips: Iterable[Runs], least: Mapping[int, int]) -> Iterator[Runs]:
    """Yield the rows of a raster without small regions, as soon as they are settled.

    A small region takes the class with which it shares the longest border; among equally long ones, the class of
    the highest value, which in a legend is the most general. Nodata neither grows nor shrinks, and a small region
    without any other neighbour stays, because there is nothing it could belong to.

    Args:
        strips: the raster's rows from the first to the last, in strips of any height.
        least: smallest number of pixels worth keeping, by class value; classes not named are kept.
    """
    needed = np.zeros(256, np.int64)
    needed[list(least)] = list(least.values())
    needed[NODATA] = 0
    if needed.max() <= 1:
        yield from strips
        return
    held: list[Runs] = []  # strips that nothing has been decided for
    rows: Runs | None = None
    now = np.empty(0, np.uint8)  # the class of each run, as far as it is decided
    settled = np.empty(0, np.bool_)  # whether a run belongs to something that stays
    done = 0  # rows at the top that have been yielded; the last of them is kept, because later ones border on it
    strips = iter(strips)
    strip = next(strips, None)
    while strip is not None:
        held.append(strip)
        strip = next(strips, None)
        # Deciding goes over all that waits: it is worth it once that much has come, or every strip would cost more.
        fresh = sum(len(part.starts) for part in held)
        if strip is not None and rows is not None and 2 * fresh < len(rows.starts):
            continue
        rows = joined(held if rows is None else [rows, *held])
        now = np.concatenate([now, *(part.values for part in held)])
        settled = np.concatenate([settled, np.zeros(fresh, np.bool_)])
        held = []
        ready = _settle(rows.first, rows.starts, rows.width, needed, strip is None, now, settled)
        if ready > done:
            yield rows.rows(done, ready).with_values(now[rows.first[done] : rows.first[ready]])
        kept = max(0, ready - 1)
        now, settled = now[rows.first[kept] :], settled[rows.first[kept] :]
        rows, done = rows.rows(kept, rows.height), ready - kept


@compiled
def _settle(first: Any, starts: Any, width: Any, needed: Any, ends: Any, now: Any, settled: Any) -> Any:
    """Decide what can be decided, in ``now`` and ``settled``; return the number of rows at the top that are final.

    Args:
        first: of `Runs`.
        starts: of `Runs`.
        width: of `Runs`.
        needed: (256,) least pixels of each class.
        ends: whether no further rows will come.
        now: (runs,) classes.
        settled: (runs,) whether a run belongs to something that stays.
    """
    height = first.size - 1
    region, count = _regions(first, starts, width, now)
    size = np.zeros(count, np.int64)
    value = np.zeros(count, np.uint8)
    stays = np.zeros(count, np.bool_)
    for row in range(height):
        for run in range(first[row], first[row + 1]):
            r = region[run]
            size[r] += (starts[run + 1] if run + 1 < first[row + 1] else width) - starts[run]
            value[r] = now[run]
            stays[r] |= settled[run]
    grows = np.zeros(count, np.bool_)
    if not ends:
        for run in range(first[height - 1], first[height]):
            grows[region[run]] = True
    small = np.zeros(count, np.bool_)
    for r in range(count):
        small[r] = not stays[r] and size[r] < needed[value[r]]
    source, neighbour, length = _contacts(first, starts, width, region, value, small)
    waits = _waiting(source, neighbour, small, grows)
    _merge(source, neighbour, length, needed, size, value, small, waits)
    final = height
    for row in range(height):
        for run in range(first[row], first[row + 1]):
            r = region[run]
            now[run] = value[r]
            settled[run] = not waits[r]
            if waits[r] and row < final:
                final = row
    return final


@compiled
def _regions(first: Any, starts: Any, width: Any, values: Any) -> Any:
    """Return the region of each run, numbered by their first runs, and how many there are."""
    parent = np.arange(starts.size)
    for row in range(first.size - 1):
        for run in range(first[row] + 1, first[row + 1]):
            if values[run] == values[run - 1]:
                unite(parent, run - 1, run)
        if row == 0:
            continue
        above = first[row - 1]
        below = first[row]
        while above < first[row] and below < first[row + 1]:
            if values[above] == values[below]:
                unite(parent, above, below)
            above_stop = starts[above + 1] if above + 1 < first[row] else width
            below_stop = starts[below + 1] if below + 1 < first[row + 1] else width
            above += above_stop <= below_stop
            below += below_stop <= above_stop
    return numbered(parent)


@compiled
def _contacts(first: Any, starts: Any, width: Any, region: Any, value: Any, small: Any) -> Any:
    """Return the borders of small regions: region, neighbour and length in pixels, sorted by region."""
    found = [(np.int64(0), np.int64(0), np.int64(0)) for _ in range(0)]
    for row in range(first.size - 1):
        for run in range(first[row] + 1, first[row + 1]):
            _note(found, region[run - 1], region[run], 1, value, small)
        if row == 0:
            continue
        above = first[row - 1]
        below = first[row]
        begin = 0
        while above < first[row] and below < first[row + 1]:
            above_stop = starts[above + 1] if above + 1 < first[row] else width
            below_stop = starts[below + 1] if below + 1 < first[row + 1] else width
            stop = min(above_stop, below_stop)
            _note(found, region[above], region[below], stop - begin, value, small)
            begin = stop
            above += above_stop <= below_stop
            below += below_stop <= above_stop
    columns = np.empty((3, len(found)), np.int64)
    for i in range(len(found)):
        columns[0, i], columns[1, i], columns[2, i] = found[i]
    columns = columns[:, np.argsort(columns[0], kind="mergesort")]
    return columns[0], columns[1], columns[2]


@compiled
def _note(found: Any, a: Any, b: Any, length: Any, value: Any, small: Any) -> None:
    """Append what two runs that touch say about borders of small regions."""
    if a == b:
        return
    if small[a] and value[b] != NODATA:
        found.append((np.int64(a), np.int64(b), np.int64(length)))
    if small[b] and value[a] != NODATA:
        found.append((np.int64(b), np.int64(a), np.int64(length)))


@compiled
def _waiting(source: Any, neighbour: Any, small: Any, grows: Any) -> Any:
    """Tell which small regions cannot be decided yet: those connected, through small ones, to one that may grow."""
    parent = np.arange(small.size)
    for i in range(source.size):
        if small[neighbour[i]]:
            unite(parent, source[i], neighbour[i])
    unsure = np.zeros(small.size, np.bool_)
    for r in range(small.size):
        if small[r] and grows[r]:
            unsure[root(parent, r)] = True
    waits = np.zeros(small.size, np.bool_)
    for r in range(small.size):
        waits[r] = small[r] and unsure[root(parent, r)]
    return waits


@compiled
def _merge(
    source: Any, neighbour: Any, length: Any, needed: Any, size: Any, value: Any, small: Any, waits: Any
) -> None:
    """Move small regions that need not wait, the smallest first; ``value`` becomes the class each ends up with."""
    count = size.size
    begin = np.searchsorted(source, np.arange(count + 1))
    parent = np.arange(count)
    after = np.full(count, -1, np.int64)  # the next member of a merged region
    last = np.arange(count)
    queue = [(size[r], r) for r in range(count) if small[r] and not waits[r]]
    heapq.heapify(queue)
    border = np.zeros(256, np.int64)
    while len(queue) > 0:
        pixels, r = heapq.heappop(queue)
        if parent[r] != r or size[r] != pixels or not small[r]:
            continue
        border[:] = 0
        member = r
        while member >= 0:
            for i in range(begin[member], begin[member + 1]):
                other = root(parent, neighbour[i])
                if other != r:
                    border[value[other]] += length[i]
            member = after[member]
        wanted = 0
        for v in range(256):
            if border[v] > 0 and border[v] >= border[wanted]:
                wanted = v
        small[r] = False
        if wanted == 0:
            continue
        value[r] = wanted
        total = size[r]
        stays = False
        merged = r
        member = r
        end = last[r]
        while True:
            for i in range(begin[member], begin[member + 1]):
                other = root(parent, neighbour[i])
                if other == merged or value[other] != wanted:
                    continue
                total += size[other]
                stays |= not small[other]
                upper = unite(parent, merged, other)
                lower = merged if upper == other else other
                after[last[upper]] = lower
                last[upper] = last[lower]
                merged = upper
            if member == end:
                break
            member = after[member]
        size[merged] = total
        value[merged] = wanted
        small[merged] = not stays and total < needed[wanted]
        if small[merged]:
            heapq.heappush(queue, (total, merged))
    for r in range(count):
        value[r] = value[root(parent, r)]
