"""Many stages on one bar from 0 to 100 that never runs backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALMOST = 99.0  # where a stage nobody knew of ends; what follows it is told by the end of the run


class OneBar:
    """The bar of one run."""

    def __init__(self, shares: Mapping[str, tuple[float, float]]) -> None:
        """Begin at 0.

        Args:
            shares: the stages in their order, each with its first and last percent. A stage that is not among them
                gets what is left when it begins.
        """
        self.shares = dict(shares)
        self.percent = 0.0

    def at(self, stage: str, done: float, total: float) -> float:
        """Return the percent to show."""
        low, high = self.shares.setdefault(stage, (self.percent, max(self.percent, _ALMOST)))
        part = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        self.percent = max(self.percent, low + part * (high - low))
        return self.percent
