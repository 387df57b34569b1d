"""The ground: sand, lawns, water, local streets and arterials, pixel by pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from geoseg.demo.canvas import LAND, ROAD, VEGETATION, WATER, Canvas, tint
from geoseg.demo.city import FAR, City, arterial, arterial_half, between, has_water, shore, to_city
from geoseg.demo.districts import BANK, BARE, PARK, WORKS, District, rounded, street, to_district, unpacked
from geoseg.demo.noise import blend, cloud, compiled, unit, wave
from geoseg.demo.palette import ASPHALT, DEEP, GRASS, MARKS, PAVING, SAND, SCRUB, SHALLOW, SOIL, Look, shaded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Color = tuple[float, float, float]


@compiled
def between_colors(first: Color, second: Color, share: float) -> Color:
    """Return the colour between two others; the share is cut to [0, 1]."""
    return (
        blend(first[0], second[0], share),
        blend(first[1], second[1], share),
        blend(first[2], second[2], share),
    )


@compiled
def bare(look: Look, district: District, x: float, y: float) -> Color:
    """Return the colour of open land: sand and soil in drifts, ripples, tracks and stones."""
    drift = 0.6 * cloud(x / 61.0, y / 61.0, look.salt) + 0.4 * cloud(x / 17.0, y / 17.0, look.salt + 1)
    fine = cloud(x / 4.3, y / 4.3, look.salt + 2)
    grit = unit(math.floor(x), math.floor(y), look.salt + 3)
    light = 0.86 + 0.16 * drift + 0.08 * fine + 0.05 * grit
    share = (drift - 0.75 + 0.5 * district.dust) * 3.0 + 0.3 * (fine - 0.5)
    if district.kind >= PARK or district.kind == WORKS:
        track = abs(cloud(x / 83.0, y / 83.0, look.salt + 4) - 0.5)
        light += 0.07 if track < 0.008 else 0.0
        share += 0.35 if 0.008 <= track < 0.02 else 0.0
    if district.kind == BARE:
        light += 0.05 * wave((x * 0.8 + y * 0.6 + 9.0 * drift) / 5.0, look.salt + 5)
    return between_colors(shaded(look, SAND, light), shaded(look, SOIL, light), share)


@compiled
def lawn(look: Look, x: float, y: float) -> Color:
    """Return the colour of watered or dry grass."""
    dry = 0.7 * cloud(x / 29.0, y / 29.0, look.salt + 6) + 0.3 * cloud(x / 5.0, y / 5.0, look.salt + 7)
    light = 0.9 + 0.16 * cloud(x / 2.5, y / 2.5, look.salt + 8)
    return between_colors(shaded(look, GRASS, light), shaded(look, SCRUB, light), 1.6 * dry - 0.5)


@compiled
def sea(look: Look, depth: float, x: float, y: float) -> Color:
    """Return the colour of water at a distance from its shore, metres."""
    ripple = 0.94 + 0.08 * cloud(x / 3.1, y / 4.7, look.salt + 9) + 0.08 * cloud(x / 57.0, y / 57.0, look.salt + 10)
    near = shaded(look, SHALLOW, ripple)
    return between_colors(near, shaded(look, DEEP, ripple), 0.25 + depth / 38.0)


@compiled
def asphalt(look: Look, x: float, y: float, tone: float) -> Color:
    """Return the colour of a carriageway; tone is 0 to 1 and differs between streets."""
    worn = cloud(x / 23.0, y / 23.0, look.salt + 11)
    patch = 0.06 if cloud(x / 9.0, y / 9.0, look.salt + 12) > 0.8 else 0.0
    grit = unit(math.floor(x), math.floor(y), look.salt + 13)
    light = 0.84 + 0.2 * tone + 0.1 * worn - patch + 0.05 * grit
    dusty = 0.5 * (cloud(x / 37.0, y / 37.0, look.salt + 14) - 0.55)
    return between_colors(shaded(look, ASPHALT, light), shaded(look, SAND, 0.95), dusty)


@compiled
def _arterial_marks(across: float, along: float, half: float) -> tuple[float, bool]:
    """Return how much paint lies at a place of an arterial, 0 to 1, and whether it is the median."""
    median = 2.2 if half > 12.4 else 0.0
    if across < median:
        return 0.0, True
    if abs(across - median - 0.7) < 0.5 or abs(across - half + 0.9) < 0.5:
        return 0.3, False
    lane = (across - median - 0.7) / 3.6
    dashed = abs(lane - round(lane)) < 0.14 and along % 9.0 < 4.0
    return 0.42 if dashed else 0.0, False


class Frame(NamedTuple):
    """The arterials around a district: place, half width and tone of the four, and whether it holds water."""

    left: float
    right: float
    top: float
    bottom: float
    half_left: float
    half_right: float
    half_top: float
    half_bottom: float
    tone_left: float
    tone_right: float
    tone_top: float
    tone_bottom: float
    wet: bool


@compiled
def frame_of(city: City, i: int, j: int) -> Frame:
    """Return the arterials around district ``i, j``."""
    return Frame(
        arterial(city, 0, i), arterial(city, 0, i + 1), arterial(city, 1, j), arterial(city, 1, j + 1),
        arterial_half(city, 0, i), arterial_half(city, 0, i + 1),
        arterial_half(city, 1, j), arterial_half(city, 1, j + 1),
        unit(i, 3, city.salt), unit(i + 1, 3, city.salt), unit(j, 4, city.salt), unit(j + 1, 4, city.salt),
        has_water(city, i),
    )  # fmt: skip


@compiled
def _paint_arterial(canvas: Canvas, look: Look, at: tuple[int, int], place: tuple[float, ...]) -> None:
    """Paint one pixel of an arterial; place is x, y, metres from its middle, along it, half width, tone."""
    x, y, across, along, half, tone = place
    paint, median = _arterial_marks(across, along, half)
    if not median:
        canvas.classes[at] = ROAD
        tint(canvas, at, asphalt(look, x, y, tone), 1.0)
        tint(canvas, at, shaded(look, MARKS, 1.0), paint)
    elif tone < 0.5:
        canvas.classes[at] = VEGETATION
        tint(canvas, at, lawn(look, x, y), 1.0)
    else:
        canvas.classes[at] = LAND
        tint(canvas, at, shaded(look, PAVING, 0.95), 1.0)


@compiled
def _paint_arterials(
    canvas: Canvas, look: Look, frame: Frame, at: tuple[int, int], place: tuple[float, ...]
) -> tuple[bool, float]:
    """Paint a pixel that an arterial covers, and say whether one does and how far the kerb is, metres."""
    x, y, p, q, wet = place
    left = p - frame.left - frame.half_left <= frame.right - p - frame.half_right
    top = q - frame.top - frame.half_top <= frame.bottom - q - frame.half_bottom
    half_p, half_q = (
        frame.half_left if left else frame.half_right,
        frame.half_top if top else frame.half_bottom,
    )
    first = (p - frame.left if left else frame.right - p) - half_p
    second = (q - frame.top if top else frame.bottom - q) - half_q
    kerb = rounded(first, second)
    if kerb > 0.0 or (second > 0.0 and wet <= 0.0):
        return False, kerb
    if second <= 0.0 and first > 6.0:
        _paint_arterial(
            canvas, look, at, (x, y, second + half_q, p, half_q, frame.tone_top if top else frame.tone_bottom)
        )
        if wet < 3.0 and second > -1.4:
            tint(canvas, at, shaded(look, PAVING, 1.1), 0.8)
    elif first <= 0.0 and second > 6.0:
        _paint_arterial(
            canvas, look, at, (x, y, first + half_p, q, half_p, frame.tone_left if left else frame.tone_right)
        )
    else:
        canvas.classes[at] = ROAD
        tint(canvas, at, asphalt(look, x, y, 0.5), 1.0)
    return True, kerb


@compiled
def _paint_open(canvas: Canvas, look: Look, district: District, at: tuple[int, int], place: tuple[float, ...]) -> None:
    """Paint one pixel of land or lawn; place is x, y, distances to an arterial, a local street, water."""
    x, y, main, local, dry = place
    kerb = min(main, local)
    canvas.classes[at] = LAND
    tint(canvas, at, bare(look, district, x, y), 1.0)
    if dry < look.beach:
        tint(canvas, at, shaded(look, SAND, 1.12 if dry > 2.0 else 0.86), 0.9 - dry / 20.0)
        return
    if kerb < look.walk and district.kind < PARK:
        tint(canvas, at, shaded(look, PAVING, 0.93 if kerb < 1.7 else 1.0), 0.7)
        return
    green = 0.55 * cloud(x / 34.0, y / 34.0, look.salt + 15) + 0.45 * cloud(x / 9.0, y / 9.0, look.salt + 16)
    if district.kind == PARK:
        path = abs(cloud(x / 53.0, y / 53.0, look.salt + 17) - 0.5)
        share = (path - 0.018) * 90.0 if path < 0.028 else (green - 0.28 + look.turf) * 14.0
    else:
        share = (green - 0.83 + look.turf + 0.52 * look.green * district.green) * 14.0
        if main < 7.5 and district.kind != BARE and unit(1, 7, district.salt) < 0.7 * look.green:
            share = max(share, 1.0)
    if share > 0.0:
        tint(canvas, at, lawn(look, x, y), min(1.0, 0.5 + share))
    if share > 0.3:
        canvas.classes[at] = VEGETATION


@compiled
def _paint_place(canvas: Canvas, look: Look, district: District, at: tuple[int, int], place: tuple[float, ...]) -> None:
    """Paint one pixel off the arterials; place is x, y, metres to their kerb and to water, and a tone."""
    x, y, kerb, wet, tone = place
    if wet <= 0.0:
        canvas.classes[at] = WATER
        tint(canvas, at, sea(look, -wet, x, y), 1.0)
        return
    u, v = to_district(district, x, y)
    local = street(district, u, v)
    if local <= 0.0 and wet > BANK:
        canvas.classes[at] = ROAD
        tint(canvas, at, asphalt(look, x, y, tone), 1.0)
    else:
        _paint_open(canvas, look, district, at, (x, y, kerb, local, wet))


@compiled
def paint_ground(canvas: Canvas, city: City, look: Look, table: NDArray[np.float64], first: tuple[int, int]) -> None:
    """Paint every pixel of the canvas.

    Args:
        canvas: the pixels.
        city: frame of the arterials.
        look: colours.
        table: shape (columns, rows, fields), the numbers of the districts.
        first: indices ``i, j`` of the table's first district.
    """
    height, width = canvas.classes.shape
    i, j = first
    district, frame = unpacked(table, 0, 0), frame_of(city, i, j)
    tone = unit(district.kind, 6, district.salt)
    for r in range(height):
        for c in range(width):
            x, y = c + canvas.col + 0.5, r + canvas.row + 0.5
            p, q = to_city(city, x, y)
            if not (frame.left <= p < frame.right and frame.top <= q < frame.bottom):
                i, j = between(city, 0, p), between(city, 1, q)
                district, frame = unpacked(table, i - first[0], j - first[1]), frame_of(city, i, j)
                tone = unit(district.kind, 6, district.salt)
            wet = shore(city, i, p, q) if frame.wet else FAR
            done, kerb = _paint_arterials(canvas, look, frame, (r, c), (x, y, p, q, wet))
            if not done:
                _paint_place(canvas, look, district, (r, c), (x, y, kerb, wet, tone))
