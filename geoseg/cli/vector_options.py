"""The flags about polygons that ``segment`` and ``vectorize`` share, and what they amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.area_option import AreaType, areas_by_name
from geoseg.cli.options import FiniteRange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from geoseg.pipeline.request import VectorRequest


def vector_options(areas: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the flags; ``areas`` says which smallest areas are the default."""
    options = (
        click.option(
            "--min-area-m2",
            type=AreaType(),
            multiple=True,
            help=f"Smallest region kept: N for all, or name=N; repeat for more.  [default: {areas}]",
        ),
        click.option(
            "--simplify-px",
            type=FiniteRange(0, 100),
            default=0.75,
            show_default=True,
            help="How far outlines may stray from the pixels' borders, in pixels; 0 follows them exactly.",
        ),
        click.option(
            "--smooth",
            is_flag=True,
            help="Round outlines by cutting their corners; neighbours stay neighbours.",
        ),
        click.option(
            "--regularize",
            is_flag=True,
            help="Give buildings straight walls at right angles where these cover what was seen; "
            "what borders on them follows.",
        ),
        click.option(
            "--centerlines", is_flag=True, help="Add the layer road_centerlines: a network of lines along the roads."
        ),
        click.option(
            "--split-grid",
            type=click.IntRange(16, 2**30),
            metavar="N",
            help="Cut polygons along a grid of N x N pixels: friendlier layers, and less memory.",
        ),
        click.option(
            "--attributes",
            metavar="LIST",
            help="Further fields of polygons, with commas between: elongation (length by width), holes (their number).",
        ),
    )

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def vectors_from(given: Mapping[str, Any]) -> VectorRequest:
    """Return the request that the flags amount to, ``--classes`` included."""
    from geoseg.pipeline.request import VectorRequest

    return VectorRequest(
        classes=given["classes"],
        min_area_m2=areas_by_name(given["min_area_m2"]),
        simplify_px=given["simplify_px"],
        split_px=given["split_grid"] or 0,
        attributes=given["attributes"],
        smooth=given["smooth"],
        regularize=given["regularize"],
        centerlines=given["centerlines"],
    )
