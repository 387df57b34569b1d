"""What geoseg's algorithms have in common: finding the program, running it, turning its errors into QGIS's."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingException, QgsSettings
from qgis.PyQt.QtGui import QIcon

from .command_line import typed
from .environment import own_environment
from .executable import SETTING, ExecutableError, checked_version, find_command
from .leftovers import remove_leftovers
from .runner import GeosegFailed, Stopped, run

_COARSE_S = 2.0  # some file systems count time in steps of two seconds

GEOPACKAGE = "GeoPackage (*.gpkg)"


class GeosegAlgorithm(QgsProcessingAlgorithm):
    """One verb of the command line; what a run reads lives on the instance that QGIS makes for that run."""

    VERB = ""
    TITLE = ""
    TAGS: tuple[str, ...] = ()
    ABOUT = ""
    STOPPED = "Stopped; nothing was written."
    SHARES: dict[str, tuple[float, float]] = {}  # noqa: RUF012 - QGIS's base class is no dataclass

    def createInstance(self) -> GeosegAlgorithm:  # noqa: N802
        """Return a fresh instance: QGIS asks for one for every run."""
        return type(self)()

    def name(self) -> str:
        """Return the name after the colon in ``geoseg:segment``."""
        return self.VERB

    def displayName(self) -> str:  # noqa: N802
        """Return the name in the toolbox."""
        return self.TITLE

    def group(self) -> str:
        """Return no group: there are few algorithms."""
        return ""

    def groupId(self) -> str:  # noqa: N802
        """Return no group."""
        return ""

    def tags(self) -> list[str]:
        """Return words by which the toolbox finds it."""
        return list(self.TAGS)

    def icon(self) -> Any:
        """Return the picture in the toolbox."""
        return QIcon(str(Path(__file__).with_name("icon.svg")))

    def shortHelpString(self) -> str:  # noqa: N802
        """Return the text beside the dialog."""
        return self.ABOUT

    def helpUrl(self) -> str:  # noqa: N802
        """Return no address: the help is in the dialog."""
        return ""

    def canExecute(self) -> tuple[bool, str]:  # noqa: N802
        """Tell whether the program is there, or how to set it."""
        try:
            find_command(executable_setting(), os.environ)
        except ExecutableError as missing:
            return False, str(missing)
        return True, ""

    def checkParameterValues(self, parameters: dict[str, Any], context: Any) -> tuple[bool, str]:  # noqa: N802
        """Tell whether the parameters can be run, the program included."""
        fine, why = super().checkParameterValues(parameters, context)
        return self.canExecute() if fine else (fine, why)

    def run_geoseg(self, words: list[str], results: list[str], feedback: Any) -> dict[str, Any] | None:
        """Run the verb and return its report; None where it was cancelled.

        Args:
            words: arguments after the verb.
            results: files that it makes.
            feedback: of the run.

        Raises:
            QgsProcessingException: the program is missing or too old, or ended with an error: then in its own words.
        """
        try:
            return self.run_to_any_end(words, results, feedback)
        except GeosegFailed as failed:
            raise QgsProcessingException(str(failed)) from None

    def run_to_any_end(self, words: list[str], results: list[str], feedback: Any) -> dict[str, Any] | None:
        """Do the same, but raise GeosegFailed where the program ended with an error."""
        try:
            command = find_command(executable_setting(), os.environ)
            version = checked_version(tuple(command))
        except ExecutableError as missing:
            raise QgsProcessingException(str(missing)) from None
        full = [*command, self.VERB, *words, "--json", "--progress=json"]
        feedback.pushInfo(f"geoseg {version}")
        began = time.time() - _COARSE_S
        feedback.pushCommandInfo(typed(full))
        try:
            return run(full, feedback, own_environment(), self.SHARES)
        except Stopped:
            remove_leftovers(results, began)
            feedback.pushInfo(self.STOPPED)
            return None


def executable_setting() -> str:
    """Return the path in QGIS's settings; empty where none was set."""
    return str(QgsSettings().value(f"Processing/Configuration/{SETTING}", "") or "")


def geopackage(path: str, label: str) -> str:
    """Return the path of a result; raises QgsProcessingException where it has another ending."""
    if Path(path).suffix.lower() != ".gpkg":
        raise QgsProcessingException(
            f"{label}: {path} does not end in .gpkg; other formats are exported from the layers"
        )
    return path
