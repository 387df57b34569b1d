"""What ``batch`` is asked to do, as values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.batch.sources.addresses import is_address
from geoseg.errors import UsageError
from geoseg.inference.network import RunsOn
from geoseg.inference.windows import WindowRequest
from geoseg.model.file import BUNDLED, DEFAULT
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest, VectorRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geoseg.batch.sources.inputs import Input
    from geoseg.scene.mosaic import Mosaic

RUN_FOLDER = ".run"
"""Ending of the folder beside a joined map that keeps its parts and report."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files are made of each scene, or of the joined map."""

    layers: str | None = ".gpkg"
    """Ending of the vector layers; None makes none."""
    raster: bool = False
    raster_final: bool = False
    confidence: bool = False
    overwrite: bool = False
    rfc7946: bool = False
    creation: Mapping[str, str] = field(default_factory=dict)
    """GDAL creation options of the rasters."""

    def beside(self, stem: Path, layers: Path | None = None) -> OutputRequest:
        """Return the files of one scene.

        Args:
            stem: folder and name, to which endings are added.
            layers: name of the vector layers, where it is another.

        Raises:
            UsageError: nothing is wanted.
        """

        def named(ending: str, *, wanted: bool = True) -> Path | None:
            return stem.with_name(stem.name + ending) if wanted else None

        return OutputRequest(
            layers=layers or (named(self.layers) if self.layers else None),
            raster=named(".classes.tif", wanted=self.raster),
            raster_final=named(".final.tif", wanted=self.raster_final),
            confidence=named(".confidence.tif", wanted=self.confidence),
            overwrite=self.overwrite,
            rfc7946=self.rfc7946,
            creation=self.creation,
        )


@dataclass(frozen=True, slots=True)
class How:
    """How every scene is segmented: a request of ``segment`` without scene and files."""

    model: str = DEFAULT
    reading: SceneRequest = field(default_factory=SceneRequest)
    windows: WindowRequest = field(default_factory=WindowRequest)
    runs_on: RunsOn = field(default_factory=RunsOn)
    vectors: VectorRequest = field(default_factory=VectorRequest)
    eightfold: bool = False

    def of(self, scene: Path | str | Mosaic, output: OutputRequest) -> SegmentRequest:
        """Return the request for one scene."""
        said: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return SegmentRequest(scene, output, **said)


@dataclass(frozen=True, slots=True)
class Where:
    """Where tasks are done."""

    jobs: int = 1
    """Processes on this machine; one does them in this process."""
    scheduler: str | None = None
    """Address of a Dask scheduler."""
    scheduler_file: str | None = None
    shard: tuple[int, int] | None = None
    """Which part of the tasks, from 1, of how many."""

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.scheduler_file is not None:
            raise UsageError("--scheduler and --scheduler-file both name the scheduler; give one of them")
        if self.on_cluster and self.jobs > 1:
            raise UsageError("--jobs is about processes on this machine; workers of a scheduler are started elsewhere")
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise UsageError(f"--shard: {self.shard[0]}/{self.shard[1]} is not I/N with I from 1 to N")

    @property
    def on_cluster(self) -> bool:
        """Whether a scheduler gives the tasks out."""
        return self.scheduler is not None or self.scheduler_file is not None

    def is_mine(self, number: int) -> bool:
        """Return whether the task of a number, from 0, belongs to this shard."""
        return self.shard is None or number % self.shard[1] == self.shard[0] - 1


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One run of ``batch``."""

    inputs: tuple[Input, ...]
    out_dir: Path | None = None
    """Folder of one result for each scene."""
    mosaic: Path | None = None
    """Layers of one map of all scenes, in place of one of each."""
    wanted: Wanted = field(default_factory=Wanted)
    how: How = field(default_factory=How)
    where: Where = field(default_factory=Where)
    collect: bool = False
    """Do nothing but gather what shards have done."""
    max_failures: int | None = None
    """Failures that end the run; None goes on to the end."""

    def __post_init__(self) -> None:
        if (self.out_dir is None) == (self.mosaic is None):
            raise UsageError("give --out-dir DIR for one result of each scene, or --mosaic FILE for one map of all")
        if self.collect and (self.where.shard is not None or self.where.on_cluster):
            raise UsageError("--collect gathers what shards have done; give it without --shard and --scheduler")

    def of(self, inputs: Iterable[Input]) -> BatchRequest:
        """Return the request for some inputs."""
        return replace(self, inputs=tuple(inputs))

    def seen_from_anywhere(self) -> BatchRequest:
        """Return the request with absolute paths, which mean the same to processes that started elsewhere."""
        how, reading = self.how, self.how.reading
        reading = replace(reading, aoi=reading.aoi and reading.aoi.absolute())
        model = how.model if how.model in BUNDLED else str(Path(how.model).absolute())
        return replace(
            self,
            inputs=tuple(
                one if is_address(one.source) else replace(one, source=str(Path(one.source).absolute()))
                for one in self.inputs
            ),
            out_dir=self.out_dir and self.out_dir.absolute(),
            mosaic=self.mosaic and self.mosaic.absolute(),
            how=replace(how, reading=reading, model=model),
        )

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        if self.mosaic is not None:
            return self.mosaic.with_name(self.mosaic.name + RUN_FOLDER)
        assert self.out_dir is not None  # noqa: S101 - one of them is given
        return self.out_dir
