from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import Study
from optuna.trial import TrialState

from optuna_pop import CurveTrial, OrderedSpace, POPPruner, POPSampler
from optuna_pop.errors import InputError
from optuna_pop.order.late_gain import LateGains
from optuna_pop.pruner import REASON_ATTR

SPACE = OrderedSpace({"width": [1, 2, 3, 4], "depth": [1, 2, 3, 4]})
DIRECTIONS = ["maximize", "minimize"]


def make(tolerance: float | None = 0.0, **settings: object) -> Study:
    sampler = POPSampler(
        SPACE, cost=lambda a: float(a["width"] * a["depth"]), tolerance=tolerance, seed=0
    )
    return optuna.create_study(
        directions=DIRECTIONS,
        sampler=sampler,
        pruner=POPPruner(**settings),  # type: ignore[arg-type]
    )


def start(study: Study, width: int, depth: int) -> CurveTrial:
    study.enqueue_trial({"width": width, "depth": depth})
    trial = CurveTrial(study.ask())
    SPACE.suggest(trial)
    return trial


def finish(study: Study, width: int, depth: int, accuracy: float, *curve: float) -> None:
    trial = start(study, width, depth)
    for step, value in enumerate(curve):
        trial.report(value, step)
    study.tell(trial.number, (accuracy, float(width * depth)))


def test_results_that_arrive_meanwhile_end_a_training() -> None:
    study = make(tolerance=1.0)
    running = start(study, 2, 3)
    running.report(20.0, 0)
    assert not running.should_prune()
    finish(study, 2, 2, 70.0)  # faster
    finish(study, 3, 4, 69.5)  # larger
    assert not running.should_prune(), "70.5 is possible within the tolerance"
    finish(study, 4, 4, 69.0)
    assert running.should_prune()
    reason = study.trials[running.number].user_attrs[REASON_ATTR]
    assert reason.startswith("by the order: a larger network has 69 (tolerance 1)")


def test_curve_that_cannot_catch_up_ends_a_training() -> None:
    study = make(tolerance=100.0, least_curves=3, warmup_steps=1)
    for width, depth in ((1, 1), (1, 2), (2, 1)):
        finish(study, width, depth, 60.0, 30.0, 50.0, 60.0)  # late gains 30, 10, 0
    running = start(study, 3, 3)
    running.report(29.0, 0)
    assert not running.should_prune(), "warm-up"
    running.report(51.0, 1)
    assert not running.should_prune(), "61 is possible"
    running.report(59.0, 2)
    assert running.should_prune()
    assert "by its learning curve: 59 at best from step 2 on" in str(
        study.trials[running.number].user_attrs[REASON_ATTR]
    )
    slow = start(study, 1, 3)
    slow.report(10.0, 0)
    slow.report(49.0, 1)
    assert slow.should_prune()


def test_fastest_of_all_is_never_pruned_by_its_curve() -> None:
    study = make(least_curves=1)
    finish(study, 3, 3, 60.0, 50.0, 60.0)
    running = start(study, 1, 1)
    running.report(1.0, 0)
    assert not running.should_prune(), "nothing trained is as fast"


def test_too_few_curves_or_none_say_nothing() -> None:
    study = make(tolerance=100.0, least_curves=2)
    finish(study, 1, 1, 60.0, 50.0, 60.0)
    finish(study, 1, 2, 60.0)  # without a curve
    running = start(study, 3, 3)
    running.report(1.0, 0)
    assert not running.should_prune()


def test_stopped_training_bounds_larger_ones_from_below_and_is_no_result() -> None:
    study = make(tolerance=0.0)
    sampler = study.sampler
    assert isinstance(sampler, POPSampler)
    stopped = start(study, 2, 2)
    for step, value in enumerate((40.0, 45.0, 44.0)):
        stopped.report(value, step)
    study.tell(stopped.number, state=TrialState.PRUNED)
    row = SPACE.row(SPACE.from_params({"width": 2, "depth": 2}))
    assert row not in sampler.trained_rows(study)
    larger = start(study, 3, 2)
    outlook = sampler.outlook(study, study.trials[larger.number])
    assert outlook is not None
    assert outlook.lo == 45.0
    assert outlook.hi == math.inf
    assert outlook.reach == -math.inf, "it holds no boundary"
    chosen = {SPACE.row(SPACE.suggest(study.ask())) for _ in range(14)}
    assert row not in chosen


def test_pruner_says_what_it_needs() -> None:
    study = optuna.create_study(directions=DIRECTIONS, pruner=POPPruner())
    trial = CurveTrial(study.ask())
    trial.report(1.0, 0)
    with pytest.raises(InputError, match="needs a POPSampler"):
        trial.should_prune()
    for settings in ({"quantile": 0.0}, {"least_curves": 0}, {"warmup_steps": -1}):
        with pytest.raises(InputError, match=next(iter(settings)).split("_")[0]):
            POPPruner(**settings)  # type: ignore[arg-type]


def test_one_objective_needs_no_wrapper() -> None:
    sampler = POPSampler(SPACE, cost=lambda a: float(a["width"] * a["depth"]), tolerance=1e3)
    study = optuna.create_study(
        direction="maximize", sampler=sampler, pruner=POPPruner(least_curves=2)
    )

    def objective(trial: optuna.Trial) -> float:
        width, depth = SPACE.vector(SPACE.suggest(trial))
        final = 50.0 + 5 * width - 3 * depth
        for step in range(4):
            trial.report(final - 10 * (3 - step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return final

    study.optimize(objective, n_trials=16)
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert len(pruned) > 3
    assert all("learning curve" in t.user_attrs[REASON_ATTR] for t in pruned)


@given(
    st.lists(st.lists(st.floats(0, 100), min_size=3, max_size=6), min_size=1, max_size=6),
    st.lists(st.floats(0, 100), min_size=1, max_size=3),
    st.sampled_from([0.3, 0.8, 1.0]),
)
def test_late_gains_by_definition(
    curves: list[list[float]], running: list[float], quantile: float
) -> None:
    gains = LateGains(quantile, least=1)
    for curve in curves:
        gains.add(dict(enumerate(curve)), curve[-1])
    step = len(running) - 1
    expected = [curve[-1] - max(curve[: step + 1]) for curve in curves]
    assert sorted(gains.at(step)) == sorted(expected)
    late = max(0.0, float(np.quantile(expected, quantile, method="higher")))
    assert gains.reach(dict(enumerate(running))) == max(running) + late
