"""``geoseg qgis styles``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.options import overwrite_option, talk_options

_FILE = click.Path(path_type=Path)


@click.command("styles")
@click.argument("layers", type=_FILE)
@click.option("-o", "--out", type=_FILE, metavar="DIR", required=True, help="Folder for the files; made if missing.")
@overwrite_option
@talk_options
def styles(layers: Path, out: Path, overwrite: bool, progress: str) -> None:  # noqa: ARG001 - nothing takes long
    """Write the styles of LAYERS as files: one .qml for QGIS and one .sld for map servers of each layer.

    LAYERS is a GeoPackage, GeoJSON, FlatGeobuf or GeoParquet file that geoseg wrote, or a class raster of any origin.

    \b
    $ geoseg qgis styles classes.gpkg --out styles
    $ geoseg qgis styles classes.tif --out styles
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks
    from geoseg.pipeline.style_export import export_styles

    for path in export_styles(layers, out, overwrite=overwrite):
        click.echo(path)
