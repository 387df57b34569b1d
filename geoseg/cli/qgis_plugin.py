"""``geoseg qgis install`` and ``geoseg qgis package``: the plugin into QGIS's profiles, or into a zip."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.options import overwrite_option, talk_options


@click.command("install")
@click.option(
    "--profile", default="default", show_default=True, metavar="NAME", help="Profile of QGIS to put the plugin into."
)
@click.option(
    "--profiles-folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of profiles.  [default: those of QGIS 3 and QGIS 4]",
)
@click.option("--overwrite", is_flag=True, help="Replace a folder of the same name that is another plugin's, too.")
@talk_options
def install(profile: str, profiles_folder: Path | None, overwrite: bool, progress: str) -> None:
    """Put geoseg into the Processing toolbox of QGIS: a plugin, installed into a profile in place of an older one.

    The plugin starts this program as a process of its own; nothing is installed into QGIS's Python.

    \b
    $ geoseg qgis install
    $ geoseg qgis install --profile work
    """  # noqa: D301
    import os

    from geoseg.cli.progress import message
    from geoseg.qgis.install import install_plugin, own_command
    from geoseg.qgis.profiles import find_profiles, profiles_folders

    folders = [profiles_folder] if profiles_folder is not None else profiles_folders(os.environ, Path.home())
    for found in find_profiles(folders, profile):
        click.echo(install_plugin(found, own_command(), overwrite=overwrite))
    told = "now (re)start QGIS and tick geoseg under Plugins > Manage and Install Plugins > Installed"
    message(progress, told, "result")


@click.command("package")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="geoseg_qgis.zip",
    show_default=True,
    metavar="FILE",
    help="The zip to write, for Plugins > Manage and Install Plugins > Install from ZIP.",
)
@overwrite_option
@talk_options
def package(out: Path, overwrite: bool, progress: str) -> None:  # noqa: ARG001 - it is done at once
    """Pack the plugin into a zip for QGIS's plugin manager.

    \b
    $ geoseg qgis package --out geoseg_qgis.zip
    """  # noqa: D301
    from geoseg.qgis.package import package_plugin

    click.echo(package_plugin(out, overwrite=overwrite))
