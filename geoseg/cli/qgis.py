"""``geoseg qgis``: what makes life with QGIS easier."""

from __future__ import annotations

import click

from geoseg.cli.qgis_styles import styles


@click.group("qgis")
def command() -> None:
    """Work with QGIS.

    \b
    $ geoseg qgis styles classes.gpkg --out styles
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks


command.add_command(styles)
