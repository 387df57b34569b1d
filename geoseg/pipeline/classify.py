"""From strips of pixels to rows of classes on the grids that need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.inference.blend import decided_rows, scored_rows
from geoseg.inference.decide import decide, onto_grid
from geoseg.inference.eightfold import EightfoldNetwork
from geoseg.inference.network import WindowShape
from geoseg.pipeline.placed import placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geoseg.inference.blend import ScoreRows
    from geoseg.inference.network import Network
    from geoseg.model.file import Model
    from geoseg.pipeline.plan import Place, Plan
    from geoseg.pipeline.request import SegmentRequest
    from geoseg.pipeline.warm import Warm
    from geoseg.vocabulary import ClassRows, Legend, SceneRows


@dataclass(frozen=True, slots=True)
class Classifier:
    """A network and the plan it follows."""

    plan: Plan
    network: Network
    legend: Legend
    needs_scores: bool
    """Whether probabilities are averaged or interpolated before a class is chosen."""
    only_traced: bool
    """Whether nothing but polygons is wanted."""

    @classmethod
    def of(cls, request: SegmentRequest, plan: Plan, model: Model, warm: Warm) -> Classifier:
        """Take or build the network for the plan's windows; raises UsageError and ModelError."""
        windows = plan.windows
        shape = WindowShape(*windows.window, windows.halo - windows.reach)
        network = warm.network(model, shape, request.runs_on)
        if request.eightfold:
            square = shape.height == shape.width
            lying = WindowShape(shape.width, shape.height, shape.halo)
            network = EightfoldNetwork(network, network if square else warm.network(model, lying, request.runs_on))
        return cls(
            plan,
            network,
            model.card.legend,
            needs_scores=plan.resampled or windows.blend == "taper" or request.eightfold,
            only_traced=not request.output.has_rasters,
        )

    def classes(
        self, strips: Iterable[SceneRows], aside: Callable[[ClassRows], None], count: Callable[[int], None]
    ) -> tuple[Place, Iterator[ClassRows]]:
        """Return class rows and the grid they lie on: the scene's, or the network's where only polygons need them.

        Args:
            strips: the scene, ready for the network.
            aside: given the class rows of the network's grid on the way, where rasters are wanted on the scene's.
            count: called with the number of windows done since the last call.
        """
        plan, legend = self.plan, self.legend
        if not self.needs_scores:
            rows = decided_rows(strips, plan.windows, self.network, legend, count)
            return plan.scene, placed(rows, plan.scene, plan.area)
        scores = scored_rows(strips, plan.windows, self.network, len(legend), count)
        traced_on_network = plan.resampled and plan.trace is plan.network
        if not plan.resampled or (traced_on_network and self.only_traced):
            return plan.trace, placed(decide(scores, legend), plan.trace, plan.area)
        if traced_on_network:
            scores = self._put_aside(scores, aside)
        seen, wanted = plan.network, plan.scene
        onto = onto_grid(scores, seen.whole.shape, wanted.whole.shape, seen.window, wanted.window)
        return wanted, placed(decide(onto, legend), wanted, plan.area)

    def _put_aside(self, scores: Iterable[ScoreRows], aside: Callable[[ClassRows], None]) -> Iterator[ScoreRows]:
        """Pass scores on and decide their classes on the network's grid."""
        for strip in scores:
            for rows in placed(decide([strip], self.legend), self.plan.network, self.plan.area):
                aside(rows)
            yield strip
