"""``POPSampler``: Partial Order Pruning as an Optuna sampler.

Decided where the paper leaves it open: trials in flight and waiting ones count as chosen, an
architecture that failed twice is given up, and a trial outside Ŝ (enqueued by hand) teaches the
order like any other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from optuna.distributions import BaseDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.errors import ArchitectureError, CostError, InputError, OptunaPopError
from optuna_pop.ledger import CLAIM_ATTR, Ledger, check_directions
from optuna_pop.order.certificate import Certificate, certify
from optuna_pop.order.search import PartialOrderSearch
from optuna_pop.spaces.base import FloatArray, ParamValue, Space

A = TypeVar("A")

_PATIENCE_S = 10.0  # how long an undecided claim of another worker is waited for
_POLL_S = 0.01


class SpaceExhaustedError(TrialPruned, OptunaPopError):
    """Nothing is left to train: every architecture is trained, pruned, running or given up.

    Optuna records the trial that met it as pruned, and ``Study.optimize`` ends.
    """


@runtime_checkable
class CostModel(Protocol):
    """Knows every architecture's cost before training, as ``LatencyTable`` does."""

    def costs(self, space: Space[Any]) -> FloatArray:
        """Return the cost of every architecture, shape (n,)."""


Cost: TypeAlias = CostModel | Callable[[A], float] | ArrayLike


def costs_of(space: Space[A], cost: Cost[A]) -> FloatArray:
    """Evaluate a cost over a whole space.

    Args:
        space: n architectures.
        cost: A latency table or other ``CostModel``, a function of the architecture, or n numbers
            in the sequence of ``space.vectors()``.

    Returns:
        Shape (n,), finite.

    Raises:
        CostError: if there are not n finite numbers.
    """
    if isinstance(cost, CostModel):
        costs = cost.costs(space)
    elif callable(cost):
        costs = np.array([cost(space.at(row)) for row in range(len(space))], dtype=np.float64)
    else:
        costs = np.asarray(cost, dtype=np.float64)
    if costs.shape != (len(space),):
        raise CostError(
            f"cost must give one number for each of the {len(space)} architectures but has the "
            f"shape {costs.shape}"
        )
    if not np.isfinite(costs).all():
        row = int(np.flatnonzero(~np.isfinite(costs))[0])
        raise CostError(f"the cost of {space.at(row)} is {costs[row]}: it must be a finite number")
    return costs


class POPSampler(BaseSampler, Generic[A]):
    """Samples architectures by Partial Order Pruning (arXiv:1903.03777, Algorithm 1).

    Use it in a study with ``directions=["maximize", "minimize"]`` (accuracy, cost) and call
    ``space.suggest(trial)`` in the objective. The cost of every architecture is known beforehand;
    what cannot lift the boundary, because something larger is no more accurate than something
    faster, is never trained.

    Args:
        space: The architectures.
        cost: A ``LatencyTable``, a function of the architecture, or one number for each.
        cost_range: (T_min, T_max), bounds of the cost in its own unit, ends included; the whole
            space by default.
        tolerance: τ ≥ 0 in units of accuracy: by how much a smaller network may come out better
            than a larger one, from noise, before pruning trusts the order.
        seed: Of the random choices.
        fallback: Sampler for parameters that are not the space's; random by default.
        max_failures: After so many failed trials an architecture is given up.

    Raises:
        InputError: if an argument cannot be used.

    Example:
        >>> import optuna
        >>> from optuna_pop import OrderedSpace, POPSampler
        >>> space = OrderedSpace({"width": [16, 32, 64], "depth": [1, 2, 3]})
        >>> cost = lambda architecture: architecture["width"] * architecture["depth"]
        >>> study = optuna.create_study(
        ...     directions=["maximize", "minimize"], sampler=POPSampler(space, cost=cost)
        ... )
    """

    def __init__(
        self,
        space: Space[A],
        *,
        cost: Cost[A],
        cost_range: tuple[float, float] | None = None,
        tolerance: float = 0.0,
        seed: int | None = None,
        fallback: BaseSampler | None = None,
        max_failures: int = 2,
    ) -> None:
        if not tolerance >= 0:
            raise InputError(f"tolerance must be at least 0 but got {tolerance}")
        if max_failures < 1:
            raise InputError(f"max_failures must be at least 1 but got {max_failures}")
        self.space = space
        self.costs = costs_of(space, cost)
        self.rows = _rows_within(self.costs, cost_range)
        self.tolerance = tolerance
        self._max_failures = max_failures
        self._distributions = space.distributions()
        self._fallback = fallback or RandomSampler(seed=seed)
        self._rng = np.random.default_rng(seed)
        self._lock = threading.RLock()
        self._view: _StudyView[A] | None = None
        self._chosen: dict[int, dict[str, ParamValue]] = {}  # trial id -> parameters

    # --- Optuna's interface ----------------------------------------------------------------

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002 (Optuna's signature)
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Return nothing: the choice is made when the first parameter of the space is asked for.

        So a trial that asks for other parameters only, whatever its study's directions, takes no
        architecture away.
        """
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample each parameter of a search space on its own."""
        return {
            name: self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a parameter of the architecture chosen for this trial.

        Raises:
            SpaceExhaustedError: if nothing is left to train.
            StudyError: if the study's directions are not accuracy, then costs.
        """
        if self._distributions.get(param_name) != param_distribution:
            return self._fallback.sample_independent(study, trial, param_name, param_distribution)
        with self._lock:
            if trial._trial_id not in self._chosen:
                self._chosen[trial._trial_id] = self.space.params(self._choose(study, trial))
            return self._chosen[trial._trial_id][param_name]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass on to the fallback."""
        self._fallback.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget the trial's choice; end ``optimize`` when this result leaves nothing to train."""
        self._fallback.after_trial(study, trial, state, values)
        with self._lock:
            ours = self._chosen.pop(trial._trial_id, None) is not None
            if ours and state != TrialState.FAIL and not self._left_after(study, trial, values):
                _stop(study)

    def reseed_rng(self) -> None:
        """Draw a new random sequence, as Optuna asks of parallel workers."""
        self._rng = np.random.default_rng()
        self._fallback.reseed_rng()

    # --- questions about a study -----------------------------------------------------------

    def is_exhausted(self, study: Study) -> bool:
        """Whether nothing is left to choose: all is trained, pruned, running or given up."""
        check_directions(study)
        with self._lock:
            view = self._view_of(study)
            taken = view.refresh(_trials(study), but=-1)
            return not len(view.search.left(taken))

    def pruned_rows(self, study: Study) -> NDArray[np.intp]:
        """Rows of the space in P, the set pruned by the trials completed so far."""
        check_directions(study)
        with self._lock:
            view = self._view_of(study)
            view.refresh(_trials(study), but=-1)
            return self.rows[view.search.pruned.mask]

    def trained_rows(self, study: Study) -> frozenset[int]:
        """Rows of the space that the study's completed trials trained."""
        check_directions(study)
        with self._lock:
            view = self._view_of(study)
            view.refresh(_trials(study), but=-1)
            return frozenset(view.trained_rows)

    def certificate(self, study: Study) -> Certificate:
        """What the order guarantees of a study: how much of Ŝ is settled, what could be left."""
        check_directions(study)
        with self._lock:
            view = self._view_of(study)
            view.refresh(_trials(study), but=-1)
            trained = np.isin(self.rows, list(view.trained_rows))
            return certify(view.search.pruned, self.costs[self.rows], trained)

    # --- choosing --------------------------------------------------------------------------

    def _choose(self, study: Study, trial: FrozenTrial) -> A:
        """Reserve an architecture so that no other worker trains it.

        Claims live in the study. Both of two workers that claim the same architecture at the same
        moment see the other's claim when they read again: the higher trial number gives way at
        once, the lower one waits for that, and gives way if the higher one was already sure.
        """
        check_directions(study)
        view = self._view_of(study)
        while True:
            taken = view.refresh(_trials(study), but=trial.number)
            row = view.choose(taken, self._rng, _fixed_params(study, trial))
            self._claim(study, trial, row, sure=False)
            if row is None:
                _stop(study)
                raise SpaceExhaustedError(
                    f"nothing is left to train in study {study.study_name!r}: all of "
                    f"{len(self.rows):,} architectures are trained, pruned, running or given up"
                )
            if self._outlasts_rivals(study, trial, view.ledger, row):
                self._claim(study, trial, row, sure=True)
                return self.space.at(row)

    def _outlasts_rivals(
        self, study: Study, trial: FrozenTrial, ledger: Ledger[A], row: int
    ) -> bool:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            rivals = ledger.rivals(_trials(study), row, but=trial.number)
            if not rivals:
                return True
            if any(r.number < trial.number or _is_sure(r) for r in rivals):
                return False
            if time.monotonic() > deadline:
                return False  # A worker died between claim and certainty; leave it the row.
            time.sleep(_POLL_S)

    def _claim(self, study: Study, trial: FrozenTrial, row: int | None, *, sure: bool) -> None:
        study._storage.set_trial_system_attr(trial._trial_id, CLAIM_ATTR, [row, sure])

    def _left_after(self, study: Study, trial: FrozenTrial, values: Sequence[float] | None) -> bool:
        view = self._view_of(study)
        taken = view.refresh(_trials(study), but=-1)  # holds the trial itself too
        if values is not None:
            view.add(trial.number, view.ledger.architecture(trial), values[0])
        return bool(len(view.search.left(taken)))

    def _view_of(self, study: Study) -> _StudyView[A]:
        key = (study._storage, study._study_id)
        if self._view is None or self._view.key != key:
            search = PartialOrderSearch(self.space.vectors(), self.costs, self.rows, self.tolerance)
            ledger = Ledger(self.space, self._max_failures)
            self._view = _StudyView(key, self.space, self.costs, search, ledger)
        return self._view

    def __getstate__(self) -> dict[str, Any]:
        # Locks and views of a study stay in their process; the study holds all that matters.
        return {**self.__dict__, "_lock": None, "_view": None, "_chosen": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()


class _StudyView(Generic[A]):
    """A study as the search sees it; may be thrown away at any time."""

    def __init__(
        self,
        key: tuple[Any, int],
        space: Space[A],
        costs: FloatArray,
        search: PartialOrderSearch,
        ledger: Ledger[A],
    ) -> None:
        self.key = key
        self.search = search
        self.ledger = ledger
        self._space = space
        self._costs = costs
        self._added: set[int] = set()
        self.trained_rows: set[int] = set()

    def refresh(self, trials: list[FrozenTrial], *, but: int) -> set[int]:
        """Take new results into the search; return the rows taken."""
        holdings = self.ledger.read(trials, but=but)
        for number, architecture, accuracy in holdings.observations:
            self.add(number, architecture, accuracy)
        return holdings.taken

    def add(self, number: int, architecture: A | None, accuracy: float) -> None:
        """Take one result into the search, once."""
        if number in self._added or architecture is None:
            return
        self._added.add(number)
        try:
            row = self._space.row(architecture)
        except ArchitectureError:
            return  # Enqueued from outside the space: its cost is unknown.
        self.trained_rows.add(row)
        self.search.add(self._space.vectors()[row], self._costs[row], accuracy)

    def choose(
        self, taken: set[int], rng: np.random.Generator, fixed: dict[str, ParamValue]
    ) -> int | None:
        """Choose a row; with parameters fixed by an enqueued trial, one that has them if any."""
        if not fixed:
            return self.search.choose(taken, rng)
        left = rng.permutation(self.search.left(taken))
        for row in left.tolist():
            if fixed.items() <= self._space.params(self._space.at(row)).items():
                return cast("int", row)
        return int(left[0]) if len(left) else None


def _rows_within(costs: FloatArray, cost_range: tuple[float, float] | None) -> NDArray[np.intp]:
    if cost_range is None:
        return np.arange(len(costs))
    low, high = cost_range
    if not low <= high:
        raise CostError(f"cost_range ({low}, {high}) is empty: T_min must not exceed T_max")
    rows = np.flatnonzero((costs >= low) & (costs <= high))
    if not len(rows):
        raise CostError(
            f"no architecture costs between {low} and {high}: the space ranges from "
            f"{costs.min():.6g} to {costs.max():.6g}"
        )
    return rows


def _trials(study: Study) -> list[FrozenTrial]:
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def _fixed_params(study: Study, trial: FrozenTrial) -> dict[str, ParamValue]:
    attrs = study._storage.get_trial_system_attrs(trial._trial_id)
    return cast("dict[str, ParamValue]", attrs.get("fixed_params", {}))


def _is_sure(rival: FrozenTrial) -> bool:
    if rival.state != TrialState.RUNNING:
        return True  # trained already, or enqueued
    claim = rival.system_attrs.get(CLAIM_ATTR)
    return claim is None or bool(claim[1])


def _stop(study: Study) -> None:
    """End ``optimize``; under ask/tell there is nothing to end."""
    if study._thread_local.in_optimize_loop:
        study.stop()
