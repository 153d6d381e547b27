"""Callbacks for ``Study.optimize``."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.errors import InputError, StudyError
from optuna_pop.ledger import Trained, trained
from optuna_pop.sampler import POPSampler


class StopWhenBoundaryUnchanged:
    """Ends ``optimize`` when the boundary has stayed the same for a number of trainings.

    The paper stops "when B(D) has not changed for several iterations"; here an iteration is a
    completed training, whichever worker did it, and the boundary is the staircase of
    ``optuna_pop.order.boundary``.

    Args:
        trainings: Completed trainings without a change after which to stop.

    Raises:
        InputError: if ``trainings`` is below 1.
    """

    def __init__(self, trainings: int) -> None:
        if trainings < 1:
            raise InputError(f"trainings must be at least 1 but got {trainings}")
        self.trainings = trainings

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Stop the study if the boundary is old enough."""
        if trial.state != TrialState.COMPLETE:
            return
        if boundary_age(trained(study)) >= self.trainings:
            study.stop()


class StopWhenGainBelow:
    """Ends ``optimize`` when the best candidate is expected to lift the boundary too little.

    Args:
        sampler: The study's, with ``selection="gain"``.
        points: Mean lift of the boundary over log-cost, in units of accuracy.
        trainings: So many choices in a row must stay below; one may be a slip of the surrogate.

    Raises:
        InputError: if a number cannot be used.
    """

    def __init__(self, sampler: POPSampler[Any], points: float, trainings: int = 3) -> None:
        if not points > 0 or trainings < 1:
            raise InputError(
                f"points must be above 0 and trainings at least 1 but got {points}, {trainings}"
            )
        self.sampler = sampler
        self.points = points
        self.trainings = trainings
        self._below = 0

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Stop the study if little is to be gained."""
        if trial.state != TrialState.COMPLETE:
            return
        self._below = self._below + 1 if self.sampler.expected_gain < self.points else 0
        if self._below >= self.trainings:
            study.stop()


def boundary_age(history: list[Trained]) -> int:
    """Count the trainings since one last changed the boundary.

    Args:
        history: Trainings in sequence of completion, with at least one cost each.

    Raises:
        StudyError: if the trainings carry no cost.
    """
    if any(not entry.costs for entry in history):
        raise StudyError(
            "the boundary needs a cost beside the accuracy: return (accuracy, cost) from the "
            "objective of a study with directions=['maximize', 'minimize']"
        )
    costs = np.array([entry.costs for entry in history])
    accuracy = np.array([entry.accuracy for entry in history])
    # From the latest back: a training changed the boundary unless an earlier one was as good.
    for at in reversed(range(len(history))):
        beaten = (costs[:at] <= costs[at]).all(axis=1) & (accuracy[:at] >= accuracy[at])
        if not beaten.any():
            return len(history) - 1 - at
    return 0
