"""What a worker does besides training: choosing, storing, judging, logging.

A real study on a real PostgreSQL, with MLflow in a database of its own, gets 1,000 finished trials
of made-up accuracy. Then ``TrainingObjective`` runs more of them as ``optuna-pop worker`` does, but
its trainings are simulated and take no time: they only report an accuracy after each epoch. So all
the time that passes is spent outside training.

    python -m benchmarks.overhead --trials 1000 --json benchmarks/results/overhead.json
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any, cast
from unittest.mock import patch

import numpy as np
import optuna
import typer
from optuna.trial import FrozenTrial, create_trial
from rich.console import Console

from benchmarks.ask_time import MacCosts, accuracy_of
from optuna_pop import BackboneSpace, BlockConfig, POPPruner, POPSampler
from optuna_pop.experiment import storage, workers
from optuna_pop.experiment.objective import TrainingObjective
from optuna_pop.profiling import LatencyTable
from optuna_pop.tracking.mirror import StudyMirror
from optuna_pop.tracking.mlflow_runs import StudyRuns
from optuna_pop.trainables.data import DataSet
from optuna_pop.trainables.recipes import recipe
from optuna_pop.trainables.training import EpochMetrics, OnEpoch, TrainingResult
from tests import postgres

SPACE = BackboneSpace()  # the paper's: 73,324 architectures
TRAINING_S = 60.0
EPOCHS = 10


def history(count: int) -> list[FrozenTrial]:
    """Make up finished trials of random architectures."""
    rng, costs = np.random.default_rng(0), MacCosts()
    trials = []
    for row in rng.choice(len(SPACE), count, replace=False).tolist():
        architecture = SPACE.at(row)
        accuracy = accuracy_of(SPACE.vector(architecture), rng)
        latency = costs.latency(SPACE.blocks(architecture))
        trials.append(
            create_trial(
                values=[accuracy, latency],
                params=SPACE.params(architecture),
                distributions=SPACE.distributions(),
            )
        )
    return trials


class SimulatedTraining:
    """Stands in for ``train``: reports each epoch at once."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._rng = np.random.default_rng(1)

    def __call__(
        self, _: Sequence[BlockConfig], *__: Any, on_epoch: OnEpoch, **___: Any
    ) -> TrainingResult:
        """Give a result of made-up accuracy."""
        accuracy = 70.0 + self._rng.normal()
        for epoch in range(1, self._epochs + 1):
            on_epoch(epoch, EpochMetrics(accuracy - 20.0 / epoch, 1.0 / epoch, 0.1))
        return TrainingResult(accuracy, 0.1, (), 1, 1, 0.0, 1000, cast("Any", None))


def measure(url: str, mlflow: str, trials: int, runs: int) -> dict[str, Any]:
    """Run some trials after ``trials`` finished ones and time each."""
    study = storage.open_study(
        url, "overhead", POPSampler(SPACE, cost=MacCosts()), POPPruner(warmup_steps=1)
    )
    study.add_trials(history(trials))
    how = replace(recipe("digits-demo"), epochs=EPOCHS)
    objective = TrainingObjective(
        SPACE,
        [cast("LatencyTable", MacCosts())],
        cast("DataSet", None),
        how,
        mirror=StudyMirror(study, StudyRuns(study, tracking_uri=mlflow), 60.0),
    )
    ends = [perf_counter()]

    def after(study: optuna.Study, _: FrozenTrial) -> None:
        workers.recover(study)
        ends.append(perf_counter())

    training = SimulatedTraining(how.epochs)
    with patch("optuna_pop.experiment.objective.train", training):
        study.optimize(objective, n_trials=runs + 1, callbacks=[after])
    seconds = np.diff(ends)
    median = float(np.median(seconds[1:]))
    return {
        "trials": trials,
        "epochs": how.epochs,
        "first_s": round(float(seconds[0]), 3),  # connects, reads all trials, lists the space
        "median_s": round(median, 3),
        "p90_s": round(float(np.quantile(seconds[1:], 0.9)), 3),
        "percent_of_60_s": round(100 * median / TRAINING_S, 2),
    }


def main(
    trials: Annotated[int, typer.Option(min=2, help="Finished before.")] = 1000,
    runs: Annotated[int, typer.Option(min=1, help="Trials to time.")] = 20,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
) -> None:
    """Time what a worker does besides training."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    warnings.simplefilter("ignore")
    with postgres.running() as server, TemporaryDirectory() as folder:
        result = measure(server.url, f"sqlite:///{folder}/mlflow.db", trials, runs)
    Console().print_json(data=result)
    if json_path:
        json_path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
