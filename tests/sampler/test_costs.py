"""Several costs at once, and costs that are known only after training."""

from __future__ import annotations

import itertools

import numpy as np
import optuna
import pytest

from optuna_pop import OrderedSpace, POPSampler
from optuna_pop.order import staircase

LEVELS = np.array(list(itertools.product(range(5), repeat=4)))
SPACE = OrderedSpace({name: range(5) for name in "abcd"})
# Two devices that disagree on which parameters are slow.
TWO = np.stack([np.exp(LEVELS @ w / 6.0) for w in ([1, 1, 0.2, 0.2], [0.2, 0.2, 1, 1])], axis=1)
TRUTH = 95.0 - 60.0 * np.exp(-LEVELS @ np.array([0.2, 0.1, 0.05, 0.15]))
NOISY = TRUTH + np.random.default_rng(0).normal(0, 0.3, len(TRUTH))


def search(
    sampler: optuna.samplers.BaseSampler,
    costs: np.ndarray,
    trials: int,
    accuracy: np.ndarray = NOISY,
) -> tuple[optuna.Study, list[int]]:
    directions = ["maximize"] + ["minimize"] * costs.shape[1]
    study = optuna.create_study(directions=directions, sampler=sampler)
    rows: list[int] = []
    for _ in range(trials):
        trial = study.ask()
        rows.append(SPACE.row(SPACE.suggest(trial)))
        study.tell(trial, [accuracy[rows[-1]], *costs[rows[-1]]])
    return study, rows


def hypervolume(rows: list[int], costs: np.ndarray) -> float:
    """Mean of f over log-costs, by Monte Carlo: what a search must lift."""
    low, high = np.log(costs.min(axis=0)), np.log(costs.max(axis=0))
    at = np.exp(np.random.default_rng(1).uniform(low, high, (2000, costs.shape[1])))
    within = (costs[rows][:, None] <= at).all(axis=2)
    return float(np.where(within, TRUTH[rows][:, None], TRUTH.min()).max(axis=0).mean())


def test_two_tables_are_searched_at_once() -> None:
    every = hypervolume(list(range(len(TRUTH))), TWO)
    ours, random = [], []
    for seed in range(2):
        sampler = POPSampler(SPACE, cost=list(TWO.T), seed=seed)
        study, rows = search(sampler, TWO, 50)
        assert len(set(rows)) == 50
        ours.append(every - hypervolume(rows, TWO))
        _, rows = search(optuna.samplers.RandomSampler(seed=seed), TWO, 50)
        random.append(every - hypervolume(rows, TWO))
    assert np.mean(ours) < 0.5 * np.mean(random)

    proof = sampler.certificate(study)
    assert len(proof.upper) == 2
    assert proof.pruned > 0
    pruned = sampler.pruned_rows(study)
    # Whatever is pruned is, the tolerance aside, beaten by something trained on both devices.
    trained = np.array(rows_of(study))
    for row in pruned.tolist():
        beats = (TWO[trained] <= TWO[row]).all(axis=1)
        assert NOISY[trained[beats]].max() >= TRUTH[row] - sampler.order_evidence(study).tolerance


def rows_of(study: optuna.Study) -> list[int]:
    return [SPACE.row(SPACE.from_params(trial.params)) for trial in study.trials]


def test_the_second_cost_counts() -> None:
    """With both costs the boundary holds networks that one cost alone would never train."""
    both = set(staircase(TWO, TRUTH).tolist())
    first = set(staircase(TWO[:, 0], TRUTH).tolist())
    _, rows = search(POPSampler(SPACE, cost=TWO, seed=0), TWO, 60)
    assert len((both - first) & set(rows)) > 10


@pytest.mark.parametrize("costs", [TWO[:, :1], TWO], ids=["one", "two"])
def test_costs_known_only_after_training(costs: np.ndarray) -> None:
    every = hypervolume(list(range(len(TRUTH))), costs)
    gaps: dict[str, list[float]] = {"known": [], "unknown": [], "random": []}
    for seed in range(2):
        samplers: dict[str, optuna.samplers.BaseSampler] = {
            "known": POPSampler(SPACE, cost=costs, seed=seed),
            "unknown": POPSampler(SPACE, seed=seed),
            "random": optuna.samplers.RandomSampler(seed=seed),
        }
        for name, sampler in samplers.items():
            _, rows = search(sampler, costs, 40)
            gaps[name].append(every - hypervolume(rows, costs))
            assert name == "random" or len(set(rows)) == 40
    mean = {name: float(np.mean(values)) for name, values in gaps.items()}
    assert mean["unknown"] < 0.5 * mean["random"]
    assert mean["unknown"] < 1.5 * mean["known"] + 0.05, "little is lost by not knowing"


@pytest.mark.parametrize("costs", [TWO[:, :1], TWO], ids=["one", "two"])
def test_pruning_without_known_costs_is_right(costs: np.ndarray) -> None:
    saturated = np.minimum(TRUTH, 70.0)
    sampler = POPSampler(SPACE, seed=0, tolerance=0.0)
    study, _ = search(sampler, costs, 40, saturated)
    pruned = sampler.pruned_rows(study)
    assert len(pruned) > 20
    known = POPSampler(SPACE, cost=costs, tolerance=0.0)
    assert set(pruned.tolist()) <= set(known.pruned_rows(study).tolist())
    trained = np.array(rows_of(study))
    for row in pruned.tolist():
        faster = (costs[trained] <= costs[row]).all(axis=1)
        assert saturated[trained[faster]].max() >= saturated[row]
    assert sampler.certificate(study).trained == 40


def test_costs_that_say_nothing_do_not_stop_a_search() -> None:
    for costs in (np.ones((len(TRUTH), 1)), -TWO[:, :1]):
        sampler = POPSampler(SPACE, seed=0, tolerance=30.0)
        _, rows = search(sampler, costs, 15)
        assert len(set(rows)) == 15


def test_equal_costs_leave_only_the_most_accurate() -> None:
    """Nothing costs more than anything else, so all below a network that is beaten is pruned."""
    sampler = POPSampler(SPACE, seed=0, tolerance=0.0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(lambda trial: (float(sum(SPACE.vector(SPACE.suggest(trial)))), 1.0))
    assert len(study.trials) < 30
    assert study.best_trials[0].values == [16.0, 1.0]


def test_unknown_costs_in_batches_do_not_crowd() -> None:
    sampler = POPSampler(SPACE, seed=0)
    study, rows = search(sampler, TWO[:, :1], 20)
    running = [SPACE.row(SPACE.suggest(study.ask())) for _ in range(8)]
    assert len(set(running) | set(rows)) == 28
    assert np.ptp(np.log(TWO[running, 0])) > 0.3 * np.ptp(np.log(TWO[:, 0]))
