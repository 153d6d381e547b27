"""``POPSampler``: Partial Order Pruning as an Optuna sampler.

Decided where the paper leaves it open: trials in flight and waiting ones count as chosen, an
architecture that failed twice is given up, and a trial outside Ŝ (enqueued by hand) teaches the
order like any other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.claims import StaleTrials, all_trials, reserve, write_claim
from optuna_pop.errors import ArchitectureError, InputError, OptunaPopError
from optuna_pop.ledger import Ledger, check_directions
from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.certificate import Certificate, certify
from optuna_pop.order.region import EnumeratedRegion, Region
from optuna_pop.order.relation import Vectors
from optuna_pop.order.search import PartialOrderSearch, uniform
from optuna_pop.order.tolerance import OrderEvidence
from optuna_pop.selection import ByGain
from optuna_pop.spaces.base import ParamValue, Space
from optuna_pop.spaces.costs import Cost, Range
from optuna_pop.spaces.scope import scope_of
from optuna_pop.study_view import StudyView

A = TypeVar("A")

_PLENTY = 100  # architectures left, of which other workers cannot have taken all unseen


class SpaceExhaustedError(TrialPruned, OptunaPopError):
    """Nothing is left to train: every architecture is trained, pruned, running or given up.

    Optuna records the trial that met it as pruned, and ``Study.optimize`` ends.
    """


@dataclass(frozen=True)
class Outlook:
    """What the order says of one architecture.

    Attributes:
        hi: Accuracy that it can reach at most, the tolerance aside; +inf where nothing says.
        lo: Accuracy that it has at least, the tolerance aside; -inf where nothing says.
        reach: Accuracy of the boundary at its cost; -inf where nothing trained is as fast.
        tolerance: τ; +inf while too little is known, or where the order does not hold.
        features: Its log-costs, as far as known before training.
    """

    hi: float
    lo: float
    reach: float
    tolerance: float
    features: tuple[float, ...]


_COUNTED = 200_000
"""Architectures that precedents are counted among."""


class POPSampler(BaseSampler, Generic[A]):
    """Samples architectures by Partial Order Pruning (arXiv:1903.03777, Algorithm 1).

    Use it in a study with ``directions=["maximize", "minimize"]`` (accuracy, cost) and call
    ``space.suggest(trial)`` in the objective. The cost of every architecture is known beforehand;
    what cannot lift the boundary, because something larger is no more accurate than something
    faster, is never trained. Several costs, e.g. latency on two devices (section 4.3), make
    ``directions=["maximize", "minimize", "minimize"]``: what is pruned is beaten on all at once.

    Args:
        space: The architectures.
        cost: A ``LatencyTable``, a function of the architecture, or one number for each; or a
            list of these, in the sequence of the study's directions. By default costs are what
            the objective returns, known only after training; then they too are expected to grow
            with the order, and every choice works with predicted ones.
        cost_range: (T_min, T_max), bounds of the cost in its own unit, ends included; the whole
            space by default. With several costs a list, one pair or None for each.
        tolerance: τ ≥ 0 in units of accuracy: by how much a smaller network may come out better
            than a larger one, from noise, before pruning trusts the order. By default it is
            estimated from the trained; where the order plainly does not hold, nothing is pruned.
        selection: "gain" trains what is expected to add most to the area under the boundary;
            "uniform" draws from all that is left, which with ``tolerance=0`` is the paper's
            Algorithm 1.
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
        cost: Cost[A] | Sequence[Cost[A]] | None = None,
        cost_range: Range | Sequence[Range | None] | None = None,
        tolerance: float | None = None,
        selection: Literal["gain", "uniform"] = "gain",
        seed: int | None = None,
        fallback: BaseSampler | None = None,
        max_failures: int = 2,
    ) -> None:
        if tolerance is not None and not tolerance >= 0:
            raise InputError(f"tolerance must be at least 0 but got {tolerance}")
        if selection not in ("gain", "uniform"):
            raise InputError(f"selection must be 'gain' or 'uniform' but got {selection!r}")
        if max_failures < 1:
            raise InputError(f"max_failures must be at least 1 but got {max_failures}")
        self.space = space
        self._scope = scope_of(space, cost, cost_range)
        self.tolerance = tolerance
        self.selection = selection
        self._max_failures = max_failures
        self._distributions = space.distributions()
        self._fallback = fallback or RandomSampler(seed=seed)
        self._entropy = np.random.SeedSequence(seed).generate_state(2).tolist()
        self._stale = StaleTrials()
        self._lock = threading.RLock()
        self._view: StudyView[A] | None = None
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
            StudyError: if the study's directions are not accuracy, then the costs.
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
            if (
                ours
                and state != TrialState.FAIL
                and not self._left_after(study, trial, state, values)
            ):
                _stop(study)

    def reseed_rng(self) -> None:
        """Draw new random choices, as Optuna asks of parallel workers."""
        self._entropy = np.random.SeedSequence().generate_state(2).tolist()
        self._fallback.reseed_rng()

    # --- questions about a study -----------------------------------------------------------

    def is_exhausted(self, study: Study) -> bool:
        """Whether nothing is left to choose: all is trained, pruned, running or given up."""
        with self._lock:
            search, taken = self._read(study)
            return search.exhausted(taken)

    @property
    def region(self) -> Region:
        """Ŝ: the architectures within the range of cost."""
        return self._scope.region

    def pruned_rows(self, study: Study) -> NDArray[np.intp]:
        """Rows of the space in P, the set pruned by the trials completed so far.

        Raises:
            InputError: if the space is too large to be enumerated; see ``certificate`` then.
        """
        with self._lock:
            search, _ = self._read(study)
            if not isinstance(self.region, EnumeratedRegion):
                raise InputError(
                    f"{self.space} is too large for a list of what is pruned: "
                    "certificate(study) has its share"
                )
            return search.pruned()

    def trained_rows(self, study: Study) -> frozenset[int]:
        """Rows of Ŝ that the study's completed trials trained."""
        with self._lock:
            search, _ = self._read(study)
            return frozenset(search.rows)

    @property
    def expected_gain(self) -> float:
        """Expected gain of the last choice: mean lift of the boundary over log-cost, in accuracy.

        NaN before the first choice by gain: the search begins with a few spread over cost.
        """
        chooser = self._view.chooser if self._view is not None else None
        if not isinstance(chooser, ByGain) or chooser.last is None:
            return math.nan
        return chooser.last.gain

    def order_evidence(self, study: Study) -> OrderEvidence:
        """What the study's comparable pairs say of the order, and the tolerance they suggest."""
        with self._lock:
            search, _ = self._read(study)
            return search.evidence

    def outlook(self, study: Study, trial: FrozenTrial) -> Outlook | None:
        """What the order says of the architecture of one trial, maybe still in training.

        Returns:
            None where the trial has no architecture of this space yet.
        """
        with self._lock:
            search, _ = self._read(study)
            features, architecture = self._known(study, trial)
            if architecture is None:
                return None
            vector = np.array([self.space.vector(architecture)])
            costs = np.array([features]) if self._scope.costs else None
            search.settle_tolerance()
            found = search.seen.bounds(vector, costs)
            hi, lo, reach = float(found.hi[0]), float(found.lo[0]), float(found.reach[0])
            return Outlook(hi, lo, reach, search.tolerance, _log(features))

    def features(self, study: Study, trial: FrozenTrial) -> tuple[float, ...] | None:
        """Log-costs of a trial's architecture, as far as they are known before training.

        Returns:
            None where the trial has no architecture of this space.
        """
        with self._lock:
            costs, architecture = self._known(study, trial)
            return None if architecture is None else _log(costs)

    def _known(self, study: Study, trial: FrozenTrial) -> tuple[tuple[float, ...], A | None]:
        """Costs known before training, and the architecture; None if its costs should be known."""
        architecture = self._view_of(study).ledger.architecture(trial)
        if architecture is None or not self._scope.costs:
            return (), architecture
        try:
            row = self.space.row(architecture)
        except ArchitectureError:
            return (), None
        return tuple(self._scope.costs_at(np.array([row]))[0].tolist()), architecture

    def precedents(self, vectors: Vectors) -> FloatArray:
        """Count the architectures in the cost range that precede others (section 3.3).

        Args:
            vectors: Order vectors, shape (m, d).

        Returns:
            Counts, shape (m,); where the range holds very many, estimated from a sample of it.
        """
        rows = self.region.spread(_COUNTED, np.random.default_rng(0))
        if self.region.size > len(rows):
            rows = self.region.draw(_COUNTED, np.random.default_rng(0))
        known = self.region.take(rows).vectors
        share = [
            np.mean((known <= vector).all(axis=1) & (known != vector).any(axis=1))
            for vector in vectors
        ]
        return np.asarray(share, dtype=np.float64) * self.region.size

    def certificate(self, study: Study) -> Certificate:
        """What the order guarantees of a study: how much of Ŝ is settled, what could be left."""
        with self._lock:
            search, _ = self._read(study)
            return certify(search)

    def certificates(self, study: Study, after: Sequence[int]) -> list[Certificate]:
        """What the order guaranteed of a study earlier: how a search went.

        Args:
            study: With at least as many completed trials of finite values.
            after: Numbers of such trials, ascending.

        Returns:
            The certificate after each, without the single architectures unseen. Trials that ended
            otherwise count from when they ended.
        """
        check_directions(study, self._scope.costs)
        ended = [trial for trial in all_trials(study) if trial.state.is_finished()]
        ended.sort(key=lambda trial: (str(trial.datetime_complete), trial.number))
        complete = [
            i
            for i, trial in enumerate(ended)
            if trial.state == TrialState.COMPLETE and np.isfinite(trial.values).all()
        ]
        view, found = self._fresh_view(study), []
        for count in after:
            view.refresh(ended[: complete[count - 1] + 1 if count else 0], but=-1)
            proof = certify(view.search)
            none = np.zeros(len(proof.unseen_pruned), dtype=np.bool_)
            found.append(
                replace(
                    proof,
                    unseen_costs=proof.unseen_costs[none],
                    unseen_pruned=proof.unseen_pruned[none],
                )
            )
        return found

    def _read(self, study: Study) -> tuple[PartialOrderSearch, set[int]]:
        """Bring the search up to date with a study; returns it and the rows that are taken."""
        check_directions(study, self._scope.costs)
        view = self._view_of(study)
        taken = view.refresh(all_trials(study), but=-1)
        return view.search, taken

    # --- choosing --------------------------------------------------------------------------

    def _choose(self, study: Study, trial: FrozenTrial) -> A:
        """Choose and reserve an architecture, so that no other worker trains it."""
        check_directions(study, self._scope.costs)
        view = self._view_of(study)
        self._stale.fail(study)
        # By trial, so that workers with one seed do not all want the same.
        rng = np.random.default_rng([*self._entropy, trial.number])
        while True:
            taken = view.refresh(all_trials(study), but=trial.number)
            row = view.choose(taken, rng, _fixed_params(study, trial))
            if row is None:
                write_claim(study, trial, None, sure=False)
                _stop(study)
                raise SpaceExhaustedError(
                    f"nothing is left to train in study {study.study_name!r}: all of "
                    f"{self.region.size:,} architectures are trained, pruned, running or given up"
                )
            if reserve(study, trial, view.ledger, row):
                return self.space.at(row)

    def _left_after(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> bool:
        view = self._view_of(study)
        if state == TrialState.COMPLETE and values is not None and np.isfinite(values).all():
            view.add(trial.number, view.ledger.architecture(trial), values)
        if view.search.leaves(view.taken, _PLENTY):
            return True  # however much the other workers took since: the storage is spared a read
        taken = view.refresh(all_trials(study), but=-1)  # holds the trial itself too
        return not view.search.exhausted(taken)

    def _view_of(self, study: Study) -> StudyView[A]:
        if self._view is None or self._view.key != (study._storage, study._study_id):
            self._view = self._fresh_view(study)
        return self._view

    def _fresh_view(self, study: Study) -> StudyView[A]:
        """Nothing of the study is read yet."""
        seen = None if self._scope.costs else len(study.directions) - 1
        search = PartialOrderSearch(self.region, self.tolerance, seen)
        ledger = Ledger(self.space, self._max_failures)
        chooser = ByGain() if self.selection == "gain" else uniform
        key = (study._storage, study._study_id)
        return StudyView(key, self.space, self._scope, search, ledger, chooser)

    def __getstate__(self) -> dict[str, Any]:
        # Locks and views of a study stay in their process; the study holds all that matters.
        return {**self.__dict__, "_lock": None, "_view": None, "_chosen": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()


def _log(costs: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(math.log(cost) if cost > 0 else cost for cost in costs)


def _fixed_params(study: Study, trial: FrozenTrial) -> dict[str, ParamValue]:
    attrs = study._storage.get_trial_system_attrs(trial._trial_id)
    return cast("dict[str, ParamValue]", attrs.get("fixed_params", {}))


def _stop(study: Study) -> None:
    """End ``optimize``; under ask/tell there is nothing to end."""
    if study._thread_local.in_optimize_loop:
        study.stop()
