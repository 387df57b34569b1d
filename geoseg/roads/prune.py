"""Take from a skeleton what only its pixels put there: spurs, and junctions that are one.

Edges hardly longer than the road is wide are in doubt; all others last. A cluster of nodes joined by edges in doubt
can be settled as soon as all of these are known, and no other cluster makes a difference to it: what is done belt by
belt is what would be done to the whole.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geoseg.roads.network import APART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.roads.network import Edge, Network, Pixel

_LOOP = 4.0  # half widths of a junction; a loop shorter than that is part of it


def settle(network: Network) -> list[Pixel]:
    """Prune and merge wherever nothing more can come, and return the nodes that are final, in order."""
    final: list[Pixel] = []
    for cluster in _clusters(network):
        while _pruned(network, cluster) or _merged(network, cluster):
            pass
        left = sorted(pixel for pixel in cluster if pixel in network.nodes)
        for pixel in left:
            network.nodes[pixel].settled = True
        final += left
    return final


def _clusters(network: Network) -> Iterator[set[Pixel]]:
    """Yield sets of nodes that can be settled; what happens to one of them changes no other's nodes."""
    seen: set[Pixel] = set()
    for start, node in list(network.nodes.items()):
        if start in seen or node.settled or start not in network.nodes:
            continue
        cluster, ahead, whole = {start}, [start], True
        while ahead:
            here = network.nodes[ahead.pop()]
            whole &= not here.open
            for number in here.edges:
                edge = network.edges[number]
                whole &= edge.lasting is not None
                if edge.lasting is not True:
                    fresh = set(edge.nodes) - cluster
                    cluster |= fresh
                    ahead += fresh
        seen |= cluster
        if whole:
            yield cluster


def _pruned(network: Network, cluster: set[Pixel]) -> bool:
    """Take out the shortest spur or loop that is noise; tell whether there was one."""
    found = [(edge.rank, number) for number, edge in _edges(network, cluster) if _is_noise(network, edge)]
    if not found:
        return False
    edge = network.take(min(found)[1])
    cluster |= {network.dissolve(pixel, cluster) for pixel in set(edge.nodes)}
    return True


def _is_noise(network: Network, edge: Edge) -> bool:
    """Tell whether an edge is a dead end or a loop in doubt, or a loop around something smaller than its junction."""
    if edge.lasting:
        members = network.nodes[edge.nodes[0]].members
        loop = edge.nodes[0] == edge.nodes[1] and len(network.nodes[edge.nodes[0]].edges) > 2
        return loop and not edge.far and edge.length_m < _LOOP * max(distance for _, _, distance in members)
    degrees = [len(network.nodes[pixel].edges) for pixel in edge.nodes]
    return edge.nodes[0] == edge.nodes[1] or (min(degrees) == 1 and edge.length_m < edge.width_m)


def _merged(network: Network, cluster: set[Pixel]) -> bool:
    """Make one of the two nearest junctions that are closer than the road is wide; tell whether there were such."""
    found = [(edge.rank, number) for number, edge in _edges(network, cluster) if _is_crossing(network, edge)]
    if not found:
        return False
    edge = network.take(min(found)[1])
    kept, lost = min(edge.nodes), max(edge.nodes)
    network.merge(kept, lost)
    cluster.add(network.dissolve(kept, cluster))
    return True


def _is_crossing(network: Network, edge: Edge) -> bool:
    """Tell whether the ends of an edge in doubt, with all that was merged there, lie within the road's width."""
    if edge.lasting or min(len(network.nodes[pixel].edges) for pixel in edge.nodes) == 1:
        return False
    scale = network.scale
    one, other = (network.nodes[pixel].members for pixel in edge.nodes)
    apart = max(math.hypot((a[0] - b[0]) * scale.height_m, (a[1] - b[1]) * scale.width_m) for a in one for b in other)
    return apart < APART * edge.width_m


def _edges(network: Network, cluster: set[Pixel]) -> Iterator[tuple[int, Edge]]:
    """Yield the edges of a cluster."""
    numbers = {number for pixel in cluster if pixel in network.nodes for number in network.nodes[pixel].edges}
    for number in numbers:
        yield number, network.judged(number)
