"""Where QGIS keeps the profiles of its users."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"
"""The profile that QGIS makes when it is first started."""

_VERSIONS = ("QGIS3", "QGIS4")


def profiles_folders(environment: Mapping[str, str], home: Path, platform: str = sys.platform) -> list[Path]:
    """Return the folders that QGIS may keep profiles in, whether they are there or not.

    Args:
        environment: QGIS_CUSTOM_CONFIG_PATH, XDG_DATA_HOME and APPDATA count, as they do for QGIS.
        home: the user's home.
        platform: ``sys.platform``.
    """
    custom = environment.get("QGIS_CUSTOM_CONFIG_PATH")
    if custom:
        return [Path(custom) / "profiles"]
    if platform == "win32":
        base = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    return [base / "QGIS" / version / "profiles" for version in _VERSIONS]


def find_profiles(folders: list[Path], name: str) -> list[Path]:
    """Return the folders of a profile, one for each QGIS that has it.

    Raises:
        InputError: there is none of that name.
    """
    if not name or name in (".", "..") or any(c in name for c in "/\\\0"):
        raise InputError(f"--profile: {name!r} is not the name of a profile; QGIS lists them under Settings")
    found = [folder / name for folder in folders if (folder / name).is_dir()]
    if found:
        return found
    there = sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()})
    if there:
        known = ", ".join(there)
        raise InputError(f"{folders[0]}: has no profile {name}, only {known}; name one with --profile {there[0]}")
    where = " and ".join(map(str, folders))
    raise InputError(
        f"{where}: no profile of QGIS is there; start QGIS once, which makes one, or name the folder of profiles with "
        "--profiles-folder DIR (in QGIS: Settings > User Profiles > Open Active Profile Folder shows a profile in it)"
    )
