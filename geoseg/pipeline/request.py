"""What ``segment`` is asked to do, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import geoseg
from geoseg.errors import InputError, UsageError
from geoseg.inference.network import RunsOn
from geoseg.inference.windows import WindowRequest
from geoseg.model.file import DEFAULT
from geoseg.scene.read_request import MOST_FINER, alike

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoseg.model.card import ModelCard
    from geoseg.scene.mosaic import Mosaic
    from geoseg.vocabulary import Legend


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """Where results go; at least one of the first four files."""

    layers: Path | None = None
    raster: Path | None = None
    raster_final: Path | None = None
    confidence: Path | None = None
    project: Path | None = None
    """A QGIS project that shows the others."""
    overwrite: bool = False
    rfc7946: bool = False
    creation: Mapping[str, str] = field(default_factory=dict)
    """GDAL creation options of the rasters."""

    def __post_init__(self) -> None:
        if not self.results:
            only = f"{self.project}: a project shows other results" if self.project else "nothing to write"
            raise UsageError(f"{only}: give at least one of --out, --raster, --raster-final, --confidence")

    @property
    def results(self) -> list[Path]:
        """Every file of results that will be written."""
        return [path for path in (self.layers, self.raster, self.raster_final, self.confidence) if path is not None]

    @property
    def paths(self) -> list[Path]:
        """Every file that will be written."""
        return [*self.results, self.project] if self.project is not None else self.results

    @property
    def has_rasters(self) -> bool:
        """Whether rasters of the network's decision are wanted."""
        return self.raster is not None or self.confidence is not None

    @property
    def traced(self) -> bool:
        """Whether polygons are needed."""
        return self.layers is not None or self.raster_final is not None


@dataclass(frozen=True, slots=True)
class VectorRequest:
    """Which polygons are wanted and how clean."""

    classes: str | None = None
    """Comma list or ``all``; None stands for the default layers that the legend has."""
    min_area_m2: Mapping[str, float] = field(default_factory=dict)
    """By class or layer name; ``*`` stands for all; what is not named keeps the legend's default."""
    simplify_px: float = 0.75
    split_px: int = 0
    """Size of the cells of a grid along which polygons are cut, in pixels; 0 cuts none."""
    attributes: str | None = None
    """Comma list of further fields, see ``geoseg.vector.attributes``; None for none."""
    smooth: bool = False
    """Whether the corners of outlines are cut."""
    regularize: bool = False
    """Whether buildings get right angles."""
    centerlines: bool = False
    """Whether a layer of the roads' centrelines is wanted, too."""

    def said(self, least: Mapping[int, float], legend: Legend) -> dict[str, Any]:
        """Return what layers should say about their making."""
        smallest = {legend.by_value(value).name: area for value, area in least.items()}
        said: dict[str, Any] = {"min_area_m2": smallest, "simplify_px": self.simplify_px}
        further = ("split_px", "smooth", "regularize", "centerlines")
        return said | {name: getattr(self, name) for name in further if getattr(self, name)}


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """How the scene is to be understood, and which part of it is wanted."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``geoseg.scene.reader.ReadRequest`` that the user set."""
    resolution: float | Literal["auto", "native"] = "auto"
    bounds: tuple[float, float, float, float] | None = None
    aoi: Path | None = None


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """One run of ``segment``."""

    scene: Path | str | Mosaic
    """A file, its address, or tiles that are read as one."""
    output: OutputRequest
    model: str = DEFAULT
    reading: SceneRequest = field(default_factory=SceneRequest)
    windows: WindowRequest = field(default_factory=WindowRequest)
    runs_on: RunsOn = field(default_factory=RunsOn)
    vectors: VectorRequest = field(default_factory=VectorRequest)
    eightfold: bool = False
    """Average the answers to windows laid in all eight ways (``--tta``): eight times the work."""

    def said(self) -> list[str]:
        """Return the choices that shape the result, as ``name value``, without those left to the defaults."""
        reading = self.reading
        choices = {name: reading.options.get(name) for name in ("bands", "nodata", "src_crs")}
        choices |= {"resolution": None if reading.resolution == "auto" else reading.resolution}
        choices |= {"bounds": reading.bounds, "aoi": reading.aoi and reading.aoi.name, "tta": self.eightfold or None}
        return [f"{name} {value}" for name, value in choices.items() if value is not None]


_INNER = ("options", "unreadable")  # of a report; not part of its JSON


@dataclass(slots=True)
class SegmentReport:
    """What a run did; ``to_json`` is the object of ``--json``, schema 1."""

    scene: str
    crs: str
    pixels: int
    out: str | None = None
    raster: str | None = None
    model: dict[str, str] = field(default_factory=dict)
    device: str = ""
    precision: str = ""
    blend: str = ""
    window: list[int] = field(default_factory=list)
    overlap: int = 0
    windows: int = 0
    stretch: str = "none"
    seconds: dict[str, float] = field(default_factory=dict)
    megapixels_per_second: float = 0.0
    peak_rss_mb: float | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    """What the user asked for beyond the defaults, for provenance."""
    unreadable: list[str] = field(default_factory=list)
    """Tiles of a mosaic that were damaged, and became nodata there."""

    def provenance(self) -> dict[str, str]:
        """Return what a result should say about its making, as texts."""
        return {
            "GEOSEG_VERSION": geoseg.__version__,
            "GEOSEG_SCENE": Path(self.scene).name,
            "GEOSEG_MODEL": f"{self.model['name']} sha256:{self.model['sha256']}",
            "GEOSEG_RUN": f"{self.device} {self.precision}, {self.blend} window {self.window} overlap {self.overlap}",
            "GEOSEG_STRETCH": self.stretch,
            "GEOSEG_OPTIONS": ", ".join(self.options) or "defaults",
        }

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"schema": 1} | {name: getattr(self, name) for name in self.__slots__ if name not in _INNER}


def resolution_for(
    wanted: float | Literal["auto", "native"], ground_pixel_m: float, card: ModelCard, name: str
) -> float | None:
    """Return the ground pixel to read the scene at, in metres; None for its own.

    Raises:
        InputError: the scene is more than four times coarser than the model.
        UsageError: it is more than four times coarser than the resolution asked for.
    """
    if wanted == "native":
        return None
    if wanted == "auto":
        target = card.resolution_m
        if ground_pixel_m > MOST_FINER * target:
            raise InputError(
                f"{name}: its pixels are {ground_pixel_m:.3g} m, over four times the model's {target:.3g} m; "
                "use a finer image; segment and batch try anyway with --resolution native"
            )
    else:
        target = wanted
        if ground_pixel_m > MOST_FINER * target:
            raise UsageError(
                f"--resolution: {target:g} m is over four times finer than the {ground_pixel_m:.3g} m of {name}; "
                "that would invent detail"
            )
    if wanted == "auto" and alike(ground_pixel_m, target):
        return None
    return target
