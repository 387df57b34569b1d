"""Publish results: written beside their target, verified, then renamed; no name ever shows half a file."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from geoseg.errors import GeosegError, OutputError, UsageError
from geoseg.layers.settle import quick_check, settle
from geoseg.layers.target import COMPANIONS, beside, check_existing, check_target, is_geopackage, same_file
from geoseg.layers.temporary import remove_stale, remove_with_company, temporary_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ["Publication", "check_target", "published"]

_NO_ROOM = {
    getattr(errno, name, -1): words
    for name, words in (
        ("ENOSPC", "the disk is full"),
        ("EDQUOT", "the disk quota is used up"),
        ("EFBIG", "the file would be larger than allowed here"),
    )
}


@contextlib.contextmanager
def published(path: str | Path, *, overwrite: bool, verify: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` when the block ends well; see `Publication`."""
    with Publication(overwrite=overwrite) as publication:
        yield publication.add(path, verify)


@dataclass(frozen=True, slots=True)
class _Target:
    """One result on its way."""

    path: Path
    temporary: Path
    verify: Callable[[Path], None] | None

    @property
    def moves(self) -> list[tuple[Path, Path, Path]]:
        """Temporary name, final name and that of the earlier file's backup.

        The file itself comes last, so that where it is, all is.
        """
        return [
            (beside(self.temporary, ending), beside(self.path, ending), beside(self.temporary, f".old{number}"))
            for number, ending in enumerate((*COMPANIONS, ""))
        ]

    def remove_backups(self) -> None:
        """Remove what was kept of the earlier files; where one is still open (Windows), leave it for later runs."""
        for _, _, backup in self.moves:
            with contextlib.suppress(OSError):
                backup.unlink()


class Publication:
    """Results of one run that appear together when the block ends well, or not at all.

    ::

        with Publication(overwrite=True) as publication:
            write(publication.add("classes.tif"))
            write(publication.add("classes.gpkg"))

    All files are verified and on disk before the first is renamed. When anything is raised, interrupts
    included, the temporary files are removed, files already renamed are taken back, and earlier results are
    as they were.
    """

    def __init__(self, *, overwrite: bool) -> None:
        self._overwrite = overwrite
        self._targets: list[_Target] = []

    def add(self, path: str | Path, verify: Callable[[Path], None] | None = None) -> Path:
        """Return the temporary path to write what shall become ``path``; it has the same folder and ending.

        Args:
            path: the final name; where it is a symbolic link, the file it leads to is replaced and the link stays.
            verify: called with the temporary path before publishing; raises when the file is not sound.

        Raises:
            UsageError: two results of this run have the same name.
            OutputError: as `check_target`.
        """
        real = check_target(path, overwrite=self._overwrite)
        if any(same_file(real, other.path) for other in self._targets):
            raise UsageError(f"{path}: is named for two results; give each its own file")
        named = real.with_name(Path(path).name)  # the ending that was asked for, in the folder where the file lies
        remove_stale(named)
        target = _Target(real, temporary_beside(named), verify)
        self._targets.append(target)
        return target.temporary

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = False
        try:
            if error is None:
                self._publish()
                whole = True
        except (OSError, GeosegError) as fault:
            if explained := self._explained(fault) or _refused(fault):
                raise explained from fault
            raise
        finally:
            for target in self._targets:
                if whole:  # nothing else is left, and listing a folder takes long where it holds many results
                    target.remove_backups()
                else:
                    remove_with_company(target.temporary)
        if error is not None and (explained := self._explained(error)):
            raise explained from error

    def _publish(self) -> None:
        """Verify everything, then rename everything."""
        for target in self._targets:
            _verify(target)
        for target in self._targets:
            check_existing(target.path, overwrite=self._overwrite)
            if is_geopackage(target.temporary):
                settle(target.path)
        with contextlib.ExitStack() as undo:
            for target in self._targets:
                for temporary, final, backup in target.moves:
                    undo.callback(_take_back, final, backup, _identity(temporary))
                    _rename(temporary, final, backup, overwrite=self._overwrite)
            for folder in {target.path.parent for target in self._targets}:
                _sync_folder(folder)
            undo.pop_all()

    def _explained(self, fault: BaseException) -> OutputError | None:
        """Return a fault in terms of the targets, if it is about one of them or about room on the disk."""
        for target in self._targets:
            if isinstance(fault, OutputError) and str(target.temporary) in str(fault):
                return OutputError(str(fault).replace(str(target.temporary), str(target.path)))
        if isinstance(fault, OSError) and not isinstance(fault, GeosegError) and fault.errno in _NO_ROOM:
            names = ", ".join(str(target.path) for target in self._targets)
            return OutputError(f"{names}: {_NO_ROOM[fault.errno]}; nothing was written")
        return None


def _refused(fault: OSError | GeosegError) -> OutputError | None:
    """Return what the system refused while publishing as an output error; None for our own errors."""
    if isinstance(fault, GeosegError):
        return None
    return OutputError(f"{fault.filename2 or fault.filename}: could not be put in place ({fault.strerror})")


def _verify(target: _Target) -> None:
    """See that a finished temporary file is whole and on the disk.

    Raises:
        OutputError: it is missing or damaged.
    """
    temporary = target.temporary
    if not temporary.is_file():
        raise OutputError(f"{temporary}: was not written")
    if is_geopackage(temporary):
        settle(temporary)
        quick_check(temporary)
    if target.verify is not None:
        target.verify(temporary)
    for written, _, _ in target.moves:
        if written.exists():
            with written.open("r+b") as file:  # Windows syncs only files open for writing
                os.fsync(file.fileno())


def _rename(temporary: Path, final: Path, backup: Path, *, overwrite: bool) -> None:
    """Rename one file, keeping an earlier one as ``backup``; a companion that has no successor goes away.

    Raises:
        OutputError: ``final`` appeared meanwhile and may not be replaced.
    """
    if os.path.lexists(final):
        # Without hard links (FAT, some network disks) a file is still replaced at once, but not taken back.
        with contextlib.suppress(OSError, NotImplementedError):
            # A link at the target is kept as a link, where the system can.
            os.link(final, backup, follow_symlinks=os.link not in os.supports_follow_symlinks)
    if not temporary.exists():
        final.unlink(missing_ok=True)
    elif overwrite:
        temporary.replace(final)
    else:
        try:
            _rename_to_new(temporary, final)
        except FileExistsError as error:
            raise OutputError(f"{final}: appeared meanwhile; add --overwrite to replace it") from error


def _rename_to_new(temporary: Path, final: Path) -> None:
    """Rename a file to a name that nobody else has taken meanwhile.

    Raises:
        FileExistsError: somebody has.
    """
    if os.name == "nt":
        temporary.rename(final)  # raises where the name exists; elsewhere it would replace
        return
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, "exists", str(final)) from None
        temporary.replace(final)
    else:
        temporary.unlink()


def _take_back(final: Path, backup: Path, ours: tuple[int, int] | None) -> None:
    """Undo `_rename`: restore the earlier file, or remove the new one (known by its device and inode)."""
    if os.path.lexists(backup):
        backup.replace(final)
    elif ours is not None and _identity(final) == ours:
        final.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last; Windows cannot, and does not need to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
