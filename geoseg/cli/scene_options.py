"""The flags of ``segment`` that ``batch`` has, too: which model, how scenes are read, how windows are laid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import FiniteRange, creation_option
from geoseg.cli.vector_options import vector_options

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = click.Path(path_type=Path)


class _Resolution(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, not before
    """``auto``, ``native`` or metres."""

    name = "auto|native|METRES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("auto", "native") or isinstance(value, float):
            return value
        try:
            metres = float(value)
        except ValueError:
            self.fail(f"{value!r} is not auto, native or a number of metres", param, ctx)
        if not 0 < metres < float("inf"):
            self.fail(f"{value!r} metres is not a pixel size", param, ctx)
        return metres


def scene_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags, those about polygons and rasters included."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option("--model", default="default", show_default=True, metavar="FILE|default|dubai", help="Model to use."),
    click.option("--classes", metavar="all|LIST", help="Classes or layers to write.  [default: buildings,roads,water]"),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|mps|cuda[:N]",
        help="Where to run the network.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "int8"]),
        default="auto",
        show_default=True,
        help="Arithmetic of the network; auto takes bf16 where the hardware has it.",
    ),
    click.option(
        "--window",
        type=click.IntRange(16, 16384),
        help="Pixels read per window, overlap included.  [default: about 1200; of dubai 2800]",
    ),
    click.option(
        "--overlap",
        type=click.IntRange(0, 8192),
        help="Pixels shared by neighbouring windows.  [default: what the model needs]",
    ),
    click.option(
        "--blend",
        type=click.Choice(["auto", "exact", "crop", "taper"]),
        default="auto",
        show_default=True,
        help="exact: as one pass over the whole scene; crop: cut at the middle of the overlap; taper: average.",
    ),
    click.option(
        "--bands", metavar="N,N,N", help="Bands to use as red, green, blue.  [default: by colour interpretation]"
    ),
    click.option(
        "--nodata",
        metavar="VALUE|none",
        help="Value of missing pixels, or none to believe no value.  [default: the file's]",
    ),
    click.option("--src-crs", metavar="CRS", help="The scene's CRS, where the file has none or a wrong one."),
    click.option(
        "--stretch",
        default="auto",
        show_default=True,
        metavar="auto|none|LOW,HIGH|LOW%,HIGH%",
        help="Values that become the model's range.",
    ),
    click.option(
        "--bounds",
        nargs=4,
        type=float,
        metavar="LEFT BOTTOM RIGHT TOP",
        help="Only this box, in the scene's CRS.",
    ),
    click.option("--aoi", type=_FILE, help="Only inside the polygons of this vector file."),
    click.option(
        "--resolution",
        type=_Resolution(),
        metavar="auto|native|METRES",
        default="auto",
        show_default=True,
        help="Ground pixel the network sees; auto resamples when the scene's differs by more than a quarter.",
    ),
    vector_options("building 10, road 50, water 50, others 25"),
    click.option("--tta", is_flag=True, help="Average over windows laid in all eight ways: truer, eight times slower."),
    click.option(
        "--threads", type=click.IntRange(1, 1024), help="Threads of arithmetic on the CPU.  [default: all cores]"
    ),
    click.option("--max-pixels", type=FiniteRange(1), default=1e11, show_default=True, help="Refuse larger scenes."),
    click.option(
        "--on-read-error",
        type=click.Choice(["fail", "nodata"]),
        default="fail",
        show_default=True,
        help="What to do with damaged parts of a scene.",
    ),
    click.option("--allow-network", is_flag=True, help="Open remote files."),
    click.option("--rfc7946", is_flag=True, help="Write GeoJSON in WGS 84 longitude and latitude."),
    creation_option,
)
