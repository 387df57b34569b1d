"""A scene, opened and understood, ready to be read in strips for the network."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from geoseg.errors import InputError
from geoseg.resample import weights
from geoseg.scene.decode import Faults
from geoseg.scene.georeference import grid_of, ground_pixel_m
from geoseg.scene.one_file import OneFile
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.strips import ResampledRows, iter_strips, reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geoseg.scene.decode import Look
    from geoseg.scene.one_file import Stamps
    from geoseg.scene.stretch import Stretch
    from geoseg.scene.strips import RowMaker
    from geoseg.vocabulary import Grid, SceneRows


class PixelSource(Protocol):
    """Where a scene's pixels come from: one file, or many that lie side by side."""

    look: Look

    def rows(self, cols: tuple[int, int], faults: Faults) -> RowMaker:
        """Return what makes rows of some columns of the native grid."""
        ...

    def sample(self) -> NDArray[Any]:
        """Return up to a million valid pixels before the stretch, shape (bands, n)."""
        ...

    def stamps(self) -> Stamps:
        """Return size and time of change of the files read so far, none of which may change."""
        ...


class Scene:
    """An opened scene; made by :func:`open_scene` and :func:`geoseg.scene.many_files.open_mosaic`."""

    def __init__(self, name: str, source: PixelSource, request: ReadRequest, native: Grid) -> None:
        self.name = name
        """The path as it was given; messages begin with it."""
        self.native = native
        """The grid of the file's own pixels."""
        self.ground_pixel_m = ground_pixel_m(native)
        """True size of a native pixel from row to row and from column to column, in metres."""
        self.grid = self.native
        """The grid that strips are read on: the native one, or as many pixels as the resolution asks for."""
        if request.resolution_m is not None:
            self.grid = _at_resolution(self, request.resolution_m, request.max_pixels)
        self.notes: list[str] = []
        """What the user should know; grows while reading where blocks become nodata."""
        self.unreadable: list[str] = []
        """Files of which blocks were treated as nodata; known when all rows are read."""
        self._source, self._request = source, request
        self._stamps = source.stamps()
        self.look = source.look
        self.notes.extend(self.look.bands.notes)
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
        return self.stretch.apply(self._source.sample()[:, None])[:, 0]

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
            self.unreadable = list(dict.fromkeys(name for name, _ in faults.windows))
            name, first = faults.windows[0]
            of_file = "" if name == self.name else f" of {name}"
            self.notes.append(
                f"{len(faults.windows)} unreadable blocks were treated as nodata, "
                f"the first at row {first.row_off}, column {first.col_off}{of_file}"
            )
        now = self._source.stamps()
        if any(now.get(name) != stamp for name, stamp in self._stamps.items()):
            raise InputError(f"{self.name}: changed while it was read; run again when nothing writes to it")

    def _maker(self, cols: tuple[int, int], faults: Faults) -> RowMaker:
        """Return what makes rows of some columns of the grid."""
        if self.grid.shape == self.native.shape:
            return self._source.rows(cols, faults)
        across = weights(self.native.width, self.grid.width).part(*cols, 0)
        down = weights(self.native.height, self.grid.height)
        native = self._source.rows(across.reach(0, len(across.source)), faults)
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
        grid = grid_of(dataset, src_crs=request.src_crs)
        scene = Scene(str(path), OneFile(dataset, request), request, grid)
        if request.src_crs and dataset.crs:
            scene.notes.append(f"the file's own CRS was replaced by --src-crs {request.src_crs}")
        yield scene


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
