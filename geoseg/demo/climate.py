"""What makes one part of the world look unlike another, as plain frozen numbers.

Pairs are ranges from which every scene, district, lot or tree draws; tuples of seven are in the order of the
kinds of district (villas, old town, flats, towers, works, park, bare).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

ClimateName = Literal["dry", "temperate", "leafless", "mediterranean", "humid"]
Range = tuple[float, float]
Color = tuple[int, int, int]


class Plan(NamedTuple):
    """Arterial roads and water."""

    spacing: Range
    """Mean distance of arterials, metres."""
    bend: Range
    """How far arterials swing, metres."""
    swing: Range
    """How far the streets of a bent district swing, metres."""
    half: Range
    """Half width of the narrowest arterial, metres; others have up to 2 more."""
    broad: float
    """Share of the arterials that are 25 to 29 metres wide and have a median."""
    coast: float
    """Share of the scenes with a coast in place of rivers."""
    water_every: int
    """Every how many columns of districts a river flows."""
    water_half: Range
    """Mean half width of a river, metres."""


class Kind(NamedTuple):
    """What the districts of one kind have in common; pairs are ranges in metres."""

    rows: Range
    """Distance of neighbouring local streets."""
    crossings: Range
    """Distance of the streets that cross a row."""
    street: Range
    """Half width of a local street."""
    lot: Range
    """Width of a lot along its street."""
    deep: int
    """Lots between two neighbouring streets."""
    green: float
    """How green, relative to the city."""


class Manner(NamedTuple):
    """How the lots of one kind of district are built upon; pairs are ranges."""

    built: float
    """Share of the lots with a building."""
    side: Range
    front: Range
    back: Range
    """Metres between building and lot."""
    shapes: tuple[float, ...]
    """Weights of box, L, U, courtyard, cross, chamfered."""
    height: Range
    roofs: tuple[float, ...]
    """Weights of flat, gabled, hipped, ribbed, domed."""
    grounds: tuple[float, float, float]
    """Shares of lots with a plain yard, a walled yard, a car park."""
    lawn: float
    """Share of the lots with a lawn in a city half green."""
    pool: float
    """Share of the lots with a pool."""
    floor: tuple[float, ...] = (0.35, 0.55, 0.1)
    """Weights of sand, paving, soil and, where given, asphalt in yards."""
    wide: Range = (15.0, 21.0)
    """Largest half width of a building along its street, metres."""
    deep: Range = (30.0, 42.0)
    """Largest depth of a building, metres."""
    setback: float = 0.5
    """Share of the spare depth of a lot that lies before its building."""
    drive: float = 0.0
    """Share of the houses with a driveway."""
    shed: float = 0.0
    """Share of the houses with a garage or shed behind them, where there is room."""
    crop: float = 0.0
    """Share of the free lots that are fields."""
    lake: float = 0.0
    """Share of the free lots that hold a pond."""


class Growth(NamedTuple):
    """Trees."""

    groves: tuple[float, ...]
    """Trees per square metre of groves, by kind of district."""
    clearing: float
    """How much of a district is free of groves: 0.9 some, 0.3 little."""
    grove_radius: tuple[Range, ...]
    """Metres, by kind of district."""
    each: tuple[int, ...]
    """Most trees on a lot, by kind of district."""
    radius: Range
    """Radius of crowns on lots, metres."""
    inner: float
    """How near to a lot's middle trees stand: 0.68 along its walls, 0 anywhere."""
    tall: float
    """Height relative to that of small trees."""
    shore: float
    """Metres that trees keep off water."""


class Roofs(NamedTuple):
    """The colours of roofs."""

    colors: tuple[Color, ...]
    weights: tuple[float, ...]
    flat: tuple[int, ...]
    ribbed: tuple[int, ...]
    pitched: tuple[int, ...]
    """Rows of the colours that such roofs prefer."""
    liking: tuple[float, float, float]
    """How much more often a preferred colour is taken on flat, ribbed and pitched roofs."""
    vary: float
    """Standard deviation of the lightness from house to house."""
    darkest: float
    """Grey level below which no roof's colour goes."""


class Light(NamedTuple):
    """Sun, air and sensor; see ``Look`` for what the names mean."""

    elevation: Range
    """Of the sun, degrees."""
    shade: Range
    gain: Range
    haze: Range
    blue: Range
    contrast: Range
    grain: Range
    soft: Range
    relief: Range
    cast: float
    """How much warmer or cooler a scene may be, as a share."""


class Paint(NamedTuple):
    """The ground's colours and what covers it."""

    ground: tuple[tuple[Color, Color], ...]
    """Two ends for each row of ``Look.ground``; a scene's colour lies between them."""
    light: Light
    green: Range
    turf: Range
    walk: Range
    beach: Range
    conifer: Range
    twigs: Range
    turning: Range


class Climate(NamedTuple):
    """One part of the world."""

    name: str
    plan: Plan
    shares: tuple[float, ...]
    """How frequent each kind of district is."""
    kinds: tuple[Kind, ...]
    manners: tuple[Manner, ...]
    growth: Growth
    roofs: Roofs
    paint: Paint | None
    """None: colours and light of the Gulf, which ``palette`` draws in its own way."""
