"""Flags on scenes with labels, as train and evaluate have them, and the nouns that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from geoseg.labels.scenes import ScenePair

labels_option = click.option(
    "--labels",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Polygons or class raster of the scenes, any CRS: one for all, or one for each --scene in order.",
)

_READING = (
    click.option("--bands", metavar="N,N,N", help="Bands of the scenes to use as red, green, blue; repeats allowed."),
    click.option("--nodata", metavar="VALUE|none", help="Value of missing pixels of the scenes."),
    click.option(
        "--src-crs", metavar="CRS", help="CRS of the scenes, in place of the files' own or where they have none."
    ),
    click.option(
        "--stretch",
        default="auto",
        show_default=True,
        metavar="auto|none|LOW,HIGH|P%,P%",
        help="How the scenes' values become bytes, as for segment.",
    ),
    click.option(
        "--on-read-error",
        type=click.Choice(("fail", "nodata")),
        default="fail",
        show_default=True,
        help="What to do with damaged parts of scenes.",
    ),
)

OF_READING = ("bands", "nodata", "src_crs", "stretch", "on_read_error")
"""Names of the flags of :func:`reading_options`."""


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add flags on how scenes with labels are read to a command."""
    for option in reversed(_READING):
        command = option(command)
    return command


def reading_of(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the flags of :func:`reading_options` say, as fields of a ReadRequest."""
    from geoseg.scene.bands import parse_bands
    from geoseg.scene.stretch import parse_stretch
    from geoseg.scene.validity import parse_nodata

    return {
        "bands": None if flags["bands"] is None else parse_bands(flags["bands"]),
        "nodata": None if flags["nodata"] is None else parse_nodata(flags["nodata"]),
        "src_crs": flags["src_crs"],
        "stretch": parse_stretch(flags["stretch"]),
        "on_read_error": flags["on_read_error"],
    }


def pairs_of(flags: Mapping[str, Any]) -> tuple[ScenePair, ...]:
    """Return scenes with their labels; none where none are given.

    Raises:
        UsageError: there is one without the other, or their numbers do not fit.
    """
    from geoseg.errors import UsageError
    from geoseg.labels.scenes import paired

    scenes, labels = flags["scenes"], flags["labels"]
    if bool(scenes) != bool(labels):
        raise UsageError("--scene and --labels go together: images, and what lies where on them")
    return tuple(paired(scenes, labels)) if scenes else ()
