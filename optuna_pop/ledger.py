"""What a study's trials say: which architectures are trained, in training, waiting or given up.

Nothing is kept that the study does not hold, so any process can rebuild it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.curves import curve_of
from optuna_pop.errors import ArchitectureError, StudyError
from optuna_pop.process import Holder
from optuna_pop.spaces.base import ARCHITECTURE_ATTR, Space

A = TypeVar("A")

CLAIM_ATTR = "optuna_pop:claim"
"""Trial system attribute: the architecture a running trial has reserved, and for whom.

``[row, sure, host, pid, started]``, the last three as in ``optuna_pop.process.Holder``.
"""


HELD_OUT_ATTR = "held_out_samples"
"""User attribute of a trial: the number of samples its accuracy was taken on."""

REPRODUCIBLE_ATTR = "optuna_pop:reproducible"
"""User attribute of a failed trial: whether it would fail again, so that nobody need try."""


@dataclass(frozen=True)
class Trained:
    """A completed training, as reports show it.

    Attributes:
        number: Trial number.
        architecture: In words.
        accuracy: As the objective returned it.
        costs: The objective's further values.
    """

    number: int
    architecture: str
    accuracy: float
    costs: tuple[float, ...]


def trained(study: Study) -> list[Trained]:
    """List the completed trainings of a study, in sequence of completion."""
    check_directions(study)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    complete.sort(key=lambda trial: (str(trial.datetime_complete), trial.number))
    return [
        Trained(
            number=trial.number,
            architecture=str(trial.user_attrs.get(ARCHITECTURE_ATTR, trial.params)),
            accuracy=trial.values[0],
            costs=tuple(trial.values[1:]),
        )
        for trial in complete
    ]


def check_directions(study: Study, costs: int | None = None) -> None:
    """Refuse a study whose first objective is not accuracy or whose others are not the costs.

    Args:
        study: To be searched.
        costs: How many costs are known before training; None where that is not asked, 0 where
            none is and the study must bring some.

    Raises:
        StudyError: unless the directions are maximize, then only minimize: one for each known
            cost, or none where the costs are known anyway.
    """
    first, *others = study.directions
    names = [direction.name.lower() for direction in study.directions]
    has = f"study {study.study_name!r} has the directions {names}"
    if first == StudyDirection.MAXIMIZE and StudyDirection.MAXIMIZE in others:
        raise StudyError(
            f"{has}: the boundary has one quality to maximize, the first; weigh several qualities "
            "into one number, or study each on its own"
        )
    if first != StudyDirection.MAXIMIZE or set(others) - {StudyDirection.MINIMIZE}:
        raise StudyError(
            f"{has}: Partial Order Pruning needs accuracy first and costs after it, "
            "directions=['maximize', 'minimize']"
        )
    if costs == 0 and not others:
        raise StudyError(
            f"{has} and the sampler knows no cost: give POPSampler a cost, or the study "
            "directions=['maximize', 'minimize'] and return (accuracy, cost)"
        )
    if costs and others and len(others) != costs:
        wanted = ["maximize"] + costs * ["minimize"]
        raise StudyError(
            f"{has}, {len(others)} of them costs, but the sampler knows {costs}: give "
            f"directions={wanted}, the costs in the sampler's sequence"
        )


def is_abandoned(trial: FrozenTrial) -> bool:
    """Whether a trial that still counts as running was reserved by a process that is gone."""
    claim = trial.system_attrs.get(CLAIM_ATTR)
    if trial.state != TrialState.RUNNING or claim is None or len(claim) < 5:
        return False
    return Holder(*claim[2:5]).is_gone()


@dataclass
class Holdings:
    """State of a study's architectures.

    Attributes:
        observations: (trial number, architecture, values) of new completed trials.
        stopped: (architecture, best accuracy reported) of new trials that were pruned in training.
        taken: Rows that must not be chosen: trained, pruned, running, waiting or given up.
    """

    observations: list[tuple[int, Any, list[float]]] = field(default_factory=list)
    stopped: list[tuple[Any, float]] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)


class Ledger(Generic[A]):
    """Reads a study's trials in terms of a space; finished trials are read once.

    Args:
        space: The space that was searched.
        max_failures: After so many failed trials an architecture is given up, at once after one
            that says it is reproducible. One failure may be a worker that died; the sampler may
            then choose the architecture again.
    """

    def __init__(self, space: Space[A], max_failures: int = 2) -> None:
        self._space = space
        self._max_failures = max_failures
        self._names = frozenset(space.distributions())
        self._finished: dict[int, int | None] = {}  # trial number -> row
        self._failures: Counter[int] = Counter()
        self._taken: set[int] = set()

    def read(self, trials: Iterable[FrozenTrial], *, but: int) -> Holdings:
        """Bring the ledger up to date.

        Args:
            trials: All trials of the study.
            but: Number of the trial that asks; it does not hold anything against itself.
        """
        found = Holdings()
        active = set()
        for trial in trials:
            if trial.number in self._finished:
                continue
            if trial.state.is_finished():
                self._finish(trial, found)
            elif (
                trial.number != but
                and (row := self._row(trial)) is not None
                and not is_abandoned(trial)
            ):
                active.add(row)
        found.taken = self._taken | active
        return found

    def rivals(self, trials: Iterable[FrozenTrial], row: int, *, but: int) -> list[FrozenTrial]:
        """Trials that hold the same row, except failed ones and ``but``."""
        return [
            trial
            for trial in trials
            if trial.number != but
            and trial.state != TrialState.FAIL
            and not is_abandoned(trial)
            and (
                self._finished[trial.number] if trial.number in self._finished else self._row(trial)
            )
            == row
        ]

    def architecture(self, trial: FrozenTrial) -> A | None:
        """Return the architecture of a trial that has one, also before it has all parameters."""
        params = trial.params
        if not self._names <= params.keys():
            params = {**trial.system_attrs.get("fixed_params", {}), **params}
        if self._names <= params.keys():
            try:
                return self._space.from_params(params)
            except (ArchitectureError, KeyError, IndexError):
                return None  # Parameters of these names, but of no architecture of this space.
        claim = trial.system_attrs.get(CLAIM_ATTR)
        if claim is not None and claim[0] is not None:
            return self._space.at(claim[0])
        return None

    def _row(self, trial: FrozenTrial) -> int | None:
        architecture = self.architecture(trial)
        if architecture is None:
            return None
        try:
            return self._space.row(architecture)
        except ArchitectureError:
            return None  # Trained outside the space: evidence, but nothing to take.

    def _finish(self, trial: FrozenTrial, found: Holdings) -> None:
        row = self._finished[trial.number] = self._row(trial)
        if trial.state == TrialState.FAIL:
            # Without its parameters it ended before it trained, and says nothing about that.
            if row is not None and self._names <= trial.params.keys():
                self._failures[row] += 1
                hopeless = bool(trial.user_attrs.get(REPRODUCIBLE_ATTR))
                if hopeless or self._failures[row] >= self._max_failures:
                    self._taken.add(row)
            return
        if row is not None:
            self._taken.add(row)
        if trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values)):
            architecture = self.architecture(trial)
            if architecture is not None:
                found.observations.append((trial.number, architecture, trial.values))
        if trial.state == TrialState.PRUNED:
            curve = [value for value in curve_of(trial).values() if math.isfinite(value)]
            architecture = self.architecture(trial)
            if curve and architecture is not None:
                found.stopped.append((architecture, max(curve)))
