"""Which architecture to train next: the largest expected gain in area under the boundary.

The choice is made from what is left (not pruned, trained, running or given up):

1. The cheapest and the dearest architecture, then a few spread over log-cost (start design).
2. A surrogate is fitted to the trained. Running trials count as trained with the accuracy that it
   expects of them (kriging believer), so that parallel workers do not crowd together.
3. Candidates, at random over cost and around the boundary, are scored by expected gain; the
   boundary is the one the surrogate believes in, which noise lifts less than the observed one.
4. Where no surrogate can be had, the architecture whose cost is farthest from any trained.

Ties are broken at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.search import PartialOrderSearch
from optuna_pop.selection.candidates import CandidatePool
from optuna_pop.selection.gain import Area, expected_gain
from optuna_pop.selection.surrogate import Scaling, Surrogate, SurrogateError

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Vectors: TypeAlias = NDArray[np.integer[Any]]

# (rows) -> (whether each is left, lo, hi): lo and hi with the tolerance included, in accuracy
Order: TypeAlias = Callable[[Rows], tuple[BoolArray, FloatArray, FloatArray]]


@dataclass(frozen=True)
class SelectionOptions:
    """Sizes that trade time for quality; none needs to be set for a table.

    Attributes:
        start: Architectures spread over log-cost after the two extremes.
        spread: Candidates drawn over cost.
        near: Candidates drawn around the boundary.
        trained: The surrogate is conditioned on at most so many trained architectures.
        budget: Candidates times trained architectures that are worth scoring at once.
    """

    start: int = 6
    spread: int = 1500
    near: int = 1000
    trained: int = 400
    budget: int = 160_000


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        row: Of the space.
        gain: Expected gain in accuracy × share of the log-cost range; nan where not scored.
        reason: "start", "gain" or "spread".
    """

    row: int
    gain: float
    reason: str


@dataclass
class Selector:
    """The choice over one space.

    Args:
        vectors: Shape (n, d).
        costs: Shape (n, k).
        options: Sizes.

    Attributes:
        surrogate: Last one fitted.
    """

    vectors: Vectors
    costs: FloatArray
    options: SelectionOptions = field(default_factory=SelectionOptions)

    def __post_init__(self) -> None:
        self.scaling = Scaling.of(self.vectors, self.costs)
        self._scaled = self.scaling.costs(self.costs).astype(np.float32)  # (n, k)
        total = self._scaled.sum(axis=1)  # (n,)
        self._extremes = np.array([total.argmin(), total.argmax()])
        self._pool = CandidatePool(self.vectors, self._scaled)
        self.surrogate = Surrogate(self.scaling)
        self._fitted_at = 0

    def choose(
        self,
        trained: Sequence[int],
        accuracy: FloatArray,
        taken: Sequence[int],
        rng: np.random.Generator,
        order: Order | None = None,
    ) -> Choice | None:
        """Choose the row to train next.

        Args:
            trained: Rows with a finite accuracy, in the sequence of their training.
            accuracy: Theirs, shape (len(trained),).
            taken: Further rows that may not be chosen but count as trained with the accuracy
                expected of them: running trials. Also those given up, of which that is harmless.
            rng: Breaks ties and draws candidates.
            order: Tells of rows which are left, and their bounds; all, unbounded, by default.

        Returns:
            None where nothing is found that is left.
        """
        known = np.asarray(trained, dtype=np.intp)
        pending = np.setdiff1d(np.asarray(taken, dtype=np.intp), known)
        used = np.concatenate([known, pending])
        started = self._start(used, rng, order)
        if started is not None:
            return Choice(started, float("nan"), "start")
        try:
            return self._by_gain(known, np.asarray(accuracy, dtype=np.float64), pending, rng, order)
        except (SurrogateError, np.linalg.LinAlgError, FloatingPointError):
            return self._by_spread(used, rng, order)

    def _left(self, rows: Rows, used: Rows, order: Order | None) -> tuple[Rows, Any, Any]:
        """Those of ``rows`` that are left, with lo and hi."""
        rows = rows[~np.isin(rows, used)]
        if order is None:
            return rows, np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
        left, lo, hi = order(rows)
        return rows[left], lo[left], hi[left]

    def _start(self, used: Rows, rng: np.random.Generator, order: Order | None) -> int | None:
        if len(used) >= self.options.start + 2:
            return None
        for row in self._extremes:
            if row not in used and len(self._left(np.array([row]), used, order)[0]):
                return int(row)
        middle = (np.arange(self.options.start) + 0.5) / self.options.start
        width = 0.5 / self.options.start
        have = self._scaled[np.setdiff1d(used, self._extremes), 0]
        for centre in middle[np.argsort(np.abs(middle - 0.5), kind="stable")[::-1]]:
            if (np.abs(have - centre) <= width).any():
                continue
            rows = self._pool.in_stratum(centre - width, centre + width, 64, rng)
            rows = self._left(rows, used, order)[0]
            if len(rows):
                return int(rows[0])
        return None

    def _condition(self, known: Rows, accuracy: FloatArray, pending: Rows) -> tuple[Rows, Any]:
        """Fit the surrogate; returns the rows it is conditioned on and their mean (b,)."""
        known, accuracy = self._thinned(known, accuracy)
        n = len(known)
        refit = n < 30 or n < self._fitted_at or n >= self._fitted_at * 1.05
        self._fit(known, accuracy, refit)
        if refit:
            self._fitted_at = n
        if len(pending):
            warp = self.surrogate.warp
            believed = self.surrogate.predict(self.vectors[pending], self.costs[pending])[0]
            rows = np.concatenate([known, pending])
            self._fit(rows, np.concatenate([accuracy, warp.back(believed)]), refit=False)
            return rows, self.surrogate.trained_mean
        return known, self.surrogate.trained_mean

    def _fit(self, rows: Rows, accuracy: FloatArray, refit: bool) -> None:
        self.surrogate.fit(self.vectors[rows], self.costs[rows], accuracy, refit=refit)

    def _thinned(self, known: Rows, accuracy: FloatArray) -> tuple[Rows, FloatArray]:
        """Half of those kept are nearest under the boundary, half are the first trained."""
        most = self.options.trained
        if len(known) <= most:
            return known, accuracy
        cost = self._scaled[known]  # (n, k)
        faster = (cost[:, None] <= cost).all(axis=2)  # (w, x)
        short = np.where(faster, accuracy[:, None], -np.inf).max(axis=0) - accuracy  # (n,)
        near = np.argsort(short, kind="stable")[: most // 2]
        rest = np.setdiff1d(np.arange(len(known)), near)[: most - most // 2]
        keep = np.sort(np.concatenate([near, rest]))
        return known[keep], accuracy[keep]

    def _by_gain(
        self,
        known: Rows,
        accuracy: FloatArray,
        pending: Rows,
        rng: np.random.Generator,
        order: Order | None,
    ) -> Choice | None:
        rows, mean = self._condition(known, accuracy, pending)
        area = Area.under(self._scaled[rows].astype(np.float64), mean, float(mean.min()))
        used = np.concatenate([known, pending])
        all_pairs = len(rows) * (self.options.spread + self.options.near)
        few = min(1.0, self.options.budget / all_pairs)
        drawn = self._pool.spread(int(self.options.spread * few), rng)
        height = area.at(self._scaled[rows].astype(np.float64))
        holders = rows[mean >= height - 1e-12][:64]
        near = self._pool.neighbours(holders, int(self.options.near * few), rng)
        found, lo, hi = self._left(np.union1d(drawn, near), used, order)
        if not len(found):
            return self._by_spread(used, rng, order)
        cost = self._scaled[found].astype(np.float64)  # (m, k)
        belief, sd = self.surrogate.predict(self.vectors[found], self.costs[found])
        warp = self.surrogate.warp
        bounds = None if order is None else (warp(lo), warp(hi))
        gain = expected_gain(area, warp, cost, belief, sd, bounds)  # (m,)
        if not np.isfinite(gain).all():
            raise SurrogateError("expected gain is not finite")
        score = gain
        if gain.max() <= 1e-12 * float(np.ptp(accuracy)):  # hopeless: the least unlikely one
            score = (belief - area.at(cost)) / sd
        best = int(rng.choice(np.flatnonzero(score == score.max())))
        return Choice(int(found[best]), float(gain[best]), "gain")

    def _by_spread(
        self, used: Rows, rng: np.random.Generator, order: Order | None
    ) -> Choice | None:
        rows = self._left(self._pool.spread(4096, rng), used, order)[0]
        if not len(rows):  # perhaps little is left: look everywhere
            rows = self._left(np.arange(len(self.vectors)), used, order)[0]
        if not len(rows):
            return None
        if not len(used):
            return Choice(int(rng.choice(rows)), float("nan"), "spread")
        rows = rng.permutation(rows)[:4096]
        apart = np.abs(self._scaled[rows][:, None] - self._scaled[used]).max(axis=2).min(axis=1)
        return Choice(int(rows[apart.argmax()]), float("nan"), "spread")


class ByGain:
    """``Selector`` as the chooser of a ``PartialOrderSearch``.

    Args:
        options: Sizes.

    Attributes:
        last: The last choice, with its expected gain.
    """

    def __init__(self, options: SelectionOptions | None = None) -> None:
        self._options = options or SelectionOptions()
        self._selector: Selector | None = None
        self.last: Choice | None = None

    def __call__(
        self, search: PartialOrderSearch, held: Rows, rng: np.random.Generator
    ) -> int | None:
        """Choose the position with the largest expected gain."""
        if self._selector is None or self._selector.vectors is not search.vectors:
            self._selector = Selector(search.vectors, search.costs, self._options)

        def order(rows: Rows) -> tuple[BoolArray, FloatArray, FloatArray]:
            pruned, tolerance = search.pruned, search.pruned.tolerance
            hi = pruned.hi[rows] + tolerance
            return hi > pruned.reach[rows], pruned.lo[rows] - tolerance, hi

        accuracy = np.array(search.accuracy)
        self.last = self._selector.choose(search.trained, accuracy, held.tolist(), rng, order)
        return None if self.last is None else self.last.row
