"""The nouns of a batch: what is to be done, and what came of it. Both are small and travel between processes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.pipeline.parts import Part
    from geoseg.pipeline.request import SegmentRequest

Status = Literal["done", "kept", "outside", "failed", "left"]
"""Made now; there already; not in the area asked for; not possible; not done because the run ended before."""


@dataclass(frozen=True, slots=True)
class Task:
    """One file to make, which is there, whole and of the right kind, or not at all."""

    name: str
    """Unique in its batch; a relative path without an ending."""
    source: str
    """What it is made of, for people."""
    key: str
    """Digest of everything the result depends on."""
    request: SegmentRequest
    target: Path
    """Where its manifest and log belong: ``target`` and ``.geoseg.json``."""
    part: Part | None = None
    """Of a mosaic; None stands for a whole scene."""
    rows: Path | None = None
    """Where the class rows of a part go."""
    files: tuple[Path, ...] = ()
    """Files that it makes, where they are not those of the request."""

    def on_threads(self, threads: int) -> Task:
        """Return the task with threads of arithmetic, where the user has not said how many."""
        runs_on = self.request.runs_on
        if runs_on.threads is not None:
            return self
        return replace(self, request=replace(self.request, runs_on=replace(runs_on, threads=threads)))

    @property
    def outputs(self) -> list[Path]:
        """The files that it makes."""
        if self.rows is not None:
            return [self.rows]
        return list(self.files) or self.request.output.paths

    @property
    def manifest(self) -> Path:
        """What says that the task is done."""
        return self.target.with_name(self.target.name + ".geoseg.json")

    @property
    def lock(self) -> Path:
        """What keeps two processes from making the same."""
        return self.target.with_name(self.target.name + ".geoseg.lock")

    @property
    def log(self) -> Path:
        """What went wrong, where something did."""
        return self.target.with_name(self.target.name + ".geoseg.log")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task."""

    name: str
    source: str
    status: Status
    why: str = ""
    """Why it was made, or one sentence on why it could not be."""
    seconds: float = 0.0
    pixels: int = 0
    outputs: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)
    """Layers, warnings, device and precision of the run."""
    damaged: tuple[str, ...] = ()
    """Files of which something could not be read."""

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"outputs": list(self.outputs), "damaged": list(self.damaged)}
