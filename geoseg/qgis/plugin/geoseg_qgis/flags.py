"""Scalar parameters of algorithms, each with its help and the flag of the command line that it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from .compat import A_FILE, ADVANCED, REAL, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Flag:
    """One parameter of an algorithm that is one flag of geoseg."""

    name: str
    make: Callable[[], Any]
    """Makes the parameter: QGIS owns it afterwards, so every algorithm needs its own."""
    write: Callable[[Any, dict[str, Any], Any], list[str]]
    """From algorithm, parameters and context to words of the command line; none where it is left as it is."""
    help: str
    advanced: bool = False


def add_flags(algorithm: Any, flags: Iterable[Flag]) -> None:
    """Add the parameters to an algorithm, in their order."""
    for flag in flags:
        add(algorithm, flag.make(), flag.help, advanced=flag.advanced)


def add(algorithm: Any, parameter: Any, help_text: str, *, advanced: bool = False) -> None:
    """Add one parameter with its help."""
    parameter.setHelp(help_text)
    if advanced:
        parameter.setFlags(parameter.flags() | ADVANCED)
    algorithm.addParameter(parameter)


def words_of(flags: Iterable[Flag], algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
    """Return the words of the command line that parameters amount to."""
    return [word for flag in flags for word in flag.write(algorithm, parameters, context)]


def ticked(name: str, label: str, flag: str, help_text: str, *, advanced: bool = False) -> Flag:
    """Return a tick box, not ticked, that gives a flag without a value."""

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        return [flag] if algorithm.parameterAsBool(parameters, name, context) else []

    return Flag(name, lambda: QgsProcessingParameterBoolean(name, label, False), write, help_text, advanced)


def text(name: str, label: str, flag: str, help_text: str, *, advanced: bool = True) -> Flag:
    """Return a line of text; empty gives no flag."""

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        value = algorithm.parameterAsString(parameters, name, context).strip()
        return [f"{flag}={value}"] if value else []

    return Flag(
        name, lambda: QgsProcessingParameterString(name, label, None, optional=True), write, help_text, advanced
    )


def number(  # noqa: PLR0913 - what a number in a dialog has
    name: str,
    label: str,
    flag: str,
    help_text: str,
    *,
    lowest: float,
    highest: float,
    default: float | None = None,
    whole: bool = False,
    advanced: bool = True,
) -> Flag:
    """Return a number; where it is not set there is no flag."""

    def make() -> Any:
        kind = WHOLE if whole else REAL
        return QgsProcessingParameterNumber(name, label, kind, default, default is None, lowest, highest)

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        if parameters.get(name) in (None, "") or parameters.get(name) == default:
            return []
        read = algorithm.parameterAsInt if whole else algorithm.parameterAsDouble
        return [f"{flag}={read(parameters, name, context)}"]

    return Flag(name, make, write, help_text, advanced)


def choice(
    name: str, label: str, flag: str, options: tuple[str, ...], help_text: str, *, advanced: bool = True
) -> Flag:
    """Return a choice of words, of which the first is the default and gives no flag."""

    def make() -> Any:
        return QgsProcessingParameterEnum(name, label, list(options), False, options[0], False, True)

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        value = algorithm.parameterAsEnumString(parameters, name, context)
        return [f"{flag}={value}"] if value != options[0] else []

    return Flag(name, make, write, help_text, advanced)


def file(name: str, label: str, flag: str, help_text: str, *, endings: str, advanced: bool = True) -> Flag:
    """Return a file that is read; empty gives no flag."""

    def make() -> Any:
        return QgsProcessingParameterFile(name, label, A_FILE, "", None, True, endings)

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        value = algorithm.parameterAsFile(parameters, name, context).strip()
        return [f"{flag}={value}"] if value else []

    return Flag(name, make, write, help_text, advanced)
