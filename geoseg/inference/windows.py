"""Where the windows lie: a grid of cores that tile the scene, each read with a halo around it.

Offsets and sizes are multiples of the network's stride and the grid starts at the scene's pixel (0, 0), so every
window meets the network's pooling in the same phase and a part of a scene gives what the whole scene gives there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.errors import ModelError, UsageError

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard
    from geoseg.vocabulary import Blend, Window

CORE = 1024
"""Default core in pixels of a network whose finest level has full resolution; larger ones fall out of the processor's
cache, smaller ones spend more on halos. A network of coarser levels sees farther and holds less: twice as many."""

TAPER_HALO = 64
"""Default halo where overlapping scores are averaged."""


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The windows of a scene or of a part of it."""

    blend: Blend
    core: tuple[int, int]
    """Height and width of every core in pixels; cores at the lower and right edge may reach beyond the scene."""
    halo: int
    """Pixels read around a core on each side; neighbouring windows share twice as many."""
    area: Window
    """Part of the scene's grid that is asked for."""
    rows: tuple[int, ...]
    """First row of each row of cores that meets the area."""
    cols: tuple[int, ...]
    """First column of each column of cores that meets the area."""

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of what the network sees, halo included."""
        return self.core[0] + 2 * self.halo, self.core[1] + 2 * self.halo

    @property
    def reach(self) -> int:
        """Pixels beyond its core that a window still answers for: half the halo where scores are averaged, else none.

        The outer half is dropped, since the zeros that the network pads with have spoilt it most.
        """
        return _reach(self.blend, self.halo)

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.rows) * len(self.cols)

    @property
    def row_spans(self) -> list[tuple[int, int]]:
        """First row and row after the last of each row of windows, halo included, on the scene's grid."""
        return [(row - self.halo, row + self.core[0] + self.halo) for row in self.rows]

    @property
    def col_span(self) -> tuple[int, int]:
        """First column and column after the last of all windows, halo included."""
        return self.cols[0] - self.halo, self.cols[-1] + self.core[1] + self.halo


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """What was asked for on the command line; None leaves the choice to the plan."""

    blend: Blend | None = None
    window: int | None = None
    """Pixels read per window, halo included."""
    overlap: int | None = None
    """Pixels shared by neighbouring windows."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What windows must know of a network."""

    radius: int
    """The receptive radius in pixels, 0 where unknown."""
    stride: int
    """The network's stride in pixels."""
    tile: tuple[int, int] | None = None
    """Height and width of the only windows the network takes; None where they may have any size."""
    core: int = CORE
    """Default core in pixels, where windows may have any size."""
    halo: int | None = None
    """Where scores are averaged or windows cut and nothing is asked for: pixels around a core; None for the default."""


def sight_of(card: ModelCard) -> Sight:
    """Return what windows must know of a model."""
    network = card.network
    core = CORE * min(2, getattr(network, "patch", 1))
    return Sight(card.receptive_radius, network.stride, card.tile, core, getattr(network, "halo", None))


def choose_blend(wanted: WindowRequest, sees: Sight) -> tuple[Blend, int]:
    """Return the blend and its halo in pixels.

    Args:
        wanted: the request; no blend means ``exact`` where the radius is known and fits, else ``taper``.
        sees: what the network sees.

    Raises:
        UsageError: ``exact`` was asked for with an overlap or a window too small for it, or the network does not take
            such windows.
        ModelError: ``exact`` was asked for and the model's radius is not known.
    """
    radius, stride = sees.radius, sees.stride
    if wanted.overlap is not None and (wanted.overlap < 0 or wanted.overlap % (2 * stride)):
        raise UsageError(f"--overlap: {wanted.overlap} is not a multiple of {2 * stride}, twice the network's stride")
    window = _window(wanted, sees)
    exact_halo = -(-radius // stride) * stride
    halo = exact_halo if wanted.overlap is None else wanted.overlap // 2
    fits = halo >= radius > 0 and (window is None or window >= 2 * halo + stride)
    # A tile of which little more than the middle counts would cost more than the better seams are worth.
    cheap = sees.tile is None or 4 * halo <= min(sees.tile)
    blend = wanted.blend or ("exact" if fits and cheap else "taper")
    if blend == "exact" and not fits:
        if radius == 0:
            raise ModelError("--blend exact: the model's receptive radius is not known; use --blend taper or crop")
        least = max(halo, exact_halo)
        if sees.tile is not None:
            raise UsageError(
                f"--blend exact: this model sees {radius} pixels far, too far for its tiles of {sees.tile[0]} x "
                f"{sees.tile[1]}; use --blend taper or crop"
            )
        need = f"--overlap of at least {2 * exact_halo} and a --window of at least {2 * least + stride}"
        raise UsageError(f"--blend exact: this model needs an {need}; or use --blend crop or taper")
    if blend != "exact" and wanted.overlap is None:
        halo = _usual_halo(sees, window)
    return blend, halo


def _window(wanted: WindowRequest, sees: Sight) -> int | None:
    """Return the pixels read per window, None where that is free; refuse another size than the network's own."""
    if sees.tile is None:
        return wanted.window
    if wanted.window is not None and sees.tile != (wanted.window, wanted.window):
        tile = f"{sees.tile[0]} x {sees.tile[1]}"
        raise UsageError(f"--window: this model takes tiles of {tile} pixels and nothing else; leave --window away")
    return min(sees.tile)


def _usual_halo(sees: Sight, window: int | None) -> int:
    """Return the halo where none is asked for."""
    stride = sees.stride
    halo = -(-TAPER_HALO // stride) * stride
    if sees.tile is not None:
        halo = min(halo, max(stride, min(sees.tile) // 8 // stride * stride))
    if sees.halo is not None:
        halo = sees.halo
    if window is not None:  # a small window still leaves a core
        halo = min(halo, max(0, (window - stride) // (2 * stride) * stride))
    return halo


def plan_windows(shape: tuple[int, int], area: Window, wanted: WindowRequest, sees: Sight) -> WindowPlan:
    """Return the windows that cover ``area`` of a scene of ``shape`` (height, width).

    Raises:
        UsageError: the area is empty, or the window is too small for its halo.
        ModelError: see ``choose_blend``.
    """
    blend, halo = choose_blend(wanted, sees)
    if area.height == 0 or area.width == 0:
        raise UsageError("the area asked for does not meet the scene")
    if sees.tile is not None:
        height, width = (side - 2 * halo for side in sees.tile)
        if min(height, width) < 1:
            raise UsageError(f"--overlap: {2 * halo} leaves nothing of tiles of {sees.tile[0]} x {sees.tile[1]} pixels")
    else:
        largest = sees.core if wanted.window is None else (wanted.window - 2 * halo) // sees.stride * sees.stride
        if largest < sees.stride:
            raise UsageError(f"--window: {wanted.window} leaves no core inside an overlap of {2 * halo}")
        height, width = (_balanced(size, largest, sees.stride) for size in shape)
    reach = _reach(blend, halo)
    rows = _starts(area.row, area.bottom, reach, height, shape[0])
    cols = _starts(area.col, area.right, reach, width, shape[1])
    return WindowPlan(blend, (height, width), halo, area, rows, cols)


def _reach(blend: Blend, halo: int) -> int:
    return halo // 2 if blend == "taper" else 0


def _starts(first: int, stop: int, reach: int, core: int, size: int) -> tuple[int, ...]:
    """Return the starts of the cores that, widened by ``reach``, meet the pixels from ``first`` to before ``stop``."""
    return tuple(start for start in range(0, size, core) if start - reach < stop and start + core + reach > first)


def _balanced(size: int, largest: int, stride: int) -> int:
    """Return the core that splits ``size`` pixels evenly into as few parts as ``largest`` allows."""
    parts = -(-size // largest)
    return -(-size // (parts * stride)) * stride
