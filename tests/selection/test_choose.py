from __future__ import annotations

import itertools

import numpy as np
import optuna
import pytest

from optuna_pop import OrderedSpace, POPSampler, StopWhenGainBelow
from optuna_pop.errors import InputError, OrderWarning
from optuna_pop.order.index import VectorIndex
from optuna_pop.order.region import EnumeratedRegion
from optuna_pop.selection import Choice, Known, SelectionOptions, Selector

GRID = np.array(list(itertools.product(range(5), repeat=4)), dtype=np.int16)
COSTS = np.exp(GRID.sum(axis=1) / 6.0)[:, None]
TRUTH = 95.0 - 60.0 * np.exp(-GRID @ np.array([0.2, 0.1, 0.05, 0.02]))


def next_of(
    selector: Selector,
    trained: list[int],
    accuracy: np.ndarray,
    running: list[int],
    rng: np.random.Generator,
) -> Choice | None:
    rows = np.array(trained, dtype=np.intp)
    return selector.choose(Known(rows, COSTS[rows], accuracy[rows]), running, rng)


def search(accuracy: np.ndarray, budget: int, seed: int = 0) -> list[int]:
    selector, rng = Selector(EnumeratedRegion(GRID, COSTS)), np.random.default_rng(seed)
    trained: list[int] = []
    for _ in range(budget):
        choice = next_of(selector, trained, accuracy, [], rng)
        assert choice is not None
        trained.append(choice.row)
    return trained


def gap(trained: list[int]) -> float:
    at = np.geomspace(COSTS.min(), COSTS.max(), 100)

    def f(rows: np.ndarray) -> np.ndarray:
        reached = np.where(COSTS[rows] <= at, TRUTH[rows][:, None], TRUTH.min())
        return np.asarray(reached.max(axis=0))

    return float((f(np.arange(len(GRID))) - f(np.array(trained))).mean())


def test_finds_the_boundary_where_random_does_not() -> None:
    by_gain = np.mean([gap(search(TRUTH, 25, seed)) for seed in range(3)])
    at_random = np.mean(
        [gap(np.random.default_rng(s).permutation(len(GRID))[:25].tolist()) for s in range(20)]
    )
    assert by_gain < 0.25 * at_random


def test_never_repeats_and_begins_with_the_extremes() -> None:
    trained = search(TRUTH, 40)
    assert len(set(trained)) == 40
    assert {int(COSTS.argmin()), int(COSTS.argmax())} == set(trained[:2])


def test_the_first_few_are_spread_over_cost_and_have_many_precedents() -> None:
    trained = search(TRUTH, 8)[2:]
    place = np.log(COSTS[:, 0] / COSTS.min()) / np.log(COSTS.max() / COSTS.min())
    middle = (np.arange(6) + 0.5) / 6
    assert np.sort(place[trained]) == pytest.approx(middle, abs=0.5 / 6 + 1e-9)
    for row in trained:
        alike = np.flatnonzero(np.abs(place - place[row]) < 1e-9)
        precedents = [(GRID[other] >= GRID).all(axis=1).sum() for other in alike]
        assert (GRID[row] >= GRID).all(axis=1).sum() >= np.quantile(precedents, 0.8)


@pytest.mark.parametrize("scale", [0.01, 1.0], ids=["fractions", "percentages"])
def test_unit_of_accuracy_does_not_matter(scale: float) -> None:
    assert search(TRUTH * scale, 20) == search(TRUTH, 20)


@pytest.mark.parametrize(
    "accuracy",
    [
        np.full(len(GRID), 70.0),
        np.round(TRUTH, -1),
        -np.abs(TRUTH) * 1e3,
        1e-6 * TRUTH,
    ],
    ids=["all equal", "ties", "negative losses", "tiny"],
)
def test_odd_accuracies_still_give_choices(accuracy: np.ndarray) -> None:
    assert len(set(search(accuracy, 20))) == 20


def test_running_architectures_are_not_crowded() -> None:
    selector, rng = Selector(EnumeratedRegion(GRID, COSTS)), np.random.default_rng(0)
    trained = search(TRUTH, 15)
    running: list[int] = []
    for _ in range(8):
        choice = next_of(selector, trained, TRUTH, running, rng)
        assert choice is not None
        running.append(choice.row)
    assert len(set(running) | set(trained)) == 23
    assert np.ptp(np.log(COSTS[running])) > 1.0, "spread over the boundary, not in one place"


def test_everything_is_found_in_the_end() -> None:
    selector, rng = Selector(EnumeratedRegion(GRID[:30], COSTS[:30])), np.random.default_rng(0)
    trained: list[int] = []
    while (choice := next_of(selector, trained, TRUTH, [], rng)) is not None:
        trained.append(choice.row)
    assert sorted(trained) == list(range(30))


def test_index_finds_exactly_what_exists() -> None:
    index = VectorIndex(GRID[::2])
    found = index.rows_of(GRID.astype(np.int64))
    assert found[::2].tolist() == list(range(len(GRID[::2])))
    assert set(found[1::2].tolist()) == {-1}


def test_sizes_do_not_break_a_small_space() -> None:
    options = SelectionOptions(start=2, spread=10, near=5, trained=6, budget=100)
    selector, rng = Selector(EnumeratedRegion(GRID, COSTS), options), np.random.default_rng(0)
    trained: list[int] = []
    for _ in range(30):
        choice = next_of(selector, trained, TRUTH, [], rng)
        assert choice is not None
        trained.append(choice.row)
    assert len(set(trained)) == 30


SPACE = OrderedSpace({name: range(5) for name in "abcd"})


def study_of(accuracy: np.ndarray, trials: int) -> tuple[optuna.Study, POPSampler[object]]:
    sampler: POPSampler[object] = POPSampler(SPACE, cost=COSTS[:, 0], seed=0)  # type: ignore[arg-type]
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(trials):
        trial = study.ask()
        row = SPACE.row(SPACE.suggest(trial))
        study.tell(trial, (float(accuracy[row]), float(COSTS[row, 0])))
    return study, sampler


def test_broken_order_turns_pruning_off_with_the_evidence() -> None:
    shuffled = np.random.default_rng(1).permutation(TRUTH)
    with pytest.warns(OrderWarning, match="comparable pairs"):
        study, sampler = study_of(shuffled, 60)
    assert sampler.order_evidence(study).broken
    assert not len(sampler.pruned_rows(study))


def test_order_that_holds_prunes_without_being_told_a_tolerance() -> None:
    noisy = TRUTH + np.random.default_rng(2).normal(0, 0.2, len(GRID))
    study, sampler = study_of(noisy, 40)
    evidence = sampler.order_evidence(study)
    assert not evidence.broken
    assert 0 < evidence.tolerance < 2.0
    assert len(sampler.pruned_rows(study)) > 20


def test_resumed_search_knows_what_the_first_one_learnt() -> None:
    study, sampler = study_of(TRUTH, 30)
    fresh: POPSampler[object] = POPSampler(SPACE, cost=COSTS[:, 0], seed=0)  # type: ignore[arg-type]
    assert fresh.pruned_rows(study).tolist() == sampler.pruned_rows(study).tolist()
    assert fresh.certificate(study).trained == 30


def test_failed_trials_do_not_lead_the_search_astray() -> None:
    """Every third training fails; what is left is searched as well as if it had not."""
    sampler: POPSampler[object] = POPSampler(SPACE, cost=COSTS[:, 0], seed=0)  # type: ignore[arg-type]
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        row = SPACE.row(SPACE.suggest(trial))
        if trial.number % 3 == 2:
            raise RuntimeError("the machine went away")
        if trial.number % 9 == 1:
            return float("nan"), float(COSTS[row, 0])
        return float(TRUTH[row]), float(COSTS[row, 0])

    study.optimize(objective, n_trials=50, catch=(RuntimeError,))
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    rows = [SPACE.row(SPACE.from_params(trial.params)) for trial in complete]
    assert 25 < len(rows) < 34
    assert len(set(rows)) == len(rows)
    assert gap(rows) < 1.0


def test_search_stops_when_little_is_left_to_gain() -> None:
    sampler: POPSampler[object] = POPSampler(SPACE, cost=COSTS[:, 0], seed=0)  # type: ignore[arg-type]
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    assert np.isnan(sampler.expected_gain)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        row = SPACE.row(SPACE.suggest(trial))
        return float(TRUTH[row]), float(COSTS[row, 0])

    study.optimize(objective, n_trials=200, callbacks=[StopWhenGainBelow(sampler, 0.05)])
    assert 10 < len(study.trials) < 100
    assert sampler.expected_gain < 0.05
    assert gap([SPACE.row(SPACE.from_params(t.params)) for t in study.trials]) < 1.0
    with pytest.raises(InputError, match="-1"):
        StopWhenGainBelow(sampler, -1)
