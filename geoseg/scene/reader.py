"""A scene, opened and understood, ready to be read in strips for the network."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geoseg.errors import InputError
from geoseg.resample import weights
from geoseg.scene.bands import choose_bands
from geoseg.scene.decode import Faults, Look, NativeRows
from geoseg.scene.georeference import grid_of, ground_pixel_m
from geoseg.scene.open import MAX_PIXELS, open_raster
from geoseg.scene.sample import sample
from geoseg.scene.stretch import StretchRequest, choose_stretch
from geoseg.scene.strips import ResampledRows, iter_strips, reach
from geoseg.scene.validity import validity_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scene.bands import BandChoice
    from geoseg.scene.stretch import Stretch
    from geoseg.scene.strips import RowMaker
    from geoseg.scene.validity import NodataOption, ValidityRule
    from geoseg.vocabulary import Grid, SceneRows


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What the model wants of a scene, and what the user said about it."""

    model_bands: tuple[str, ...] = ("red", "green", "blue")
    """Names of the bands, in the network's order."""
    value_range: tuple[float, float] = (0, 255)
    """Pixel values the model was trained on; (0, 255) gives uint8, any other float32."""
    fill: tuple[float, ...] = (0, 0, 0)
    """Per band, what invalid pixels become; the model's mean, so that they normalize to about zero."""
    bands: tuple[int, ...] | None = None
    nodata: NodataOption = None
    src_crs: str | None = None
    stretch: StretchRequest = field(default_factory=StretchRequest)
    resolution_m: float | None = None
    """Ground pixel to read at, in metres; None for the scene's own."""
    max_pixels: float = MAX_PIXELS
    on_read_error: Literal["fail", "nodata"] = "fail"
    allow_network: bool = False


class Scene:
    """An opened scene; made by :func:`open_scene`."""

    def __init__(self, name: str, dataset: DatasetReader, request: ReadRequest, native: Grid) -> None:
        self.name = name
        """The path as it was given; messages begin with it."""
        self.native = native
        """The file's own grid."""
        self.ground_pixel_m = ground_pixel_m(native)
        """True size of a native pixel from row to row and from column to column, in metres."""
        self.grid = self.native
        """The grid that strips are read on: the native one, or as many pixels as the resolution asks for."""
        if request.resolution_m is not None:
            self.grid = _at_resolution(self, request.resolution_m, request.max_pixels)
        self.notes: list[str] = []
        """What the user should know; grows while reading where blocks become nodata."""
        self._dataset, self._request = dataset, request
        self._stamps = _stamps(dataset)
        self.look = _look(dataset, request)
        self.notes.extend(self.look.bands.notes)
        if request.src_crs and dataset.crs:
            self.notes.append(f"the file's own CRS was replaced by --src-crs {request.src_crs}")
        if request.stretch.kind == "auto" and self.stretch.text != "none":
            self.notes.append(f"values were stretched, per band {self.stretch.text}; choose with --stretch")

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.name)

    @property
    def stretch(self) -> Stretch:
        """How values become the model's."""
        return self.look.stretch

    @property
    def bands(self) -> int:
        """Bands of every strip."""
        return self.look.bands.count

    def sample(self) -> NDArray[Any]:
        """Return up to a million valid pixels as the network sees them, shape (bands, n)."""
        measured = _measured(self._dataset, self.look.bands, self.look.validity)
        if self.look.bands.palette is not None:
            measured = self.look.bands.palette[:3, measured[0]]
        return self.stretch.apply(measured[:, None])[:, 0]

    def iter_rows(self, spans: Sequence[tuple[int, int]], cols: tuple[int, int]) -> Iterator[SceneRows]:
        """Read strips of the grid; beyond the scene pixels are reflected and invalid.

        Every source row is decoded once. One strip, the rows it shares with the next, and one row of blocks
        are in memory; a strip belongs to the caller.

        Args:
            spans: (start, stop) rows in ascending order, overlapping or not; may reach outside.
            cols: (start, stop) columns of all strips; may reach outside.

        Yields:
            SceneRows with pixels of shape (bands, stop - start, columns) and type ``stretch.dtype``.

        Raises:
            InputError: a block cannot be read, or the file changed while it was read.
        """
        faults = Faults(self._request.on_read_error)
        shape = self.bands, self.grid.height, self.grid.width
        maker = self._maker(reach(*cols, self.grid.width), faults)
        yield from iter_strips(maker, shape, self.stretch.dtype, spans, cols)
        if faults.windows:
            first = faults.windows[0]
            self.notes.append(
                f"{len(faults.windows)} unreadable blocks were treated as nodata, "
                f"the first at row {first.row_off}, column {first.col_off}"
            )
        if _stamps(self._dataset) != self._stamps:
            raise InputError(f"{self.name}: changed while it was read; run again when nothing writes to it")

    def _maker(self, cols: tuple[int, int], faults: Faults) -> RowMaker:
        """Return what makes rows of some columns of the grid."""
        if self.grid.shape == self.native.shape:
            return NativeRows(self._dataset, self.look, cols, faults)
        across = weights(self.native.width, self.grid.width).part(*cols, 0)
        down = weights(self.native.height, self.grid.height)
        native = NativeRows(self._dataset, self.look, across.reach(0, len(across.source)), faults)
        return ResampledRows(native, down, across, self.look)


@contextmanager
def open_scene(path: str | Path, request: ReadRequest | None = None) -> Iterator[Scene]:
    """Open a scene for reading.

    Raises:
        InputError: the file cannot be used as a scene: see :func:`geoseg.scene.open.open_raster`,
            :func:`geoseg.scene.georeference.grid_of` and :func:`geoseg.scene.bands.choose_bands`.
        UsageError: bands or CRS in the request mean nothing for this file.
    """
    request = request or ReadRequest()
    with open_raster(path, allow_network=request.allow_network, max_pixels=request.max_pixels) as dataset:
        yield Scene(str(path), dataset, request, grid_of(dataset, src_crs=request.src_crs))


def _look(dataset: DatasetReader, request: ReadRequest) -> Look:
    """Return how the network sees a scene, judged from a sample where it must be."""
    bands = choose_bands(dataset, request.bands, request.model_bands)
    rule = validity_rule(dataset, bands, request.nodata)
    wish, measured = request.stretch, np.empty((bands.count, 0), np.uint8)
    full_bytes = bands.palette is not None or _has_full_bytes(dataset, bands)
    if bands.palette is None and (wish.kind == "percentiles" or (wish.kind == "auto" and not full_bytes)):
        measured = _measured(dataset, bands, rule)
    stretch = choose_stretch(wish, measured, request.value_range, full_bytes=full_bytes)
    return Look(bands, rule, stretch, request.fill)


def _has_full_bytes(dataset: DatasetReader, bands: BandChoice) -> bool:
    """Return whether the pixels are bytes of which all eight bits are in use."""
    bits = dataset.tags(ns="IMAGE_STRUCTURE", bidx=bands.indexes[0]).get("NBITS", "8")
    return bits == "8" and all(dataset.dtypes[i - 1] == "uint8" for i in bands.indexes)


def _measured(dataset: DatasetReader, bands: BandChoice, rule: ValidityRule) -> NDArray[Any]:
    """Return valid pixels of a sample, shape (bands, n), as they stand in the file."""
    count = len(bands.indexes)
    alpha = () if rule.alpha is None else (rule.alpha,)
    taken = sample(dataset, (*bands.indexes, *alpha), mask=rule.mask)
    pixels, valid = taken.pixels[:count], taken.mask
    for part in (rule.of_pixels(pixels[:, None]), taken.pixels[count:] != 0):
        if part is not None and len(part):
            valid = valid & part[0]
    return pixels[:, valid]


def _at_resolution(scene: Scene, resolution_m: float, max_pixels: float) -> Grid:
    """Return the grid over the same ground whose pixels come closest to a size."""
    ratios = (ground / resolution_m for ground in scene.ground_pixel_m)
    height, width = (max(1, round(size * ratio)) for size, ratio in zip(scene.native.shape, ratios, strict=True))
    if height * width > max_pixels:
        raise InputError(
            f"{scene.name}: at {resolution_m:g} m it has {width} x {height} pixels, "
            f"over --max-pixels {max_pixels:g}; raise it or choose a coarser --resolution"
        )
    return scene.native.resized(height, width)


def _stamps(dataset: DatasetReader) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every local file the scene is made of."""
    stamps = {}
    for name in dataset.files:
        try:
            status = Path(name).stat()
        except OSError:
            continue
        stamps[name] = status.st_size, status.st_mtime_ns
    return stamps
