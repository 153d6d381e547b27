"""Learning curves of trials, also in studies with several objectives.

Optuna keeps a curve as intermediate values, and refuses ``report`` and ``should_prune`` where a
study has several objectives (optuna issue 3450). ``CurveTrial`` keeps the curve in a user attribute
there: intermediate values would crash Optuna's own TPESampler on such a study.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, cast

from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

CURVE_ATTR = "optuna_pop:curve"
"""User attribute of a trial: its curve, as a list of [step, accuracy]."""


def curve_of(trial: FrozenTrial) -> dict[int, float]:
    """Accuracy by step that a trial reported, whichever way."""
    if trial.intermediate_values:
        return dict(trial.intermediate_values)
    return {int(step): float(value) for step, value in trial.user_attrs.get(CURVE_ATTR, ())}


class CurveTrial(Trial):
    """A trial that can report its accuracy and be pruned, however many objectives its study has.

    The study's pruner decides on the accuracy, the first objective: ``POPPruner`` or any pruner of
    Optuna's. With one objective it is the trial it wraps.

    Args:
        trial: As the objective was given it.

    Example:
        >>> import optuna
        >>> from optuna_pop import CurveTrial
        >>> def objective(trial):
        ...     trial = CurveTrial(trial)
        ...     width = trial.suggest_int("width", 1, 9)
        ...     for epoch in range(5):
        ...         accuracy = 10.0 * width * (epoch + 1) / 5
        ...         trial.report(accuracy, epoch)
        ...         if trial.should_prune():
        ...             raise optuna.TrialPruned
        ...     return accuracy, float(width)
        >>> study = optuna.create_study(
        ...     directions=["maximize", "minimize"], pruner=optuna.pruners.MedianPruner()
        ... )
        >>> study.optimize(objective, n_trials=3)
    """

    def __init__(self, trial: Trial) -> None:
        # One and the same trial: what it knows is shared, and nothing is sampled anew.
        self.__dict__.update(trial.__dict__)

    def report(self, value: float, step: int) -> None:
        """Report the accuracy at a step; a step that was reported already is left as it was.

        Raises:
            TypeError: if value or step is not a number.
            ValueError: if the step is negative.
        """
        if len(self.study.directions) == 1:
            super().report(value, step)
            return
        try:
            value, step = float(value), int(step)
        except (TypeError, ValueError):
            raise TypeError(
                f"report takes a number and a whole step but got {value!r} and {step!r}"
            ) from None
        if step < 0:
            raise ValueError(f"step must be at least 0 but got {step}")
        curve = self.user_attrs.get(CURVE_ATTR, [])
        if any(known == step for known, _ in curve):
            warnings.warn(f"step {step} was reported already: this one is ignored", stacklevel=2)
            return
        self.set_user_attr(CURVE_ATTR, [*curve, [step, value]])

    def should_prune(self) -> bool:
        """Whether the study's pruner wants this trial to end."""
        if len(self.study.directions) == 1:
            return super().should_prune()
        trial = self.storage.get_trial(self._trial_id)
        pruner = self.study.pruner
        if getattr(pruner, "knows_curves", False):
            return pruner.prune(self.study, trial)
        return pruner.prune(accuracy_study(self.study, pruner), _as_single(trial))


def accuracy_study(study: Study, pruner: BasePruner | None = None) -> Study:
    """A study as one of accuracy alone, with curves as intermediate values.

    What is written to its storage is written to the study's own.
    """
    storage = cast("BaseStorage", _AccuracyStorage(study._storage))
    return Study(study.study_name, storage, sampler=study.sampler, pruner=pruner or study.pruner)


class _AccuracyStorage:
    """A storage in which every study has accuracy as its only objective."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._storage.get_study_directions(study_id)[:1]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return _as_single(self._storage.get_trial(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: tuple[TrialState, ...] | None = None,
    ) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [_as_single(trial) for trial in trials]


def _as_single(trial: FrozenTrial) -> FrozenTrial:
    """A trial with its accuracy as the only value and its curve as intermediate values."""
    found = copy.copy(trial)
    found.intermediate_values = curve_of(trial)
    # ``values`` is a property that refuses None beside states; the list behind it does not.
    found._values = None if trial.values is None else trial.values[:1]
    return found
