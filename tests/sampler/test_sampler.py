from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FixedTrial, Trial, TrialState

from optuna_pop import (
    BackboneSpace,
    OrderedArchitecture,
    OrderedSpace,
    PoolSpace,
    POPSampler,
    SpaceExhaustedError,
    StopWhenBoundaryUnchanged,
)
from optuna_pop.callbacks import boundary_age
from optuna_pop.errors import CostError, InputError, StudyError
from optuna_pop.ledger import CLAIM_ATTR, Trained, trained

SPACE = OrderedSpace({"width": [16, 32, 64, 128], "depth": [1, 2, 3, 4]})
DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]


def cost(architecture: OrderedArchitecture) -> float:
    return float(architecture["width"] * architecture["depth"])


def accuracy(architecture: OrderedArchitecture) -> float:
    width, depth = SPACE.vector(architecture)
    return min(60.0, 40.0 + 8.0 * width + 5.0 * depth)  # saturates, so there is much to prune


def objective(trial: Trial) -> tuple[float, float]:
    architecture = SPACE.suggest(trial)
    return accuracy(architecture), cost(architecture)


def make(seed: int = 0, **kwargs: object) -> POPSampler[OrderedArchitecture]:
    """Algorithm 1 unless told otherwise."""
    settings = {"tolerance": 0.0, "selection": "uniform", **kwargs}
    return POPSampler(SPACE, cost=cost, seed=seed, **settings)  # type: ignore[arg-type]


def create(sampler: POPSampler[OrderedArchitecture], **kwargs: object) -> Study:
    return optuna.create_study(directions=DIRECTIONS, sampler=sampler, **kwargs)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    if request.param == "journal":
        backend = JournalFileBackend(str(tmp_path / "journal.log"))
        return optuna.storages.JournalStorage(backend)
    return optuna.storages.InMemoryStorage()


def rows_of(study: Study) -> list[int]:
    names = set(SPACE.distributions())
    return [
        SPACE.row(SPACE.from_params(t.params)) for t in study.trials if names <= t.params.keys()
    ]


def test_finds_the_true_boundary_and_stops_by_itself(storage: object) -> None:
    study = create(make(), storage=storage)
    study.optimize(objective, n_trials=100)
    assert all(t.state == TrialState.COMPLETE for t in study.trials)
    assert len(set(rows_of(study))) == len(study.trials) < len(SPACE)
    every = [(accuracy(SPACE.at(r)), cost(SPACE.at(r))) for r in range(len(SPACE))]
    best = {p for p in every if not any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in every)}
    assert {tuple(t.values) for t in study.best_trials} == best


def test_resumed_study_goes_on_where_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    create(make(), storage=url, study_name="s").optimize(objective, n_trials=4)
    again = optuna.load_study(study_name="s", storage=url, sampler=make(seed=1))
    again.optimize(objective, n_trials=100)
    assert len(set(rows_of(again))) == len(again.trials)
    assert make().is_exhausted(again)
    fresh, old = make(), again.sampler
    assert isinstance(old, POPSampler)
    assert fresh.pruned_rows(again).tolist() == old.pruned_rows(again).tolist()


def test_ask_and_tell_ends_with_an_error_that_is_a_pruning() -> None:
    sampler = make()
    study = create(sampler)
    while not sampler.is_exhausted(study):
        trial = study.ask()
        study.tell(trial, objective(trial))
    trial = study.ask()
    with pytest.raises(SpaceExhaustedError, match="nothing is left"):
        SPACE.suggest(trial)
    study.tell(trial, state=TrialState.PRUNED)
    before = len(study.trials)
    study.optimize(objective, n_trials=50)  # an exhausted study ends cleanly
    assert len(study.trials) == before + 1
    assert study.trials[-1].state == TrialState.PRUNED


def test_same_seed_same_search() -> None:
    a, b = create(make(seed=7)), create(make(seed=7))
    a.optimize(objective, n_trials=6)
    b.optimize(objective, n_trials=6)
    assert rows_of(a) == rows_of(b)


def test_running_waiting_and_enqueued_architectures_are_not_chosen() -> None:
    study = create(make())
    enqueued = SPACE.params(SPACE.at(5))
    study.enqueue_trial(enqueued)
    in_flight = [study.ask() for _ in range(len(SPACE))]
    chosen = [SPACE.row(SPACE.suggest(trial)) for trial in in_flight]
    assert sorted(chosen) == list(range(len(SPACE))), "each exactly once, the enqueued one too"
    assert chosen[0] == 5


def test_waiting_trial_is_kept_free_for_its_worker() -> None:
    study = create(make())
    running = study.ask()
    study.enqueue_trial(SPACE.params(SPACE.at(3)))
    chosen = {SPACE.row(SPACE.suggest(running))}
    assert 3 not in chosen


def test_partly_fixed_enqueued_trial_gets_a_fitting_architecture() -> None:
    study = create(make())
    for _ in range(4):
        study.enqueue_trial({"width": 64})
    found = [SPACE.suggest(study.ask()) for _ in range(4)]
    assert {a["width"] for a in found} == {64}
    assert {a["depth"] for a in found} == {1, 2, 3, 4}


def test_out_of_range_training_teaches_but_is_never_chosen() -> None:
    sampler = make(cost_range=(30, 300))
    study = create(sampler)
    study.enqueue_trial(SPACE.params(SPACE.from_params({"width": 128, "depth": 4})))  # cost 512
    study.enqueue_trial(SPACE.params(SPACE.from_params({"width": 16, "depth": 1})))  # cost 16
    for value in (60.0, 60.0):
        trial = study.ask()
        study.tell(trial, (value, cost(SPACE.suggest(trial))))
    assert len(sampler.pruned_rows(study)) == sampler.region.size
    assert sampler.is_exhausted(study)


def test_failed_architecture_is_retried_once_then_given_up() -> None:
    sampler = make()
    study = create(sampler)

    def fails(trial: Trial) -> tuple[float, float]:
        architecture = SPACE.suggest(trial)
        if architecture["depth"] == 4:
            raise RuntimeError("out of memory")
        return float("nan") if architecture["width"] == 128 else 50.0, cost(architecture)

    study.optimize(fails, n_trials=200, catch=(RuntimeError,))
    failed = [t for t in study.trials if t.state == TrialState.FAIL]
    assert failed
    tries = [tuple(t.params.values()) for t in failed]
    assert max(tries.count(t) for t in tries) == 2
    assert sampler.is_exhausted(study)


def test_pruned_trial_is_not_chosen_again() -> None:
    sampler = make()
    study = create(sampler)

    def prunes(trial: Trial) -> tuple[float, float]:
        SPACE.suggest(trial)
        raise optuna.TrialPruned

    study.optimize(prunes, n_trials=100)
    assert sorted(rows_of(study)) == list(range(len(SPACE)))


def test_tolerance_prunes_less() -> None:
    strict, lenient = make(tolerance=0.0), make(tolerance=6.0)
    study = create(strict)
    study.optimize(objective, n_trials=6)
    a, b = set(strict.pruned_rows(study).tolist()), set(lenient.pruned_rows(study).tolist())
    assert b < a


def test_threads_never_train_twice() -> None:
    study = create(make())
    study.optimize(objective, n_trials=100, n_jobs=4)
    rows = rows_of(study)
    assert len(rows) == len(set(rows))


def test_sampler_pickles_with_its_settings() -> None:
    sampler = make(tolerance=2.0, cost_range=(10, 300))
    create(sampler).optimize(objective, n_trials=3)
    again = pickle.loads(pickle.dumps(make(tolerance=2.0, cost_range=(10, 300))))
    study = create(again)
    study.optimize(objective, n_trials=3)
    assert again.region.size == sampler.region.size < len(SPACE)


def test_single_accuracy_objective_works_too() -> None:
    sampler = make()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: objective(trial)[0], n_trials=100)
    assert sampler.is_exhausted(study)
    assert len(study.trials) < len(SPACE)


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "maximize"], ["minimize"] * 2])
def test_other_directions_are_refused_only_inside_the_space(directions: list[str]) -> None:
    study = optuna.create_study(directions=directions, sampler=make())  # type: ignore[arg-type]
    assert 0 <= study.ask().suggest_float("x", 0, 1) <= 1
    with pytest.raises(StudyError, match="maximize"):
        SPACE.suggest(study.ask())


@pytest.mark.parametrize(
    ("directions", "costs", "message"),
    [
        (["maximize", "maximize", "minimize"], 1, "several qualities into one"),
        (["maximize", "minimize", "minimize"], 1, "2 of them costs, but the sampler knows 1"),
        (["maximize", "minimize"], 2, r"'minimize', 'minimize'\]"),
        (["maximize"], 0, "knows no cost"),
    ],
)
def test_directions_must_fit_the_costs(directions: list[str], costs: int, message: str) -> None:
    sampler = POPSampler(SPACE, cost=[cost] * costs or None)
    study = optuna.create_study(directions=directions, sampler=sampler)
    with pytest.raises(StudyError, match=message):
        SPACE.suggest(study.ask())


@pytest.mark.parametrize("kind", ["array", "model", "function"])
def test_costs_come_in_three_forms(kind: str) -> None:
    numbers = np.array([cost(SPACE.at(row)) for row in range(len(SPACE))])

    class Model:
        def costs(self, space: object) -> np.ndarray:
            assert space is SPACE
            return numbers

    given: dict[str, object] = {"array": numbers, "model": Model(), "function": cost}
    sampler = POPSampler(SPACE, cost=given[kind])  # type: ignore[arg-type]
    assert sampler.region.take(np.arange(len(SPACE))).costs[:, 0].tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"cost_range": (5, 1)}, CostError, "T_min must not exceed T_max"),
        ({"cost_range": (9000, 9001)}, CostError, "ranges from 16 to 512"),
        ({"cost_range": (float("nan"), 1)}, CostError, "nan"),
        ({"cost_range": [(1, 2), None]}, CostError, "bounds of 2 costs but there are 1"),
        ({"cost": None, "cost_range": (1, 2)}, CostError, "known before training"),
        ({"cost": [1.0, 2.0]}, CostError, r"16 architectures.*\(2,\)"),
        ({"cost": lambda a: float("nan")}, CostError, "width=16, depth=1 is nan"),
        ({"tolerance": -0.1}, InputError, "-0.1"),
        ({"max_failures": 0}, InputError, "max_failures"),
    ],
)
def test_bad_settings(kwargs: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        POPSampler(SPACE, **{"cost": cost, **kwargs})  # type: ignore[arg-type]


def test_a_claim_that_never_became_sure_does_not_block_forever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("optuna_pop.claims._PATIENCE_S", 0.05)
    space = PoolSpace(np.array([[0], [1]]))
    sampler = POPSampler(space, cost=[1.0, 2.0], seed=0)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    first, second = study.ask(), study.ask()
    study._storage.set_trial_system_attr(second._trial_id, CLAIM_ATTR, [0, False])
    assert space.suggest(first).row == 1


def test_backbone_space_end_to_end() -> None:
    space = BackboneSpace((8, 16), (2, 2, 2), input_shape=(1, 32, 32), classes=10)
    macs = space.sum_blocks(lambda b: float(b.c_in * b.c_out * b.h_out * b.w_out))
    sampler = POPSampler(space, cost=macs, seed=0)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    for _ in range(20):
        trial = study.ask()
        row = space.row(space.suggest(trial))
        study.tell(trial, (float(sum(space.vectors()[row])), macs[row]))
    assert len({str(t.user_attrs["architecture"]) for t in study.trials}) == 20


def test_suggest_replays_a_finished_trial() -> None:
    study = create(make())
    study.optimize(objective, n_trials=3)
    for trial in study.trials:
        again = SPACE.suggest(FixedTrial(trial.params))
        assert str(again) == trial.user_attrs["architecture"]


def test_boundary_age_counts_trainings_since_the_last_change() -> None:
    history = [
        Trained(i, "", acc, (lat,))
        for i, (acc, lat) in enumerate([(50, 5), (60, 9), (40, 6), (60, 9), (45, 4), (44, 4.5)])
    ]
    assert [boundary_age(history[:n]) for n in range(1, 7)] == [0, 0, 1, 2, 0, 1]
    with pytest.raises(StudyError, match="cost"):
        boundary_age([Trained(0, "", 1.0, ())])


def test_callback_stops_an_unchanged_boundary() -> None:
    study = create(make(tolerance=1e6))  # nothing is pruned, so only the callback can stop it
    study.optimize(
        lambda trial: (accuracy(SPACE.suggest(trial)) * 0 + 50.0, float(trial.number)),
        n_trials=100,
        callbacks=[StopWhenBoundaryUnchanged(5)],
    )
    assert len(study.trials) == 6
    assert [t.number for t in trained(study)] == list(range(6))
    with pytest.raises(InputError, match="0"):
        StopWhenBoundaryUnchanged(0)
