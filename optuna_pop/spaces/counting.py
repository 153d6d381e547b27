"""Drawing paths of a graph uniformly among those whose cost lies in an interval.

An architecture made of blocks is a path through a graph whose edges carry the costs of blocks
(POP paper, section 3.2, arXiv:1903.03777: a network's latency is the sum over its blocks). So
architectures can be counted by cost, and drawn, where there are far too many to be listed.

Notation beyond ``optuna_pop.spaces.graph``:
    m      number of paths asked for
    h(v)   cost of the cheapest way from node v to the end
    c'     reduced cost of an edge v → w: its cost + h(w) - h(v) ≥ 0. Along a path these add up to
           the path's cost above the cheapest path's
    δ      width of a bin; an edge lies in bin ⌊c'/δ⌋, a path in the sum of its edges' bins
    N(v,b) number of ways from v to the end whose bins sum to b

N follows from the end backwards. A path is drawn by drawing its number among all paths of the bins
that may hold costs of the interval, and walking to it; it is drawn again if its cost lies outside.
All counts are integers, so every path of the interval is exactly as likely as any other.

Cheap paths need narrow bins, dear ones many. So there are scales: each has as many bins as any
other, for an eighth of the range of costs that the scale before it covers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_pop.errors import InputError
from optuna_pop.spaces.graph import Floats, Graph, Integers, PathGraph

_PROPOSALS = (1, 3, 12, 60, 240)  # paths proposed at once for each interval still without one
_ALL = 4  # times as many paths are looked at together where that is all there are
_AT_ONCE = 1 << 19  # edges looked at together, which bounds the memory
_SLACK = 1e-6  # of a bin, for rounding
_SCALES = 3
_FINER = 8  # times as narrow are the bins of the next scale
_FEW_EDGES = 24  # nodes that fewer edges leave are worked on apart from the others


@dataclass(frozen=True)
class Draws:
    """What was drawn.

    Attributes:
        labels: Of the edges along each path, filled up with -1, shape (m, L).
        costs: Shape (m,); nan where nothing was found.
        found: Whether a path was found for the interval, shape (m,).
    """

    labels: Integers
    costs: Floats
    found: NDArray[np.bool_]


class PathCounter:
    """Counts and draws the paths of a graph by their cost.

    Args:
        graph: The graph.
        bins: How many bins the range of the paths' costs is cut into. Twice as many halve the
            draws that fail in narrow intervals, and take twice the memory: 8 bytes a node and bin,
            for each of at most 3 scales.

    Attributes:
        size: Number of paths.
        cheapest: Labels of a path of the least cost, shape (L,).
        dearest: Labels of a path of the greatest cost, shape (L,).
        lowest: Cost of the cheapest path.
        highest: Cost of the dearest path.

    Raises:
        InputError: if there is no path, there are 2^63 or more, edges lead backwards, a cost is
            not finite, or there is no bin.
    """

    def __init__(self, graph: Graph, bins: int = 3072) -> None:
        if bins < 1:
            raise InputError(f"bins must be at least 1 but is {bins}")
        self._bins = bins
        self._graph = paths = PathGraph(graph)
        self.size = paths.size
        height, first = paths.extreme(paths.costs, np.argmin)
        self.cheapest, self.lowest = paths.follow(first)
        self.dearest, self.highest = paths.follow(paths.extreme(paths.costs, np.argmax)[1])
        reduced = paths.costs + height[paths.targets] - height[paths.sources]
        self._reduced = np.maximum(reduced, 0.0)  # (edges,)
        self._scales: dict[int, _Scale] = {}

    @property
    def width(self) -> float:
        """δ of the first scale, in the unit of the costs."""
        return self._scale(0).width

    def count(self, first: int, last: int) -> int:
        """Return how many paths lie in the bins from ``first`` to ``last`` of the first scale."""
        before = self._scale(0).before
        low, high = np.clip([first, last + 1], 0, len(before) - 1)
        return max(0, int(before[high] - before[low]))

    def _scale(self, number: int) -> _Scale:
        if number not in self._scales:
            reach = (self.highest - self.lowest) / _FINER**number
            width = reach / self._bins or 1.0
            self._scales[number] = _Scale(self._graph, self._reduced, self._bins, width)
        return self._scales[number]

    def draw(
        self,
        low: Floats,
        high: Floats,
        rng: np.random.Generator,
        cost_of: Callable[[Integers], Floats] | None = None,
    ) -> Draws:
        """Draw a path for each interval, uniformly among the paths whose cost lies in it.

        Args:
            low: Least cost, shape (m,).
            high: Greatest cost, shape (m,); both ends are included.
            rng: Of random choices.
            cost_of: Costs (k,) of paths from their labels (k, L), which must agree with the
                edges' but for rounding; by default the sum of the edges'.

        Returns:
            Nothing is found where the interval is empty, and rarely where hardly one in a
            hundred of the very many paths near it lies in it.
        """
        low, high = np.broadcast_arrays(
            np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        )
        draws = Draws(
            labels=np.full((len(low), self._graph.longest), -1),
            costs=np.full(len(low), np.nan),
            found=np.zeros(len(low), dtype=np.bool_),
        )
        reach = (self.highest - self.lowest) / float(_FINER) ** np.arange(1, _SCALES)
        scales = (high[:, None] - self.lowest <= reach).sum(axis=1)  # (m,)
        for scale in np.unique(scales).tolist():
            self._draw(np.flatnonzero(scales == scale), scale, (low, high), rng, cost_of, draws)
        return draws

    def _draw(
        self,
        wanting: NDArray[np.intp],
        number: int,
        bounds: tuple[Floats, Floats],
        rng: np.random.Generator,
        cost_of: Callable[[Integers], Floats] | None,
        draws: Draws,
    ) -> None:
        """Draw those that want a path, on one scale, into ``draws``."""
        low, high = bounds
        scale = self._scale(number)
        begin, end = scale.numbers(low - self.lowest, high - self.lowest)
        wanting = wanting[end[wanting] > begin[wanting]]
        for proposals in _PROPOSALS:
            at_once = max(1, _AT_ONCE // (scale.most_edges * _ALL * proposals))
            for piece in np.split(wanting, range(at_once, len(wanting), at_once)):
                of, numbers = _propose(begin[piece], end[piece], proposals, rng)
                of = piece[of]
                labels, costs = scale.walk(numbers)
                if cost_of is not None:
                    costs = cost_of(labels)
                inside = np.flatnonzero((costs >= low[of]) & (costs <= high[of]))
                hit, at = np.unique(of[inside], return_index=True)  # the first of each
                draws.labels[hit] = labels[inside[at]]
                draws.costs[hit] = costs[inside[at]]
                draws.found[hit] = True
            many = end[wanting] - begin[wanting] > _ALL * proposals
            wanting = wanting[many & ~draws.found[wanting]]


def _propose(
    begin: Integers, end: Integers, proposals: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Integers]:
    """Random numbers in [begin, end), (m,) each; where these are few, all in random sequence.

    Returns:
        Whose they are, 0 … m - 1, shape (k,), and the numbers, shape (k,).
    """
    near = end - begin
    every = near <= _ALL * proposals
    counts = np.where(every, near, proposals)
    of = np.repeat(np.arange(len(near)), counts)
    place = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers = begin[of] + np.where(every[of], place, rng.integers(near[of]))
    shuffled = rng.permutation(len(of))
    return of[shuffled], numbers[shuffled]


class _Scale:
    """The paths in bins of one width.

    Attributes:
        width: δ.
        before: Number of paths in lower bins, shape (bins + 3,).
        most_edges: Largest number of edges that leave a node.
    """

    def __init__(self, graph: PathGraph, reduced: Floats, bins: int, width: float) -> None:
        self._graph = graph
        self.width = width
        nodes = len(graph.leaving)
        # An edge beyond the last bin is on no path that is counted. Rounding may lift a path
        # into the bin after the last.
        self._shift = np.minimum(np.floor(reduced / width), bins + 2).astype(np.int64)
        missed = reduced / width - np.floor(reduced / width)
        # Most that a path's cost may exceed its bin's lower end, in bins.
        self._undershoot = float(graph.extreme(missed, np.argmax)[0][graph.start])
        # N. A last column and a last row of zeros stand for bins below the first and for edges
        # that a node lacks.
        ways = np.zeros((nodes + 1, bins + 3), dtype=np.int64)
        ways[graph.end, 0] = 1
        most = bins + 2
        for node in reversed(range(nodes)):
            edges = graph.leaving[node]
            pairs = zip(graph.targets[edges].tolist(), self._shift[edges].tolist(), strict=True)
            for target, shift in pairs:
                ways[node, shift:most] += ways[target, : most - shift]
        self.before = np.concatenate([[0], np.cumsum(ways[graph.start, :-1])])
        self._ways = ways.reshape(-1)
        # Edges that leave a node stand side by side, shape (nodes, most edges).
        self._degree = np.array([edges.stop - edges.start for edges in graph.leaving])
        self._first_edge = np.array([edges.start for edges in graph.leaving])
        self.most_edges = int(self._degree.max())
        self._row_out = np.full((nodes, self.most_edges), nodes * (bins + 3))
        self._shift_out = np.zeros((nodes, self.most_edges), dtype=np.int64)
        for node, (edges, degree) in enumerate(zip(graph.leaving, self._degree, strict=True)):
            self._row_out[node, :degree] = graph.targets[edges] * (bins + 3)
            self._shift_out[node, :degree] = self._shift[edges]

    def numbers(self, low: Floats, high: Floats) -> tuple[Integers, Integers]:
        """Numbers [begin, end) of the paths that may have a reduced cost in [low, high], (m,)."""
        bins = len(self.before) - 1
        with np.errstate(invalid="ignore", over="ignore"):
            first = np.ceil(low / self.width - self._undershoot - _SLACK)
            after = np.floor(high / self.width + _SLACK) + 1
        after = np.where(low <= high, after, 0.0)  # also where one is nan
        begin = self.before[np.nan_to_num(first).clip(0, bins).astype(np.intp)]
        return begin, self.before[np.nan_to_num(after).clip(0, bins).astype(np.intp)]

    def walk(self, numbers: Integers) -> tuple[Integers, Floats]:
        """Labels (k, L) and costs (k,) of paths by their numbers (k,), in the sequence of bins."""
        graph = self._graph
        labels = np.full((len(numbers), graph.longest), -1)
        costs = np.zeros(len(numbers))
        left = np.searchsorted(self.before, numbers, side="right") - 1  # bins
        number = numbers - self.before[left]  # among the ways from the node
        node = np.full(len(numbers), graph.start)
        of = np.arange(len(numbers))  # the paths that are not at the end yet
        for step in range(graph.longest):
            edge = self._next(node, left, number)
            left -= self._shift[edge]
            labels[of, step] = graph.labels[edge]
            costs[of] += graph.costs[edge]
            node = graph.targets[edge]
            going = np.flatnonzero(node != graph.end)
            if not len(going):
                break
            if len(going) < len(of):
                of, node, left, number = of[going], node[going], left[going], number[going]
        return labels, costs

    def _next(self, node: Integers, left: Integers, number: Integers) -> Integers:
        """Edges (k,) that paths take; ``number`` becomes that among the ways behind the edge."""
        edge = np.empty(len(node), dtype=np.int64)
        few = self._degree[node] <= _FEW_EDGES
        for group in (np.flatnonzero(few), np.flatnonzero(~few)):
            if not len(group):
                continue
            here = node[group]
            most = self._degree[here].max()
            column = left[group, None] - self._shift_out[:, :most].take(here, axis=0)
            np.maximum(column, -1, out=column)
            column += self._row_out[:, :most].take(here, axis=0)
            passed = np.cumsum(self._ways.take(column), axis=1)  # (group, most)
            taken = (passed > number[group, None]).argmax(axis=1)
            before = passed[np.arange(len(group)), taken - 1]
            number[group] -= np.where(taken > 0, before, 0)
            edge[group] = self._first_edge[here] + taken
        return edge
