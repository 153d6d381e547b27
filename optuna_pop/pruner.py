"""``POPPruner``: stop a training that cannot reach the boundary any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.curves import curve_of
from optuna_pop.errors import InputError
from optuna_pop.sampler import POPSampler
from optuna_pop.selection.late_gain import LateGains

REASON_ATTR = "optuna_pop:pruned_because"
"""User attribute of a pruned trial: the reason in words."""


@dataclass(frozen=True)
class Verdict:
    """What the pruner makes of a running trial.

    Attributes:
        prune: Whether it should end.
        reason: In words; empty where it goes on.
    """

    prune: bool
    reason: str = ""


class POPPruner(BasePruner):
    """Stops a training that cannot lift the speed/accuracy boundary any more, for two reasons.

    *By the order*: results that arrived since the training began prove that nothing this small is
    accurate enough at its cost (hi + τ ≤ f; POP paper, Eq. 3 to 5). *By its learning curve*: even
    with the most that finished trainings gained from this step on, beyond what accuracy and cost
    let one expect, it stays under the boundary at its cost (``optuna_pop.selection.late_gain``).

    With one objective call ``trial.report`` and ``trial.should_prune`` as with any pruner; with
    accuracy and costs wrap the trial in ``CurveTrial`` first. The reason is written to the trial's
    user attributes.

    Args:
        sampler: Knows space, costs and tolerance; the study's own by default.
        warmup_steps: By its curve nothing is pruned before this step.
        least_curves: Nor before so many finished trainings tell of the step.
        quantile: Of what they gained beyond expectation, in (0, 1]; 1 is the most.

    Raises:
        InputError: if an argument cannot be used.

    Example:
        >>> import optuna
        >>> from optuna_pop import OrderedSpace, POPPruner, POPSampler
        >>> space = OrderedSpace({"width": [16, 32, 64], "depth": [1, 2, 3]})
        >>> sampler = POPSampler(space, cost=lambda a: a["width"] * a["depth"])
        >>> study = optuna.create_study(
        ...     directions=["maximize", "minimize"], sampler=sampler, pruner=POPPruner()
        ... )
    """

    knows_curves = True  # reads them itself, in studies with any number of objectives

    def __init__(
        self,
        sampler: POPSampler[Any] | None = None,
        *,
        warmup_steps: int = 0,
        least_curves: int = 8,
        quantile: float = 1.0,
    ) -> None:
        if warmup_steps < 0:
            raise InputError(f"warmup_steps must be at least 0 but got {warmup_steps}")
        try:
            self._gains = LateGains(quantile, least_curves)
        except ValueError as error:
            raise InputError(str(error)) from error
        self._sampler = sampler
        self._warmup_steps = warmup_steps
        self._read: set[int] = set()  # trials whose curve is known
        self._study: tuple[Any, int] | None = None

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether a running trial should end; the reason is kept in the study."""
        verdict = self.judge(study, trial)
        if verdict.prune:
            study._storage.set_trial_user_attr(trial._trial_id, REASON_ATTR, verdict.reason)
        return verdict.prune

    def judge(self, study: Study, trial: FrozenTrial) -> Verdict:
        """Say whether a trial should end, and why.

        Raises:
            InputError: if no ``POPSampler`` is known.
        """
        curve = curve_of(trial)
        if not curve:
            return Verdict(prune=False)
        sampler = self._sampler_of(study)
        outlook = sampler.outlook(study, trial)
        if outlook is None:
            return Verdict(prune=False)
        hi, reach, tolerance = outlook.hi, outlook.reach, outlook.tolerance
        if hi + tolerance <= reach:
            return Verdict(
                prune=True,
                reason=f"by the order: a larger network has {hi:.4g} (tolerance "
                f"{tolerance:.3g}), the boundary at its cost is {reach:.4g}",
            )
        step = max(curve)
        if step < self._warmup_steps:
            return Verdict(prune=False)
        self._learn(study, sampler)
        could = self._gains.reach(curve, outlook.features)
        if could <= reach:
            return Verdict(
                prune=True,
                reason=f"by its learning curve: {could:.4g} at best from step {step} on, the "
                f"boundary at its cost is {reach:.4g}",
            )
        return Verdict(prune=False)

    def _sampler_of(self, study: Study) -> POPSampler[Any]:
        sampler = self._sampler or study.sampler
        if not isinstance(sampler, POPSampler):
            raise InputError(
                f"POPPruner needs a POPSampler for space and costs but the study has a "
                f"{type(sampler).__name__}: create the study with sampler=POPSampler(...), or "
                "write POPPruner(POPSampler(...))"
            )
        return sampler

    def _learn(self, study: Study, sampler: POPSampler[Any]) -> None:
        """Take the curves of newly finished trials into account."""
        key = (study._storage, study._study_id)
        if self._study != key:
            self._study, self._read = key, set()
            self._gains = LateGains(self._gains.quantile, self._gains.least)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if trial.number not in self._read:
                self._read.add(trial.number)
                features = sampler.features(study, trial)
                if features is not None:
                    self._gains.add(curve_of(trial), trial.values[0], features)

    def __getstate__(self) -> dict[str, Any]:
        # What was read of a study stays in its process.
        empty = LateGains(self._gains.quantile, self._gains.least)
        return {**self.__dict__, "_study": None, "_read": set(), "_gains": empty}
