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
from optuna_pop.pruner import REASON_ATTR
from optuna_pop.selection.late_gain import LateGains

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
    study = make(tolerance=100.0, least_curves=4, warmup_steps=1)
    for width, depth in ((1, 1), (1, 2), (2, 1), (1, 3)):
        finish(study, width, depth, 60.0 + width, 20.0, 48.0 + depth, 60.0)
    running = start(study, 3, 3)
    running.report(1.0, 0)
    assert not running.should_prune(), "warm-up"
    running.report(52.0, 1)
    assert not running.should_prune(), "as good as any at this step"
    running.report(52.5, 2)
    assert running.should_prune()
    assert "by its learning curve" in str(study.trials[running.number].user_attrs[REASON_ATTR])


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


def learning(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Curves (n, 12) of made-up trainings whose late gain depends on a feature (n,), and noise."""
    feature = rng.uniform(0, 2, n)
    error = 40.0 * np.exp(-0.8 * feature + rng.normal(0, 0.05, n))
    speed = rng.uniform(2.5, 3.5, n)
    steps = np.arange(1, 13)
    curves = 100.0 - error[:, None] - (90.0 - error[:, None]) * np.exp(-steps / speed[:, None])
    return curves + rng.normal(0, 0.2, curves.shape), feature


@pytest.mark.parametrize("step", [2, 5, 8])
def test_reach_is_rarely_passed_and_not_far_above(step: int) -> None:
    rng = np.random.default_rng(step)
    passed, above = [], []
    for _ in range(60):
        curves, feature = learning(rng, 16)
        gains = LateGains(least=8)
        for curve, value in zip(curves[:-1], feature[:-1], strict=True):
            gains.add(dict(enumerate(curve)), curve[-1], [value])
        running = dict(enumerate(curves[-1, : step + 1]))
        reach = gains.reach(running, [feature[-1]])
        passed.append(curves[-1, -1] > reach)
        above.append(reach - curves[-1, -1])
    assert np.mean(passed) <= 0.1
    assert np.median(above) < 12.0 - step, "a bound that says something"


@given(
    st.lists(st.lists(st.floats(0, 100), min_size=3, max_size=6), min_size=1, max_size=6),
    st.lists(st.floats(0, 100), min_size=1, max_size=3),
)
def test_reach_is_finite_and_never_below_what_was_seen(
    curves: list[list[float]], running: list[float]
) -> None:
    gains = LateGains(least=1)
    for curve in curves:
        gains.add(dict(enumerate(curve)), curve[-1])
    reach = gains.reach(dict(enumerate(running)))
    assert max(running) <= reach < math.inf
    assert LateGains(least=len(curves) + 1).reach(dict(enumerate(running))) == math.inf
