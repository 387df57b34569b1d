"""Where each road of a junction ends: on the street that goes straight through, or on one that it meets before.

The widest two roads that continue each other make the street. The others are led on straight, the steepest first,
until they meet what is there already. Ends nearer to each other than half the street's width are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.roads.legs import Core, Leg, Ray

_OPPOSITE = np.cos(np.radians(20.0))  # roads that continue each other differ less in direction
_ASIDE = 0.5  # half widths of the narrower one; and lie less beside each other
_REACH = 5.0  # radii; roads are led on no farther
_ONE = 1.0  # half widths of the street; ends nearer to each other are one


@dataclass(frozen=True, slots=True)
class Link:
    """A piece of street between two ends within a junction."""

    ends: NDArray[np.float64]
    """Shape (2, 2), metres."""
    width_m: float


@dataclass(slots=True)
class _Track:
    """A straight piece from where roads go their own ways, and where others end on it."""

    owners: tuple[int, ...]
    """Legs at its beginning and, of a street through the junction, at its end."""
    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    width_m: float
    marks: list[tuple[float, list[int]]]
    """Shares of its length, and the legs that end there."""

    def at(self, share: float) -> NDArray[np.float64]:
        """Return a point of it."""
        return self.start + share * (self.stop - self.start)

    @property
    def length_m(self) -> float:
        """Its length."""
        return float(np.hypot(*(self.stop - self.start)))


def meeting(
    legs: Sequence[Leg], rays: Sequence[Ray | None], xy: NDArray[np.float64], core: Core
) -> tuple[list[NDArray[np.float64]], list[Link]]:
    """Return how each leg ends, and the links between ends.

    An end has shape (k, 2): the point that the leg shares with others, and what it passes before it comes there.

    Args:
        legs: the roads.
        rays: each led on, None where that cannot be.
        xy: shape (2,), where they would meet if they all met in one point.
        core: what the junction covers.
    """
    street = _through(rays) or _into(rays, _REACH * core.radius_m)
    if street is None:
        return [xy[None]] * len(legs), []
    tracks = [street]
    rest = [number for number in range(len(legs)) if number not in street.owners]

    def steepness(number: int) -> tuple[float, int]:
        ray = rays[number]
        return (1.0 if ray is None else -abs(_cross(ray.ahead, street.stop - street.start)), number)

    for number in sorted(rest, key=steepness):
        ray = rays[number]
        hit = None if ray is None else _first_hit(ray, tracks, _REACH * core.radius_m)
        if ray is None or hit is None or not any(leg.covers(hit[0].at(hit[1])) for leg in legs):
            share = float((xy - street.start) @ (street.stop - street.start)) / street.length_m**2
            street.marks.append((min(max(share, 0.0), 1.0), [number]))
            continue
        track, share = hit
        track.marks.append((share, [number]))
        tracks.append(_Track((number,), ray.start, track.at(share), 2 * ray.half_m, []))
    last = max(street.marks)[1][0]
    if len(street.owners) == 1 and any(track.marks for track in tracks if track.owners == (last,)):
        return [xy[None]] * len(legs), []
    return _ends(tracks, len(legs), core)


def _through(rays: Sequence[Ray | None]) -> _Track | None:
    """Return the street of the two widest roads that continue each other."""
    found = []
    for one, a in enumerate(rays):
        for other, b in enumerate(rays[:one]):
            if a is None or b is None or a.ahead @ -b.ahead < _OPPOSITE or a.ahead @ (b.start - a.start) <= 0:
                continue
            if max(_aside(a, b.start), _aside(b, a.start)) < _ASIDE * min(a.half_m, b.half_m):
                found.append((a.half_m + b.half_m, (other, one), b.start, a.start))
    if not found:
        return None
    width, owners, start, stop = max(found, key=lambda some: some[:2])
    return _Track(owners, start, stop, width, [])


def _into(rays: Sequence[Ray | None], reach_m: float) -> _Track | None:
    """Return the street of the widest road, as far as others lead to it when it is led on."""
    known = [(ray.half_m, -number, ray) for number, ray in enumerate(rays) if ray is not None]
    if not known:
        return None
    half, number, ray = max(known, key=lambda some: some[:2])
    far = _Track((-number,), ray.start, ray.start + reach_m * ray.ahead, 2 * half, [])
    hits = [_first_hit(other, [far], reach_m) for _, _, other in known if other is not ray]
    shares = [hit[1] for hit in hits if hit is not None]
    if not shares or max(shares) <= 0:
        return None
    return _Track(far.owners, far.start, far.at(max(shares)), far.width_m, [])


def _aside(ray: Ray, xy: NDArray[np.float64]) -> float:
    """Return how far a point lies beside a ray."""
    return abs(_cross(xy - ray.start, ray.ahead))


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the cross product of two vectors."""
    return float(one[0] * other[1] - one[1] * other[0])


def _first_hit(ray: Ray, tracks: Sequence[_Track], reach_m: float) -> tuple[_Track, float] | None:
    """Return the track that a ray meets first, and at which share of its length."""
    found = []
    for number, track in enumerate(tracks):
        way = track.stop - track.start
        turn = _cross(ray.ahead, way)
        if abs(turn) < 1e-9:
            continue
        length, share = (_cross(track.start - ray.start, some) / turn for some in (way, ray.ahead))
        if 0 <= share <= 1 and 0 <= length <= reach_m:
            found.append((length, number, share))
    if not found:
        return None
    _, number, share = min(found)
    return tracks[number], share


def _ends(tracks: list[_Track], count: int, core: Core) -> tuple[list[NDArray[np.float64]], list[Link]]:
    """Return how legs end, with ends that are near each other made one, and the links along tracks."""
    apart = _ONE * tracks[0].width_m / 2
    ends: list[NDArray[np.float64]] = [core.middle[None]] * count
    links: list[Link] = []
    for track in tracks:
        through = track is tracks[0]
        marks = sorted(track.marks)
        if not through:  # it ends on another track
            ending = ends[track.owners[0]]
            track.stop = ending[-1]
            near = [numbers for share, numbers in marks if (1 - share) * track.length_m < apart]
            for numbers in near:
                for number in numbers:
                    ends[number] = ending
            marks = [mark for mark in marks if mark[1] not in near]
        spots = [(track.at(share), numbers) for share, numbers in _merged(marks, apart / max(track.length_m, 1e-9))]
        for xy, numbers in spots:
            for number in numbers:
                ends[number] = xy[None]
        points = [xy for xy, _ in spots] + ([] if through else [track.stop])
        links += [Link(np.array(pair), track.width_m) for pair in pairwise(points)]
        if points:
            ends[track.owners[0]] = ends[track.owners[0]] if len(points) == 1 and not through else points[0][None]
            if len(track.owners) == 2:
                ends[track.owners[1]] = points[-1][None]
            elif through and len(spots) > 1 and len(spots[-1][1]) == 1:  # it goes on as that leg
                ends[spots[-1][1][0]] = np.array(points[-2:])
                del links[-1]
    return ends, links


def _merged(marks: list[tuple[float, list[int]]], apart: float) -> list[tuple[float, list[int]]]:
    """Make one mark of those that lie near each other, in their middle."""
    groups: list[list[tuple[float, list[int]]]] = []
    for mark in marks:
        if groups and mark[0] - groups[-1][0][0] < apart:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [
        (sum(share for share, _ in group) / len(group), [number for _, numbers in group for number in numbers])
        for group in groups
    ]
