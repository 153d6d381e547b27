"""Running the trials of a study that carries all it needs: what ``search`` and ``worker`` share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import typer
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import TrialState

from optuna_pop.callbacks import StopWhenBoundaryUnchanged, StopWhenGainBelow
from optuna_pop.cli.options import console
from optuna_pop.cli.progress import SearchProgress
from optuna_pop.experiment import identity, workers
from optuna_pop.pruner import POPPruner
from optuna_pop.sampler import POPSampler

INTERRUPTED = 130  # what a shell reports of a command that Ctrl-C ended


def quiet() -> None:
    """Leave it to bars and lines to say what the libraries' logs would repeat."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read when it is imported


def pruner(*, prune: bool) -> BasePruner:
    """Return the pruner of a search."""
    return POPPruner(warmup_steps=1) if prune else NopPruner()


@contextmanager
def helpers(storage_url: str, study: str, count: int) -> Iterator[None]:
    """Have further processes of this machine work on a study inside the block, until they end.

    They end with the search; if the block is left by an error or Ctrl-C they are told to stop, and
    put back what they trained.
    """
    words = [sys.executable, "-m", "optuna_pop.cli", "worker", "--study", study]
    # By the environment, as a password in an argument could be read by every user.
    environment = {**os.environ, STORAGE_VARIABLE: storage_url}
    processes = [subprocess.Popen(words, env=environment) for _ in range(count)]
    try:
        yield
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.wait()


STORAGE_VARIABLE = "OPTUNA_POP_STORAGE"
"""Environment variable that names the study's database."""


def run(study: optuna.Study, sampler: POPSampler[Any]) -> None:
    """Train what is still to be trained of a study, as its settings say.

    Raises:
        StudyError: if this installation cannot serve the study.
    """
    from optuna_pop.experiment.assembly import objective_of

    objective, runs = objective_of(study)
    settings = identity.settings_of(study)
    trials = int(settings["trials"])
    recovered = workers.recover(study)
    if recovered:
        console().print(f"Enqueued again, as their process had died: trials {recovered}")
        runs.close_orphans()
    done = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    if done:
        console().print(f"Resuming study {study.study_name!r}: {done} of {trials} trainings done.")
    if done >= trials or sampler.is_exhausted(study):
        return
    stops: list[Any] = [StopWhenEnough(trials), StopWhenOnlyFailing()]
    if settings["patience"]:
        stops.append(StopWhenBoundaryUnchanged(settings["patience"]))
    if settings["stop_gain"] is not None:
        stops.append(StopWhenGainBelow(sampler, settings["stop_gain"]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with SearchProgress(study, done, trials) as progress:
        objective.on_start, objective.on_step = progress.started, progress.step
        try:
            study.optimize(
                objective,
                callbacks=[progress.finished, *stops],
                catch=(RuntimeError, MemoryError),
            )
        except KeyboardInterrupt:
            workers.requeue_interrupted(study)
            typer.echo("optuna-pop: stopped; the same command resumes.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        finally:
            runs.finish()


class StopWhenEnough:
    """Ends a worker when completed trainings and those that others still do make up the total.

    Args:
        trials: Completed trainings wanted, whoever did them.
    """

    def __init__(self, trials: int) -> None:
        self.trials = trials

    def __call__(self, study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        """Stop the study if enough is done or under way."""
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        if len(study.get_trials(deepcopy=False, states=states)) >= self.trials:
            study.stop()


class StopWhenOnlyFailing:
    """Ends a search whose last trainings all failed: something is wrong beyond one network."""

    LIMIT = 5

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Stop the study after so many failures in a row."""
        ended = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
        last = sorted(ended, key=lambda t: t.number)[-self.LIMIT :]
        if len(last) == self.LIMIT and all(t.state == TrialState.FAIL for t in last):
            study.stop()
            console().print(
                f"Stopping: the last {self.LIMIT} trainings failed, trial {trial.number} with "
                f"{trial.user_attrs.get(identity.ERROR_ATTR, 'an accuracy of NaN')}"
            )
