"""``geoseg qgis``: the plugin, and styles for what it shows."""

from __future__ import annotations

import click

from geoseg.cli.qgis_plugin import install, package
from geoseg.cli.qgis_styles import styles


@click.group("qgis")
def command() -> None:
    """Work with QGIS.

    \b
    $ geoseg qgis install
    $ geoseg qgis package --out geoseg_qgis.zip
    $ geoseg qgis styles classes.gpkg --out styles
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks


command.add_command(install)
command.add_command(package)
command.add_command(styles)
