"""Backbones as paths of a graph, so that they can be drawn by cost where none can list them.

Notation beyond ``optuna_pop.spaces.backbone_costs`` and ``optuna_pop.spaces.counting``:
    (s, k, j)  node: k blocks of stage s stand, the last of width number j
    (s, j)     node: stage s is complete, its last block of width number j

From (s, k, j) an edge leads to (s, k + n, j') for each wider j': a run of n blocks. So a backbone
is one path, and a path has few edges, which keeps the bins close to the costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_pop.spaces.backbone_costs import BackboneCosts
from optuna_pop.spaces.base import FloatArray, IntArray, Rows
from optuna_pop.spaces.counting import PathCounter
from optuna_pop.spaces.graph import Graph
from optuna_pop.spaces.ranking import BackboneRanking


class BackbonePaths:
    """Draws backbones by cost; a ``CostDraws``.

    Args:
        costs: Of the blocks.
        max_depths: Largest number of blocks per stage.
        ranking: The rows of the same space.

    Attributes:
        counter: Of the paths.
        cheapest: Row of an architecture of the least cost.
        dearest: Row of an architecture of the greatest cost.
    """

    def __init__(
        self, costs: BackboneCosts, max_depths: Sequence[int], ranking: BackboneRanking
    ) -> None:
        self._costs = costs
        self._ranking = ranking
        graph, self._runs = _graph(costs, max_depths)
        self.counter = PathCounter(graph)
        extremes = self.rows(np.stack([self.counter.cheapest, self.counter.dearest]))
        self.cheapest, self.dearest = extremes.tolist()

    def vectors(self, labels: IntArray) -> IntArray:
        """Turn labels (m, L) along paths into T (m, d)."""
        # Label by label, for that needs no array of shape (m, L, d). -1 is the empty last run.
        total = np.zeros((len(labels), self._runs.shape[1]), dtype=self._runs.dtype)
        for column in labels.T:
            total += self._runs[column]
        return total

    def rows(self, labels: IntArray) -> Rows:
        """Turn labels (m, L) along paths into rows (m,)."""
        return self._ranking.rows(self.vectors(labels)).astype(np.intp, copy=False)

    def draw_within(
        self, low: FloatArray, high: FloatArray, rng: np.random.Generator
    ) -> tuple[Rows, FloatArray]:
        """Draw architectures by cost; see ``CostDraws.draw_within``."""
        draws = self.counter.draw(
            low, high, rng, lambda labels: self._costs.sums(self.vectors(labels))
        )
        rows = np.full(len(draws.found), -1, dtype=np.intp)
        rows[draws.found] = self.rows(draws.labels[draws.found])
        return rows, draws.costs


def _graph(costs: BackboneCosts, max_depths: Sequence[int]) -> tuple[Graph, IntArray]:
    """Build the graph, and what each label adds to T: shape (labels + 1, d), the last nothing."""
    stages, widths = costs.blocks.shape[:2]
    deepest = max(max_depths)
    offsets = np.cumsum([1, *((most + 1) * widths for most in max_depths)]).tolist()
    end = offsets[-1]

    def node(stage: int, depth: int, width: int) -> int:
        """(s, k, j), or (s, j) with a depth beyond the deepest."""
        return int(offsets[stage] + (depth - 1) * widths + width)

    runs = np.zeros((stages, widths, deepest, stages, widths), dtype=np.int16)
    for stage, width in np.ndindex(stages, widths):
        runs[stage, width, :, stage, : width + 1] = np.arange(1, deepest + 1)[:, None]
    nothing = runs[:1, 0, 0].reshape(1, -1) * 0
    labels = np.arange(stages * widths * deepest).reshape(stages, widths, deepest)
    none = labels.size  # of edges that add no block

    edges: list[tuple[int, int, float, int]] = []

    def add_runs(stage: int, source: int, depth: int, feeder: int) -> None:
        """All runs that may follow in a stage on ``depth`` blocks of it."""
        narrowest = feeder if depth else max(0, feeder - 1)
        for j in range(narrowest, widths):
            first = float(costs.blocks[stage, j, int(depth > 0), feeder])
            first += costs.stem if source == 0 else 0.0
            again = float(costs.repeats[stage, j])
            for n in range(1, max_depths[stage] - depth + 1):
                target = node(stage, depth + n, j)
                edges.append((source, target, first + (n - 1) * again, labels[stage, j, n - 1]))

    add_runs(0, 0, 0, 0)
    for stage, most in enumerate(max_depths):
        for j in range(widths):
            complete = node(stage, most + 1, j)
            for depth in range(1, most + 1):
                edges.append((node(stage, depth, j), complete, 0.0, none))
                add_runs(stage, node(stage, depth, j), depth, j + 1)
            if stage + 1 < stages:
                add_runs(stage + 1, complete, 0, j + 1)
            else:
                edges.append((complete, end, float(costs.heads[j + 1]), none))
    sources, targets, weights, names = zip(*edges, strict=True)
    graph = Graph(
        nodes=end + 1,
        start=0,
        end=end,
        sources=np.array(sources, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64),
        costs=np.array(weights, dtype=np.float64),
        labels=np.array(names, dtype=np.int64),
    )
    return graph, np.concatenate([runs.reshape(none, -1), nothing, nothing])
