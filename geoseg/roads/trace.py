"""From strips of sieved classes to finished centrelines, as they become complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.roads.lines import drawn
from geoseg.roads.network import Network
from geoseg.roads.places import Place, place_of
from geoseg.roads.prune import settle
from geoseg.roads.scale import Scale
from geoseg.roads.thin import BELT, Thinning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.roads.network import Pixel
    from geoseg.roads.thin import Skeleton
    from geoseg.roads.traced import Traced
    from geoseg.vector.runs import Runs
    from geoseg.vocabulary import Grid

_SLENDER = 3.0  # widths; least length of a line that nothing joins


class Centerlines:
    """The centrelines of one class of a raster whose rows come one by one.

    In memory are a belt's rows, the spans of those around it, and paths that still grow. What comes out does not
    depend on the strips that rows come in.
    """

    def __init__(self, grid: Grid, value: int, building: int | None = None, belt: int = BELT) -> None:
        """Begin.

        Args:
            grid: where the pixels lie.
            value: the class of roads.
            building: the class of buildings, if the map knows them.
            belt: working rows that are thinned at once.
        """
        self._grid = grid
        self._scale = Scale.of(grid)
        self._thinning = Thinning(value, grid.width, self._scale, belt, building)
        self._network = Network(self._scale)
        self._settled: list[Pixel] = []
        self._places: dict[Pixel, Place] = {}

    def add(self, runs: Runs) -> Iterator[Traced]:
        """Take the next rows and yield the lines that are complete with them."""
        yield from map(self._lines, self._thinning.add(runs))

    def finish(self) -> Iterator[Traced]:
        """Yield what is left once all rows have come."""
        yield from map(self._lines, self._thinning.finish())

    def _lines(self, skeleton: Skeleton) -> Traced:
        network, places = self._network, self._places
        network.add(skeleton)
        self._settled += settle(network)
        ready = [pixel for pixel in self._settled if network.surrounded(pixel)]
        places |= {pixel: place_of(network, pixel) for pixel in ready}
        self._settled = [pixel for pixel in self._settled if pixel not in places]
        finished = sorted(
            (edge.rank[1:], number)
            for number, edge in network.edges.items()
            if edge.nodes[0] in places and edge.nodes[1] in places
        )
        edges = [network.take(number) for _, number in finished]
        drawing = [(edge, places[edge.nodes[0]], places[edge.nodes[1]]) for edge in edges]
        links = [link for pixel in sorted(ready) for link in places[pixel].links]
        lines = drawn(drawing, links, self._grid, self._scale)
        for pixel in [pixel for pixel in places if not network.nodes[pixel].edges]:
            del places[pixel], network.nodes[pixel]
        # A piece by itself must be clearly longer than wide, or it is a yard, not a road.
        alone = np.array([one is not other and one.is_end and other.is_end for _, one, other in drawing], bool)
        alone = np.append(alone, np.zeros(len(links), bool))
        kept = ~alone | (lines.length_m >= _SLENDER * lines.width_m)
        return lines.chosen(kept)
