"""Which architecture to train next: the largest expected gain in area under the boundary.

The choice is made from what is left (not pruned, trained, running or given up):

1. The cheapest and the dearest architecture, then a few spread over log-cost, each the one with
   about the most precedents of some (start design): accuracy follows their number (the paper's
   Figure 8b).
2. A surrogate is fitted to the trained. Running trials count as trained with the accuracy that it
   expects of them (kriging believer), so that parallel workers do not crowd together.
3. Candidates, at random over cost and around the boundary, are scored by expected gain; the
   boundary is the one the surrogate believes in, which noise lifts less than the observed one.
   Where costs are known only after training, another surrogate says what to expect of them.
4. Where no surrogate can be had, the architecture whose cost is farthest from any trained.

Ties are broken at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optuna_pop.order.boundary import highest_within
from optuna_pop.order.region import Batch, Ranges, Region
from optuna_pop.order.search import PartialOrderSearch, uniform
from optuna_pop.selection.gain import Area, expected_gain
from optuna_pop.selection.process import SurrogateError
from optuna_pop.selection.scaling import Scaling
from optuna_pop.selection.surrogate import CostSurrogate, Surrogate
from optuna_pop.selection.threads import one_blas_thread

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]

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
    trained: int = 320
    budget: int = 128_000


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


@dataclass(frozen=True)
class Known:
    """What is trained.

    Attributes:
        rows: Of Ŝ, in the sequence of their training, shape (n,).
        costs: Shape (n, k).
        accuracy: Finite, shape (n,).
    """

    rows: Rows
    costs: FloatArray
    accuracy: FloatArray

    def of(self, where: Rows) -> Known:
        """Those at some places."""
        return Known(self.rows[where], self.costs[where], self.accuracy[where])


class Selector:
    """The choice over one Ŝ.

    Args:
        region: Ŝ.
        options: Sizes.
        known: Whether costs are known before training.

    Attributes:
        surrogate: Last one fitted.
    """

    def __init__(
        self, region: Region, options: SelectionOptions | None = None, *, known: bool = True
    ) -> None:
        self.region = region
        self.options = options or SelectionOptions()
        self.scaling = Scaling.of(region.ranges)
        self.surrogate = Surrogate(self.scaling)
        self._cost = None if known else CostSurrogate(self.scaling)
        self._fitted_at = 0

    def choose(
        self,
        trained: Known,
        taken: Sequence[int] | Rows,
        rng: np.random.Generator,
        order: Order | None = None,
    ) -> Choice | None:
        """Choose the row to train next.

        Args:
            trained: What is known.
            taken: Further rows that may not be chosen but count as trained with the accuracy
                expected of them: running trials. Also those given up, of which that is harmless.
            rng: Breaks ties and draws candidates.
            order: Tells of rows which are left, and their bounds; all, unbounded, by default.

        Returns:
            None where nothing is found that is left.
        """
        pending = np.setdiff1d(np.asarray(taken, dtype=np.intp), trained.rows)
        used = np.concatenate([trained.rows, pending])
        started = self._start(used, rng, order)
        if started is not None:
            return Choice(started, float("nan"), "start")
        try:
            return self._by_gain(trained, pending, rng, order)
        except (SurrogateError, np.linalg.LinAlgError, FloatingPointError):
            return self._by_spread(used, rng, order)

    def _left(self, rows: Rows, used: Rows, order: Order | None) -> tuple[Rows, Any, Any]:
        """Those of ``rows`` that are left, with lo and hi."""
        rows = rows[~np.isin(rows, used)]
        if order is None:
            return rows, np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
        left, lo, hi = order(rows)
        return rows[left], lo[left], hi[left]

    # --- the first few -----------------------------------------------------------------------

    def _start(self, used: Rows, rng: np.random.Generator, order: Order | None) -> int | None:
        if len(used) >= self.options.start + 2:
            return None
        extremes = self.region.extremes
        for row in extremes:
            if row not in used and len(self._left(np.array([row]), used, order)[0]):
                return int(row)
        middle = (np.arange(self.options.start) + 0.5) / self.options.start
        width = 0.5 / self.options.start
        have = self.region.places(np.setdiff1d(used, extremes))
        for centre in middle[np.argsort(np.abs(middle - 0.5), kind="stable")[::-1]]:
            if (np.abs(have - centre) <= width).any():
                continue
            rows = self.region.between(centre - width, centre + width, 64, rng)
            rows = self._left(rows, used, order)[0]
            if len(rows):
                return int(rows[self._precedents(rows).argmax()])
        return None

    def _precedents(self, rows: Rows) -> FloatArray:
        """Log of the number of precedents, about and up to a constant, shape (m,)."""
        levels = self.scaling.levels(self.region.take(rows).vectors)
        return np.asarray((levels * self.scaling.log_range).sum(axis=1))

    # --- by expected gain --------------------------------------------------------------------

    def _by_gain(
        self, trained: Known, pending: Rows, rng: np.random.Generator, order: Order | None
    ) -> Choice | None:
        used = np.concatenate([trained.rows, pending])
        rows, costs, mean = self._condition(trained, pending)
        area = Area.under(costs, mean, float(mean.min()))
        found, lo, hi = self._candidates(rows, costs, mean, area, used, rng, order)
        if not len(found.rows):
            return self._by_spread(used, rng, order)
        cost = self.scaling.costs(found.costs)  # (m, k)
        belief, sd = self.surrogate.predict(found.vectors, found.costs)
        warp = self.surrogate.warp
        bounds = None if order is None else (warp(lo), warp(hi))
        gain = expected_gain(area, warp, cost, belief, sd, bounds)  # (m,)
        if not np.isfinite(gain).all():
            raise SurrogateError("expected gain is not finite")
        score = gain
        if gain.max() <= 1e-12 * float(np.ptp(trained.accuracy)):  # hopeless: the least unlikely
            score = (belief - area.at(cost)) / sd
        best = int(rng.choice(np.flatnonzero(score == score.max())))
        return Choice(int(found.rows[best]), float(gain[best]), "gain")

    def _condition(self, trained: Known, pending: Rows) -> tuple[Rows, FloatArray, FloatArray]:
        """Fit the surrogates; returns the b rows conditioned on, scaled costs (b, k), mean (b,)."""
        n = len(trained.rows)
        refit = n < 30 or n < self._fitted_at or n >= self._fitted_at * 1.05
        if self._cost is not None:
            self._learn_costs(trained, pending, refit=refit)
        kept = self._thinned(trained)
        self._fit(kept, refit=refit)
        if refit:
            self._fitted_at = n
        if len(pending):
            running = self._take(pending)
            believed = self.surrogate.predict(running.vectors, running.costs)[0]
            kept = Known(
                np.concatenate([kept.rows, pending]),
                np.concatenate([kept.costs, running.costs]),
                np.concatenate([kept.accuracy, self.surrogate.warp.back(believed)]),
            )
            self._fit(kept, refit=False)
        return kept.rows, self.scaling.costs(kept.costs), self.surrogate.trained_mean

    def _fit(self, known: Known, *, refit: bool) -> None:
        vectors = self.region.take(known.rows).vectors
        self.surrogate.fit(vectors, known.costs, known.accuracy, refit=refit)

    def _learn_costs(self, trained: Known, pending: Rows, *, refit: bool) -> None:
        """Fit what to expect of costs; their range is that of what has been seen and expected."""
        assert self._cost is not None
        self._cost.fit(self.region.take(trained.rows).vectors, trained.costs, refit=refit)
        ends = self._cost.predict(self.region.take(self.region.extremes).vectors)
        if len(pending):
            ends = np.concatenate([ends, self._cost.predict(self.region.take(pending).vectors)])
        seen = np.concatenate([trained.costs, ends])
        ranges = self.region.ranges
        self.scaling = self.surrogate.scaling = Scaling.of(
            Ranges(ranges.lowest, ranges.highest, seen.min(axis=0), seen.max(axis=0))
        )

    def _take(self, rows: Rows) -> Batch:
        """Vectors of rows, and their costs, known or expected within the range seen."""
        batch = self.region.take(rows)
        if self._cost is None:
            return batch
        low, high = self.scaling.cost_low, self.scaling.cost_low + self.scaling.cost_range
        if self.scaling.log_cost:
            low, high = np.exp(low), np.exp(high)
        return Batch(rows, batch.vectors, self._cost.predict(batch.vectors).clip(low, high))

    def _thinned(self, known: Known) -> Known:
        """Half of those kept are nearest under the boundary, half are the first trained."""
        most = self.options.trained
        if len(known.rows) <= most:
            return known
        cost, accuracy = known.costs, known.accuracy
        short = highest_within(cost, cost, accuracy) - accuracy  # (n,)
        near = np.argsort(short, kind="stable")[: most // 2]
        rest = np.setdiff1d(np.arange(len(accuracy)), near)[: most - most // 2]
        return known.of(np.sort(np.concatenate([near, rest])))

    def _candidates(
        self,
        rows: Rows,
        costs: FloatArray,
        mean: FloatArray,
        area: Area,
        used: Rows,
        rng: np.random.Generator,
        order: Order | None,
    ) -> tuple[Batch, FloatArray, FloatArray]:
        """Those worth scoring: over cost, and around the boundary of the b conditioned on."""
        all_pairs = len(rows) * (self.options.spread + self.options.near)
        few = min(1.0, self.options.budget / all_pairs)
        drawn = self.region.spread(int(self.options.spread * few), rng)
        holders = rows[mean >= area.at(costs) - 1e-12][:64]
        near = self.region.near(holders, int(self.options.near * few), rng)
        found, lo, hi = self._left(np.union1d(drawn, near), used, order)
        return self._take(found), lo, hi

    # --- without a surrogate -----------------------------------------------------------------

    def _by_spread(
        self, used: Rows, rng: np.random.Generator, order: Order | None
    ) -> Choice | None:
        rows = self._left(self.region.spread(4096, rng), used, order)[0]
        if not len(rows):
            return None
        if not len(used):
            return Choice(int(rng.choice(rows)), float("nan"), "spread")
        rows = rng.permutation(rows)[:4096]
        apart = np.abs(self.region.places(rows)[:, None] - self.region.places(used)).min(axis=1)
        return Choice(int(rows[apart.argmax()]), float("nan"), "spread")


class ByGain:
    """``Selector`` as the chooser of a ``PartialOrderSearch``.

    Args:
        options: Sizes.

    Attributes:
        last: The last choice, with its expected gain.
    """

    def __init__(self, options: SelectionOptions | None = None) -> None:
        self._options = options
        self._selector: Selector | None = None
        self.last: Choice | None = None

    def __call__(
        self, search: PartialOrderSearch, held: Rows, rng: np.random.Generator
    ) -> int | None:
        """Choose the row with the largest expected gain."""
        if self._selector is None or self._selector.region is not search.region:
            self._selector = Selector(search.region, self._options, known=search.known)
        tolerance = search.tolerance

        def order(rows: Rows) -> tuple[BoolArray, FloatArray, FloatArray]:
            bounds = search.bounds(rows)
            return ~bounds.pruned(tolerance), bounds.lo - tolerance, bounds.hi + tolerance

        trained = Known(np.array(search.rows, dtype=np.intp), search.costs, search.accuracy)
        with one_blas_thread():
            self.last = self._selector.choose(trained, held, rng, order)
        if self.last is None:  # perhaps little is left: look everywhere
            row = uniform(search, held, rng)
            self.last = None if row is None else Choice(row, float("nan"), "spread")
        return None if self.last is None else self.last.row
