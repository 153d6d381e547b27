"""Running the trials of a study that carries all it needs: what ``search`` and ``worker`` share."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import optuna
import typer
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.callbacks import StopWhenBoundaryUnchanged, StopWhenGainBelow
from optuna_pop.cli.options import console
from optuna_pop.cli.progress import SearchProgress
from optuna_pop.errors import StorageError
from optuna_pop.experiment import identity, workers
from optuna_pop.experiment.study_page import StudyPage
from optuna_pop.pruner import POPPruner
from optuna_pop.sampler import POPSampler

INTERRUPTED = 130  # what a shell reports of a command that Ctrl-C ended

Callback = Callable[[optuna.Study, FrozenTrial], None]


def prepare() -> None:
    """Set the libraries for a long run that shows its own progress."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read when it is imported
    # Else a training would stand still for minutes when a tracking server is away: what could not
    # be logged is logged later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def pruner(*, prune: bool) -> BasePruner:
    """Return the pruner of a search."""
    return POPPruner(warmup_steps=1) if prune else NopPruner()


def run(
    study: optuna.Study,
    sampler: POPSampler[Any],
    *,
    outage_limit_s: float,
    leads: bool = False,
    processes: int = 1,
    trainings: int | None = None,
) -> bool:
    """Train what is still to be trained of a study, as its settings say.

    Args:
        study: Begun by ``optuna-pop search``.
        sampler: Of the study.
        outage_limit_s: How long a database or MLflow may be away.
        leads: Whether to write to MLflow what earlier processes could not.
        processes: That train one network together.
        trainings: After so many this process ends; None for as many as there are.

    Returns:
        Whether the search is over before it holds all trainings that it may: nothing is left to
        train, or a rule of the study or failures ended it.

    Raises:
        StudyError: if this installation cannot serve the study.
        StorageError: if the database or MLflow was away for longer than the limit.
    """
    from optuna_pop.experiment.assembly import objective_of

    objective, mirror = objective_of(study, outage_limit_s=outage_limit_s)
    objective.processes = processes
    settings = identity.settings_of(study)
    trials = int(settings["trials"])
    recover(study)
    written = mirror.catch_up() if leads else []
    if written:
        console().print(f"Written to MLflow, which lacked them: trials {written}")
    done = completed(study)
    if done:
        console().print(f"Resuming study {study.study_name!r}: {done} of {trials} trainings done.")
    if done >= trials:
        if written:
            mirror.finish()
        return False
    if sampler.is_exhausted(study):
        return True
    enough = StopWhenEnough(trials)
    page = StudyPage(study)
    stops: list[Any] = [enough, StopWhenOnlyFailing(), lambda *_: recover(study), page]
    if settings["patience"]:
        stops.append(StopWhenBoundaryUnchanged(settings["patience"]))
    if settings["stop_gain"] is not None:
        stops.append(StopWhenGainBelow(sampler, settings["stop_gain"]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with SearchProgress(study, done, trials) as progress:
        objective.on_start, objective.on_step = progress.started, progress.step
        try:
            _optimize(study, objective, [progress.finished, *stops], trainings)
        except KeyboardInterrupt:
            workers.requeue_interrupted(study)
            with contextlib.suppress(StorageError):
                mirror.finish(patient=False)
            typer.echo("optuna-pop: stopped; the same command resumes.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except StorageError:
            with contextlib.suppress(StorageError):  # where there is no room any more, say
                workers.requeue_interrupted(study)
            with contextlib.suppress(StorageError):
                mirror.finish(patient=False)
            raise
        mirror.finish(files=trainings is None)  # else whoever asks for each training stores them
    page.write(only_if_due=trainings is not None)
    return study._stop_flag and not enough.reached


def recover(study: optuna.Study) -> workers.Recovered:
    """Take up what dead workers of this host left behind, and say so."""
    found = workers.recover(study)
    if found.again:
        console().print(
            f"Enqueued again, as their process had died: trials {[*found.again]}", markup=False
        )
    if found.given_up:
        console().print(
            f"Given up, as their workers died again and again: trials {[*found.given_up]}",
            markup=False,
        )
    return found


def completed(study: optuna.Study) -> int:
    """Number of completed trainings."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def say_what_others_do(study: optuna.Study, trials: int) -> None:
    """Say so where a command ends while other workers train, or left something behind."""
    open_now = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
    if open_now and completed(study) < trials:
        console().print(
            f"{completed(study)} of {trials} trainings are done; with other workers, or left by "
            f"them: trials {[t.number for t in open_now]}. The same command takes up what is left."
        )


def _optimize(
    study: optuna.Study, objective: Any, callbacks: Sequence[Callback], trainings: int | None
) -> None:
    """Run trials; a worker that was taken for dead loses its trial, not its life."""
    while True:
        try:
            study.optimize(
                objective,
                n_trials=trainings,
                callbacks=callbacks,
                catch=(RuntimeError, MemoryError),
            )
        except (UpdateFinishedTrialError, ValueError) as error:
            if not isinstance(error, UpdateFinishedTrialError) and "Cannot tell a" not in str(
                error
            ):
                raise
            console().print(
                "This worker was silent for so long that its training was given to another: "
                "going on with the next."
            )
        else:
            return


class StopWhenEnough:
    """Ends a worker when completed trainings and those that others still do make up the total.

    Args:
        trials: Completed trainings wanted, whoever did them.
    """

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.reached = False

    def __call__(self, study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        """Stop the study if enough is done or under way."""
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        if len(study.get_trials(deepcopy=False, states=states)) >= self.trials:
            self.reached = True
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
