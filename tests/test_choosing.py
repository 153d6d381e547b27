"""The paper's two questions, asked of studies."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from optuna_pop import (
    Findings,
    OrderedArchitecture,
    OrderedSpace,
    POPSampler,
    best_under,
    fastest_above,
)
from optuna_pop.errors import InputError, StudyError

SPACE = OrderedSpace({"width": [1, 2, 4, 8], "depth": [1, 2, 3, 4]})


def latency(architecture: OrderedArchitecture) -> float:
    return float(architecture["width"] * architecture["depth"])


def accuracy(architecture: OrderedArchitecture) -> float:
    return 90.0 - 40.0 / (architecture["width"] ** 0.7 * architecture["depth"] ** 0.4)


def searched(trials: int, costs: int = 1) -> optuna.Study:
    """A finished search without noise."""
    cost = [latency, lambda a: 10.0 / latency(a)][:costs]
    sampler = POPSampler(SPACE, cost=cost, seed=0, tolerance=0.0)
    study = optuna.create_study(directions=["maximize"] + costs * ["minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        found = SPACE.suggest(trial)
        return accuracy(found), *(function(found) for function in cost)

    study.optimize(objective, n_trials=trials)
    return study


def given(*trained: tuple[float, ...]) -> optuna.Study:
    """A study of any sampler, told these values."""
    study = optuna.create_study(directions=["maximize"] + (len(trained[0]) - 1) * ["minimize"])
    for values in trained:
        study.add_trial(optuna.trial.create_trial(values=list(values)))
    return study


def test_best_under_is_the_best_of_all_trained_within() -> None:
    study = searched(9)
    values = np.array([trial.values for trial in study.trials if trial.values])
    for limit in np.unique(values[:, 1]):
        within = values[values[:, 1] <= limit]
        choice = best_under(study, float(limit))
        assert choice.accuracy == within[:, 0].max()
        assert choice.costs[0] <= limit
        same = within[within[:, 0] == choice.accuracy]
        assert choice.costs[0] == same[:, 1].min(), "of equals the cheapest"


def test_fastest_above_is_the_fastest_of_all_trained() -> None:
    study = searched(9)
    values = np.array([trial.values for trial in study.trials if trial.values])
    for wanted in values[:, 0]:
        enough = values[values[:, 0] >= wanted]
        assert fastest_above(study, wanted).costs[0] == enough[:, 1].min()


@pytest.mark.parametrize("trials", [4, 7, 10])
def test_bounds_hold_for_everything_untrained(trials: int) -> None:
    study = searched(trials)
    architectures = [SPACE.at(row) for row in range(len(SPACE))]
    done = {str(SPACE.from_params(t.params)) for t in study.trials if t.values}
    untrained = [a for a in architectures if str(a) not in done]
    for limit in (1.0, 3.0, 8.0, 32.0):
        bound = best_under(study, limit).bound
        assert bound is not None
        assert all(accuracy(a) <= bound + 1e-9 for a in untrained if latency(a) <= limit)
    for wanted in (55.0, 70.0, 80.0):
        try:
            least = fastest_above(study, wanted).bound
        except StudyError:
            continue
        assert least is not None
        assert all(latency(a) >= least for a in untrained if accuracy(a) >= wanted)


def test_when_all_is_trained_nothing_can_be_better() -> None:
    study = searched(len(SPACE))
    assert best_under(study, 8.0).bound is not None
    assert best_under(study, 8.0).bound <= best_under(study, 8.0).accuracy + 1e-9


def test_several_costs_and_one_without_a_limit() -> None:
    study = given((70, 1, 9), (75, 2, 5), (80, 3, 7))
    assert best_under(study, 3, 6).number == 1
    assert best_under(study, 3).number == 2
    assert Findings.of(study).best_under(None, 9).number == 2
    assert fastest_above(study, 72, cost=1).number == 1
    assert best_under(study, 3).bound is None, "the study holds no space"
    assert math.isnan(best_under(study, 3).tolerance)


def test_knee_is_farthest_above_the_line_between_the_ends() -> None:
    study = given((50, 1), (79, 2), (80, 4), (82, 16))
    found = Findings.of(study)
    assert found.knee().number == 1
    assert found.fastest().number == 0
    assert found.most_accurate().number == 3
    assert Findings.of(given((50, 1))).knee().number == 0
    assert Findings.of(given((50, 1), (60, 2))).knee().number == 0, "of equals the cheapest"


def test_a_study_with_one_objective_is_refused() -> None:
    study = optuna.create_study(study_name="single", direction="maximize")
    with pytest.raises(StudyError, match=r"'single' has one objective.*directions="):
        best_under(study, 5.0)


def test_nothing_trained() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.raises(StudyError, match="no completed training"):
        best_under(study, 5.0)
    with pytest.raises(StudyError, match="no completed training"):
        Findings.of(study).knee()


def test_out_of_reach_names_the_nearest() -> None:
    study = given((70, 1.5), (80, 3))
    with pytest.raises(StudyError, match=r"within latency \(ms\) ≤ 1; .* is 1.5, trial 0"):
        best_under(study, 1.0)
    with pytest.raises(StudyError, match=r"of 90 or more; the highest is 80, trial 1"):
        fastest_above(study, 90.0)


@pytest.mark.parametrize("limits", [(), (0.0,), (-1.0,), (math.nan,), (1.0, 2.0), (None,)])
def test_limits_that_cannot_be(limits: tuple[float | None, ...]) -> None:
    with pytest.raises(InputError, match="limits must be positive"):
        Findings.of(given((70, 1.5))).best_under(*limits)
    with pytest.raises(InputError, match="cost must be one of 0 to 0 but got 1"):
        fastest_above(given((70, 1.5)), 60, cost=1)
