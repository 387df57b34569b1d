"""The plugin's way into QGIS: profiles, and a zip for the plugin manager. No QGIS is needed."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import geoseg
from geoseg.errors import InputError, OutputError
from geoseg.qgis.install import install_plugin, own_command
from geoseg.qgis.package import package_plugin
from geoseg.qgis.profiles import find_profiles, profiles_folders

COMMAND = ["/somewhere/geoseg"]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_an_installed_plugin_knows_its_version_and_its_program(tmp_path):
    folder = install_plugin(tmp_path, COMMAND)
    assert folder == tmp_path / "python" / "plugins" / "geoseg_qgis"
    metadata = configparser.ConfigParser()
    metadata.read(folder / "metadata.txt", encoding="utf-8")
    told = metadata["general"]
    assert (told["name"], told["version"]) == ("geoseg", geoseg.__version__)
    assert (told["qgisMinimumVersion"], told["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert told["hasProcessingProvider"] == "yes"
    assert (folder / told["icon"]).is_file()
    assert json.loads((folder / "installed.json").read_text())["command"] == COMMAND
    assert names_in(folder.parent) == ["geoseg_qgis"]


def test_an_older_plugin_is_replaced_whole(tmp_path):
    folder = install_plugin(tmp_path, COMMAND)
    fresh = everything(folder)
    (folder / "dropped_since.py").write_text("")
    (folder / "runner.py").write_text("old")
    install_plugin(tmp_path, COMMAND)
    assert everything(folder) == fresh
    assert names_in(folder.parent) == ["geoseg_qgis"]


def test_another_plugin_of_that_name_stays_unless_told_otherwise(tmp_path):
    other = tmp_path / "python" / "plugins" / "geoseg_qgis"
    other.mkdir(parents=True)
    (other / "metadata.txt").write_text("[general]\nname=something else\n")
    with pytest.raises(OutputError, match="is not geoseg's plugin; add --overwrite"):
        install_plugin(tmp_path, COMMAND)
    assert names_in(other) == ["metadata.txt"]
    install_plugin(tmp_path, COMMAND, overwrite=True)
    assert (other / "runner.py").is_file()


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_is_replaced_and_what_it_leads_to_is_not(tmp_path):
    mine = install_plugin(tmp_path / "clone", COMMAND)
    before = everything(mine)
    plugins = tmp_path / "profile" / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "geoseg_qgis").symlink_to(mine)
    folder = install_plugin(tmp_path / "profile", ["/other/geoseg"])
    assert not folder.is_symlink()
    assert everything(mine) == before


def test_a_swap_that_fails_leaves_the_older_one(tmp_path, monkeypatch):
    folder = install_plugin(tmp_path, COMMAND)
    (folder / "mark").write_text("older")
    rename = Path.rename

    def failing(self, target):
        if self.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(
        OutputError,
        match=r"cannot be written .Permission denied.; make .*plugins a folder that can be written to, or close QGIS",
    ):
        install_plugin(tmp_path, COMMAND)
    assert (folder / "mark").read_text() == "older"
    assert names_in(folder.parent) == ["geoseg_qgis"]


def test_profiles_are_where_qgis_keeps_them():
    home = Path("/home/me")

    def of(platform, **environment):
        return [path.as_posix() for path in profiles_folders(environment, home, platform)]

    assert of("linux")[0] == "/home/me/.local/share/QGIS/QGIS3/profiles"
    assert of("linux", XDG_DATA_HOME="/data")[1] == "/data/QGIS/QGIS4/profiles"
    assert of("darwin")[0] == "/home/me/Library/Application Support/QGIS/QGIS3/profiles"
    assert of("win32", APPDATA="/roaming")[0] == "/roaming/QGIS/QGIS3/profiles"
    assert of("linux", QGIS_CUSTOM_CONFIG_PATH="/custom") == ["/custom/profiles"]


def test_a_profile_is_found_in_every_qgis_that_has_it(tmp_path):
    for version in ("QGIS3", "QGIS4"):
        (tmp_path / version / "default").mkdir(parents=True)
    (tmp_path / "QGIS3" / "work").mkdir()
    folders = [tmp_path / "QGIS3", tmp_path / "QGIS4"]
    assert find_profiles(folders, "default") == [folder / "default" for folder in folders]
    assert find_profiles(folders, "work") == [tmp_path / "QGIS3" / "work"]
    with pytest.raises(InputError, match="has no profile play, only default, work; name one with --profile default"):
        find_profiles(folders, "play")
    with pytest.raises(InputError, match="not the name of a profile"):
        find_profiles(folders, "../QGIS3/work")


def geoseg_qgis(*words, environment):
    command = [sys.executable, "-m", "geoseg", "qgis", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_without_a_profile_the_sentence_says_what_to_do(bare_environment):
    done = geoseg_qgis("install", environment=bare_environment)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "no profile of QGIS is there; start QGIS once, which makes one, or name" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_installs_and_names_the_folder(tmp_path, bare_environment):
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    done = geoseg_qgis("install", "--profiles-folder", tmp_path / "profiles", environment=bare_environment)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    command = json.loads((folder / "installed.json").read_text())["command"]
    assert command == own_command()
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("geoseg, version")


def test_the_zip_holds_one_folder_and_is_the_same_each_time(tmp_path, bare_environment):
    done = geoseg_qgis("package", "--out", tmp_path / "one.zip", environment=bare_environment)
    assert done.returncode == 0, done.stderr
    package_plugin(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as zipped:
        names = zipped.namelist()
        zipped.extractall(tmp_path / "unpacked")
    assert {name.split("/")[0] for name in names} == {"geoseg_qgis"}
    assert "geoseg_qgis/installed.json" not in names, "a path of this machine"
    unpacked, installed = (
        everything(tmp_path / "unpacked" / "geoseg_qgis"),
        everything(install_plugin(tmp_path, COMMAND)),
    )
    assert unpacked.pop("LICENSE").startswith(b"MIT")
    assert installed.pop("installed.json")
    assert unpacked == installed


def test_a_zip_is_not_replaced_unasked(tmp_path):
    out = tmp_path / "plugin.zip"
    out.write_text("mine")
    with pytest.raises(OutputError, match="exists; add --overwrite"):
        package_plugin(out)
    assert out.read_text() == "mine"
    package_plugin(out, overwrite=True)
    assert zipfile.is_zipfile(out)
    with pytest.raises(OutputError, match="cannot be written"):
        package_plugin(tmp_path / "missing" / "plugin.zip")
