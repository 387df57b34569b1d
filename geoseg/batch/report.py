"""What a batch did: JSON and a table for spreadsheets in its folder, and a few lines for people."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.batch.manifest import replace_text
from geoseg.layers.temporary import remove_stale

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.batch.task import Outcome

JSON_NAME, TABLE_NAME = "report.json", "report.csv"
_COLUMNS = ("source", "status", "seconds", "pixels", "features", "outputs", "why")


@dataclass(slots=True)
class BatchReport:
    """What came of every scene; ``to_json`` is the object of ``--json``, schema 1."""

    folder: Path
    """Where the report goes."""
    model: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    maps: list[dict[str, Any]] = field(default_factory=list)
    """Joined maps: their files, tiles, layers."""
    warnings: list[str] = field(default_factory=list)
    pixels: int = 0
    """Segmented by this run."""
    seconds: float = 0.0
    interrupted: bool = False
    """Whether the run ended before all scenes had their turn."""
    shard: str = ""

    @property
    def table(self) -> Path:
        """The table of all scenes."""
        return self.folder / (self.stem + TABLE_NAME)

    @property
    def stem(self) -> str:
        """What stands before the names of both files, so that shards have reports of their own."""
        return f"shard-{self.shard.replace('/', '-of-')}-" if self.shard else ""

    @property
    def failed(self) -> list[Outcome]:
        """Scenes that could not be done."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    def counts(self) -> dict[str, int]:
        """Return how many scenes there are of each status."""
        found = dict.fromkeys(("done", "kept", "outside", "failed", "left"), 0)
        for outcome in self.outcomes:
            found[outcome.status] += 1
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "schema": 1,
            "version": geoseg.__version__,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "model": self.model,
            "shard": self.shard,
            "inputs": len(self.outcomes),
            **self.counts(),
            "pixels": self.pixels,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "maps": self.maps,
            "warnings": self.warnings,
            "scenes": [outcome.to_json() for outcome in self.outcomes],
        }

    def write(self) -> None:
        """Write both files, each at once, in place of those of an earlier run.

        Raises:
            OutputError: they cannot be written.
        """
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(_COLUMNS)
        writer.writerows(map(_row, self.outcomes))
        texts = {JSON_NAME: json.dumps(self.to_json(), ensure_ascii=False, indent=1), TABLE_NAME: table.getvalue()}
        for name, text in texts.items():
            path = self.folder / (self.stem + name)
            remove_stale(path)
            replace_text(path, text)


def _row(outcome: Outcome) -> tuple[Any, ...]:
    features = sum(layer.get("features", 0) for layer in outcome.report.get("layers", ()))
    source = _harmless(outcome.source)
    outputs = " ".join(outcome.outputs)
    return source, outcome.status, f"{outcome.seconds:.3f}", outcome.pixels, features, outputs, _harmless(outcome.why)


def _harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
