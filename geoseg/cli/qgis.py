"""``geoseg qgis``: what makes life with QGIS easier."""

from __future__ import annotations

import click

from geoseg.cli.qgis_plugin import install, package


@click.group("qgis")
def command() -> None:
    """Work with QGIS.

    \b
    $ geoseg qgis install
    $ geoseg qgis package --out geoseg_qgis.zip
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks


command.add_command(install)
command.add_command(package)
