"""The whole way on real parts: profile, search, kill, resume, boundary."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from optuna_pop import POPPruner, POPSampler
from optuna_pop.curves import CURVE_ATTR
from optuna_pop.experiment import identity
from optuna_pop.experiment.objective import TrainingObjective
from optuna_pop.experiment.workers import RETRY_ATTR
from optuna_pop.profiling import LatencyTable
from optuna_pop.pruner import REASON_ATTR
from optuna_pop.spaces.presets import load_space
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_runs import StudyRuns
from optuna_pop.trainables import recipes
from optuna_pop.trainables.data.digits import Digits
from optuna_pop.trainables.recipes import TrainingRecipe
from tests.cli.conftest import made_up_table

Run = Callable[..., tuple[int, str, str]]
SEARCH = ["search", "--space", "space.json", "--table", "latency.json", "--recipe", "digits-smoke"]
URL = "sqlite:///study.db"


@contextmanager
def opened(folder: Path, name: str = "pop") -> Iterator[optuna.Study]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/study.db")
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.engine.dispose()


def start(folder: Path, trials: int) -> subprocess.Popen[str]:
    words = [*SEARCH, "--storage", URL, "--trials", str(trials)]
    return subprocess.Popen(
        [sys.executable, "-m", "optuna_pop.cli", *words],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_running(folder: Path, search: subprocess.Popen[str], *, complete: int) -> None:
    """Wait until a trial trains and so many are complete."""
    while search.poll() is None:
        time.sleep(0.1)
        try:
            # Only to look: opening it as Optuna's storage would make tables beside the search.
            with closing(sqlite3.connect(f"file:{folder}/study.db?mode=ro", uri=True)) as database:
                rows = database.execute(
                    "select state, exists (select 1 from trial_user_attributes a where a.trial_id ="
                    " t.trial_id and a.key = 'latency_ms') from trials t"
                ).fetchall()
        except sqlite3.OperationalError:
            continue  # the search has not made the study yet
        if rows.count(("COMPLETE", 1)) >= complete and ("RUNNING", 1) in rows:
            return
    pytest.fail("the search ended before:\n" + "\n".join(search.communicate()))


def architectures(study: optuna.Study) -> list[str]:
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    return [trial.user_attrs["architecture"] for trial in complete]


def test_search_tracks_resumes_and_shows(folder: Path, run: Run) -> None:
    code, out, err = run(*SEARCH, "--storage", URL, "--trials", 2)
    assert code == 0, err
    assert "Boundary of study 'pop'" in out
    assert "optuna-pop dashboard --storage sqlite:///study.db" in out
    code, out, _ = run(*SEARCH, "--storage", URL, "--trials", 3)
    assert code == 0
    assert "2 of 3 trainings done" in out
    with opened(folder) as study:
        assert len(set(architectures(study))) == len(study.trials) == 3
        assert study.metric_names == ["accuracy (%)", "latency (ms)"]
        table = LatencyTable.load(folder / "latency.json")
        space = load_space("space.json")
        for trial in study.trials:
            blocks = space.blocks(space.from_params(trial.params))
            assert trial.values[1] == pytest.approx(table.latency(blocks))
            assert 0 < trial.values[0] <= 100
        numbers = [trial.number for trial in study.trials]

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments)
    children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    parents = {r.info.run_id for r in runs} - {r.info.run_id for r in children}
    assert len(parents) == 1
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == parents
    assert len(children) == 3
    for child in children:
        assert child.info.status == "FINISHED"
        curve = client.get_metric_history(child.info.run_id, "accuracy")
        assert len(curve) > 1, "one a epoch"
        assert {"latency_ms", "macs", "parameters"} <= child.data.metrics.keys()

    files = ("--csv", "b.csv", "--png", "b.png", "--certificate", "c.png")
    code, out, _ = run("boundary", "--storage", URL, *files, "--budget-ms", 1e9)
    assert code == 0
    assert "Best within 1e+09 ms: trial" in out
    assert "The order does not bound yet what is untrained within it." in out, "three trainings"
    assert (folder / "c.png").read_bytes().startswith(b"\x89PNG")
    assert "comparable pairs" in out
    with (folder / "b.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["trial"]) for row in rows) == numbers
    assert (folder / "b.png").read_bytes().startswith(b"\x89PNG")


def test_search_refuses_what_is_not_the_studys(folder: Path, run: Run) -> None:
    assert run(*SEARCH, "--storage", URL, "--trials", 1)[0] == 0
    table = (folder / "latency.json").read_text()
    made_up_table(folder, 2.0).save(folder / "latency.json")
    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 2)
    assert code == 2
    assert "another table" in err
    assert "--study" in err
    (folder / "latency.json").write_text(table)
    spec = (folder / "space.json").read_text()
    (folder / "space.json").write_text(spec.replace("[1, 1, 1]", "[1, 1, 2]"))
    made_up_table(folder).save(folder / "latency.json")
    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 2)
    assert code == 2
    assert "another space" in err
    with opened(folder) as study:
        assert len(study.trials) == 1


def test_search_over_two_devices(folder: Path, run: Run) -> None:
    two = ("--table", "other.json", "--storage", URL)
    code, _, err = run(*SEARCH, *two, "--trials", 2)
    assert code == 2
    assert "no latency table other.json" in err
    made_up_table(folder, 3.0).save(folder / "other.json")
    assert run(*SEARCH, *two, "--trials", 2, "--cost-range", "0:", "--cost-range", ":1e9")[0] == 0
    with opened(folder) as study:
        assert len(study.directions) == 3
        assert len(set(study.metric_names)) == 3
        first, second = np.array([t.values[1:] for t in study.trials]).T
        assert second == pytest.approx(3 * first)
        sampler = identity.sampler_of(study)
        assert sampler is not None
        assert sampler.certificate(study).trained == 2
    code, out, _ = run("boundary", "--storage", URL, "--png", "b.png", "--csv", "b.csv")
    assert code == 0
    assert "b-2.png" in out
    assert (folder / "b-2.png").exists()
    assert (folder / "b.csv").read_text().startswith("trial,architecture,accuracy,cost_1,cost_2,")
    code, _, err = run(*SEARCH, "--storage", URL, "--trials", 3)
    assert code == 2
    assert "objective" in err


def test_killed_search_loses_and_doubles_nothing(folder: Path) -> None:
    first = start(folder, 20)
    wait_for_running(folder, first, complete=1)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    with opened(folder) as study:
        before = architectures(study)
        orphan = next(t for t in study.trials if t.state == TrialState.RUNNING)
    out, err = start(folder, 20).communicate()
    assert "their process had died" in out, err
    with opened(folder) as study:
        after = architectures(study)
        assert len(set(after)) == len(after), "nothing is doubled"
        sampler = identity.sampler_of(study)
        assert sampler is not None
        assert sampler.is_exhausted(study), "nothing is lost: each is trained or pruned"
        assert after[: len(before)] == before
        retried = [t for t in study.trials if t.user_attrs.get(RETRY_ATTR) == orphan.number]
        assert [t.state for t in retried] == [TrialState.COMPLETE]
        assert study.trials[orphan.number].state == TrialState.FAIL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_search_resumes(folder: Path, number: signal.Signals) -> None:
    first = start(folder, 4)
    wait_for_running(folder, first, complete=0)
    first.send_signal(number)
    _, err = first.communicate()
    assert first.returncode == 130
    assert "same command resumes" in err
    assert "Traceback" not in err
    with opened(folder) as study:
        waits = [t.state for t in study.trials].count(TrialState.WAITING)
        assert waits == 1, [(t.state, t.params, t.user_attrs, t.system_attrs) for t in study.trials]
        waiting = study.get_trials(states=(TrialState.WAITING,))[0]
        params = waiting.system_attrs["fixed_params"]
    second = start(folder, 2)
    second.communicate()
    with opened(folder) as study:
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        assert any(params.items() <= trial.params.items() for trial in complete)


def test_search_that_only_fails_ends_and_says_why(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverges = TrainingRecipe(epochs=1, batch_size=64, peak_lr=1e30)
    monkeypatch.setitem(recipes.RECIPES, "digits-smoke", diverges)
    code, out, _ = run(*SEARCH, "--storage", URL, "--trials", 20)
    assert code == 0
    assert "the last 5 trainings failed, trial 4 with a loss of NaN at step " in out
    with opened(folder) as study:
        assert [t.state for t in study.trials] == [TrialState.FAIL] * 5

    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("optuna_pop.experiment.objective.train", no_memory)
    _, out, _ = run(*SEARCH, "--storage", URL, "--study", "b", "--trials", 20)
    assert "trial 4 with RuntimeError: out of memory" in out


def test_search_stops_when_little_is_to_be_gained(folder: Path, run: Run) -> None:
    code, _, err = run(*SEARCH, "--storage", URL, "--stop-gain", "-1")
    assert code == 2
    assert "points must be above 0" in err
    spec = (folder / "space.json").read_text()
    (folder / "space.json").write_text(spec.replace("[1, 1, 1]", "[2, 2, 1]"))
    made_up_table(folder).save(folder / "latency.json")
    assert run(*SEARCH, "--storage", URL, "--study", "b", "--trials", 30, "--stop-gain", 90)[0] == 0
    with opened(folder, "b") as study:
        assert 8 < len(study.trials) < 16, "some to begin with, and three that promise little"


def test_hopeless_training_is_stopped_and_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, data = load_space("space.json"), Digits(copies=1, held_out_copies=1)
    table = LatencyTable.load(folder / "latency.json")
    sampler = POPSampler(space, cost=table, tolerance=1e3)
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=sampler,
        pruner=POPPruner(least_curves=1, warmup_steps=1),
    )
    fastest = space.at(int(table.costs(space).argmin()))
    study.add_trial(  # a network as fast as any, that learnt well
        optuna.trial.create_trial(
            values=[60.0, table.latency(space.blocks(fastest))],
            params=space.params(fastest),
            distributions=space.distributions(),
            user_attrs={CURVE_ATTR: [[1, 50.0], [2, 58.0]]},
        )
    )
    recipe = TrainingRecipe(epochs=3, batch_size=64, peak_lr=0.05)
    mirror = StudyMirror(study, StudyRuns(study))
    objective = TrainingObjective(space, [table], data, recipe, mirror=mirror)
    study.optimize(objective, n_trials=1)
    second = study.trials[1]
    assert second.state == TrialState.PRUNED
    assert [step for step, _ in second.user_attrs[CURVE_ATTR]] == [1]
    reason = second.user_attrs[REASON_ATTR]
    assert "learning curve" in reason
    run = MlflowClient(f"sqlite:///{folder}/mlflow.db").get_run(second.user_attrs["mlflow_run_id"])
    assert run.info.status == "KILLED"
    assert run.data.tags["optuna_pop.reason"] == reason
    mirror.finish()


def test_nan_accuracy_fails_the_trial_and_the_search_goes_on(folder: Path) -> None:
    space = load_space("space.json")
    data = Digits(copies=1, held_out_copies=1)
    diverges = TrainingRecipe(epochs=1, batch_size=64, peak_lr=1e30)
    learns = TrainingRecipe(epochs=1, batch_size=64, peak_lr=0.05)
    table = LatencyTable.load(folder / "latency.json")
    study = optuna.create_study(directions=["maximize", "minimize"])
    for recipe in (diverges, learns):
        study.optimize(TrainingObjective(space, [table], data, recipe), n_trials=1)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
