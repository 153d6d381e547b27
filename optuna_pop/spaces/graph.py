"""Graphs whose paths from a start to an end have costs.

Notation:
    L  number of edges of the path that has most
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import InputError

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Graph:
    """Paths from a start to an end.

    Attributes:
        nodes: Number of nodes; numbered such that edges lead from lower to higher numbers.
        start: Where paths begin.
        end: Where they end.
        sources: Node that each edge leaves, shape (edges,).
        targets: Node that it leads to, shape (edges,).
        costs: Finite, any unit, shape (edges,).
        labels: What an edge is called, at least 0, shape (edges,).
    """

    nodes: int
    start: int
    end: int
    sources: Integers
    targets: Integers
    costs: Floats
    labels: Integers


class PathGraph:
    """A graph prepared for walking: edges in the sequence of their sources, without dead ends.

    Args:
        graph: The graph.

    Attributes:
        start: Where paths begin.
        end: Where they end.
        sources: As in ``Graph``, of the edges kept.
        targets: Theirs.
        costs: Theirs.
        labels: Theirs.
        leaving: Edges that leave each node.
        size: Number of paths.
        longest: L.

    Raises:
        InputError: if there is no path, there are 2^63 or more, edges lead backwards, or a cost
            is not finite.
    """

    def __init__(self, graph: Graph) -> None:
        _check(graph)
        self.start, self.end = graph.start, graph.end
        sort = np.argsort(graph.sources, kind="stable")
        ways = [0] * graph.nodes
        ways[self.end] = 1
        for edge in sort.tolist()[::-1]:
            ways[graph.sources[edge]] += ways[graph.targets[edge]]
        self.size = ways[self.start]
        if not 0 < self.size < 2**63:
            raise InputError(
                f"a graph must have between 1 and 2^63 - 1 paths from node {self.start} to node "
                f"{self.end} but has {self.size:,}"
            )
        keep = sort[np.array([count > 0 for count in ways])[graph.targets[sort]]]
        self.sources, self.targets = graph.sources[keep], graph.targets[keep]
        self.costs, self.labels = graph.costs[keep], graph.labels[keep]
        ends = np.searchsorted(self.sources, np.arange(graph.nodes + 1)).tolist()
        self.leaving = [slice(low, high) for low, high in itertools.pairwise(ends)]
        self.longest = int(self.extreme(np.ones(len(keep)), np.argmax)[0][self.start])

    def extreme(
        self, weights: Floats, choose: Callable[[Floats], np.intp]
    ) -> tuple[Floats, Integers]:
        """Least or greatest sum of weights (edges,) to the end.

        Args:
            weights: Of the edges kept.
            choose: ``np.argmin`` or ``np.argmax``.

        Returns:
            The sum from each node, shape (nodes,), and the edge taken first, shape (nodes,).
        """
        best = np.zeros(len(self.leaving))
        first = np.zeros(len(self.leaving), dtype=np.int64)
        for node in reversed(range(len(self.leaving))):
            edges = self.leaving[node]
            if edges.start < edges.stop:
                sums = weights[edges] + best[self.targets[edges]]
                at = int(choose(sums))
                best[node], first[node] = sums[at], edges.start + at
        return best, first

    def follow(self, first: Integers) -> tuple[Integers, float]:
        """Labels (L,), filled up with -1, and cost of the path that takes these edges (nodes,)."""
        labels = np.full(self.longest, -1)
        node, cost, at = self.start, 0.0, 0
        while node != self.end:
            labels[at] = self.labels[first[node]]
            cost += float(self.costs[first[node]])
            node, at = int(self.targets[first[node]]), at + 1
        return labels, cost


def _check(graph: Graph) -> None:
    ends = np.concatenate([graph.sources, graph.targets])
    if not len(ends) or ends.min() < 0 or ends.max() >= graph.nodes:
        raise InputError(f"edges must join nodes from 0 to {graph.nodes - 1}")
    backwards = np.flatnonzero(graph.sources >= graph.targets)
    if len(backwards):
        edge = backwards[0]
        raise InputError(
            f"edges must lead to nodes of higher numbers but one leads from "
            f"{graph.sources[edge]} to {graph.targets[edge]}"
        )
    if not np.isfinite(graph.costs).all():
        raise InputError("costs of edges must be finite numbers")
