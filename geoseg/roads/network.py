"""The graph of a skeleton that grows belt by belt: junctions and ends, and the paths of pixels between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from geoseg.roads.paths import follow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale
    from geoseg.roads.thin import Skeleton

Pixel = tuple[int, int]
"""Row and column of a pixel."""

APART = 1.05
"""Widths; junctions closer than that are one, because roads that cross askew part so far from each other."""
_ENOUGH = 256  # pixels; of a path so long, what lies behind makes no difference at its beginning


@dataclass(frozen=True)
class Edge:
    """A path of pixels from one node to another, or back to the same."""

    nodes: tuple[Pixel, Pixel]
    """Where it begins and ends."""
    pixels: NDArray[np.int64]
    """Shape (n, 2), rows and columns."""
    near: NDArray[np.float32]
    """Shape (n, 11), see `geoseg.roads.thin.Skeleton`."""
    length_m: float
    lasting: bool | None = None
    """Whether it is too long to be noise; None while that is not known. What a lasting edge becomes part of lasts."""
    far: bool = False
    """Whether what happened at a distance made it: then it is no reason to do anything at its ends."""

    @cached_property
    def width_m(self) -> float:
        """Width of the road at its wider end, in metres."""
        return 2 * float(max(self.near[0, 4], self.near[-1, 4]))

    @cached_property
    def rank(self) -> tuple[float, ...]:
        """What edges are ordered by: length, then place."""
        ends = sorted((tuple(self.pixels[0].tolist()), tuple(self.pixels[-1].tolist())))
        beside = sorted((tuple(self.pixels[1].tolist()), tuple(self.pixels[-2].tolist())))
        return (self.length_m, *ends[0], *ends[1], *beside[0], *beside[1])

    def turned(self) -> Edge:
        """Return the same edge from its other end."""
        return Edge(self.nodes[::-1], self.pixels[::-1], self.near[::-1], self.length_m, self.lasting, self.far)


@dataclass
class Node:
    """A junction or an end."""

    members: list[tuple[int, int, float]]
    """Rows and columns of its pixels, and metres to the nearest pixel off the road."""
    edges: list[int] = field(default_factory=list)
    """Numbers of its edges; one that comes back is there twice."""
    open: bool = False
    """Whether rows that may hold more of its edges have not come."""
    settled: bool = False
    """Whether it stays as it is."""


class Network:
    """Nodes by their first pixel and edges by number."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.nodes: dict[Pixel, Node] = {}
        self.edges: dict[int, Edge] = {}
        self._count = 0
        self._seam: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]] | None = None

    def add(self, skeleton: Skeleton) -> None:
        """Take the next rows of the skeleton; paths that go on from earlier rows are put together."""
        parts = [(skeleton.rows, skeleton.cols, skeleton.near)]
        if self._seam is not None:
            parts.insert(0, self._seam)
        rows, cols, near = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        known = 0 if self._seam is None else len(self._seam[0])
        seam = None if skeleton.last else skeleton.bottom - 1
        was_open = [pixel for pixel, node in self.nodes.items() if node.open]
        pixels = np.column_stack((rows, cols))
        for path in follow(rows, cols, known=known, seam=seam):
            self._put(pixels[path], near[path])
        for pixel in was_open:
            self.nodes[pixel].open = False
        here = rows == seam
        self._seam = rows[here], cols[here], near[here]
        for pixel, around in zip(pixels[here].tolist(), near[here], strict=True):
            self._node((pixel[0], pixel[1]), float(around[4])).open = True
        for pixel in was_open:
            self.dissolve(pixel)
        for number in self.edges:
            self.judged(number)

    def take(self, number: int) -> Edge:
        """Take an edge out; nodes stay."""
        edge = self.edges.pop(number)
        for pixel in edge.nodes:
            self.nodes[pixel].edges.remove(number)
        return edge

    def put(self, edge: Edge) -> None:
        """Put an edge between nodes that are there."""
        self.edges[self._count] = edge
        for pixel in edge.nodes:
            self.nodes[pixel].edges.append(self._count)
        self._count += 1

    def dissolve(self, pixel: Pixel, cluster: set[Pixel] | None = None) -> Pixel:
        """Make one edge of two where nothing else meets, and forget a node where nothing does.

        Args:
            pixel: the node.
            cluster: the nodes that are being settled, if that is why.

        Returns:
            The pixel, or of a ring without junctions that where it begins now.
        """
        node = self.nodes[pixel]
        if node.open or len(node.edges) not in (0, 2):
            return pixel
        if not node.edges:
            del self.nodes[pixel]
            return pixel
        one, other = node.edges
        if one == other:
            return self._turn_ring(pixel, one)
        first, then = self.take(one), self.take(other)
        first = first if first.nodes[1] == pixel else first.turned()
        then = then if then.nodes[0] == pixel else then.turned()
        del self.nodes[pixel]
        joined = self._joined(first, then)
        far = joined.far or (cluster is not None and not cluster.issuperset(joined.nodes))
        self.put(replace(joined, far=far))
        return pixel

    def merge(self, kept: Pixel, lost: Pixel) -> None:
        """Make one node of two."""
        into, gone = self.nodes[kept], self.nodes.pop(lost)
        into.members = sorted(into.members + gone.members)
        into.edges += gone.edges
        for number in set(gone.edges):
            edge = self.edges[number]
            nodes = tuple(kept if pixel == lost else pixel for pixel in edge.nodes)
            self.edges[number] = replace(edge, nodes=(nodes[0], nodes[1]))

    def surrounded(self, pixel: Pixel) -> bool:
        """Tell whether the edges of a settled node are known as far as they matter to it."""
        edges = [self.edges[number] for number in self.nodes[pixel].edges]
        return all(len(edge.pixels) >= _ENOUGH or all(self.nodes[end].settled for end in edge.nodes) for edge in edges)

    def judged(self, number: int) -> Edge:
        """Return an edge, which knows whether it lasts if that can be known."""
        edge = self.edges[number]
        if edge.lasting is not None:
            return edge
        if len(edge.pixels) < _ENOUGH and any(self.nodes[pixel].open for pixel in edge.nodes):
            return edge
        lasting = len(edge.pixels) >= _ENOUGH or edge.length_m >= APART * edge.width_m
        self.edges[number] = replace(edge, lasting=lasting)
        return self.edges[number]

    def _node(self, pixel: Pixel, distance: float) -> Node:
        return self.nodes.setdefault(pixel, Node([(*pixel, distance)]))

    def _put(self, pixels: NDArray[np.int64], near: NDArray[np.float32]) -> None:
        ends = []
        for end in (0, -1):
            row, col = pixels[end].tolist()
            self._node((row, col), float(near[end, 4]))
            ends.append((row, col))
        self.put(Edge((ends[0], ends[1]), pixels, near, self._length(pixels)))

    def _length(self, pixels: NDArray[np.int64]) -> float:
        """Return the length of a path in metres, the same for the same steps in any order."""
        rows, cols = np.abs(np.diff(pixels, axis=0)).T
        down, across, both = int((rows > cols).sum()), int((cols > rows).sum()), int((rows & cols).sum())
        return down * self.scale.height_m + across * self.scale.width_m + both * self.scale.diagonal_m

    def _joined(self, first: Edge, then: Edge) -> Edge:
        """Return one edge of two; where a node had several pixels, they need not touch."""
        same = np.array_equal(first.pixels[-1], then.pixels[0])
        pixels = np.concatenate((first.pixels, then.pixels[int(same) :]))
        near = np.concatenate((first.near, then.near[int(same) :]))
        length = self._length(pixels) if same else first.length_m + then.length_m
        lasting = True if first.lasting or then.lasting else None
        return Edge((first.nodes[0], then.nodes[1]), pixels, near, length, lasting, first.far or then.far)

    def _turn_ring(self, pixel: Pixel, number: int) -> Pixel:
        """Let a ring without junction begin at its first pixel."""
        ring = self.take(number)
        pixels, near = ring.pixels[:-1], ring.near[:-1]
        start = int(np.lexsort((pixels[:, 1], pixels[:, 0]))[0])
        order = np.append(np.roll(np.arange(len(pixels)), -start), start)
        row, col = pixels[start].tolist()
        del self.nodes[pixel]
        self._node((row, col), float(near[start, 4]))
        nodes = (row, col), (row, col)
        self.put(Edge(nodes, pixels[order], near[order], ring.length_m, ring.lasting, ring.far))
        return row, col
