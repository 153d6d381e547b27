"""The objective of a search: suggest, look the latency up, train, track."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from optuna.exceptions import TrialPruned
from optuna.trial import Trial, TrialState

from optuna_pop.curves import CurveTrial
from optuna_pop.errors import StorageError
from optuna_pop.experiment.identity import ERROR_ATTR
from optuna_pop.experiment.trial_pages import TrialPages
from optuna_pop.experiment.workers import begin, mark_interrupted
from optuna_pop.fingerprint import fingerprint
from optuna_pop.ledger import HELD_OUT_ATTR, REPRODUCIBLE_ATTR
from optuna_pop.profiling import LatencyTable
from optuna_pop.pruner import REASON_ATTR
from optuna_pop.spaces.base import Space
from optuna_pop.tracking.mirror import StudyMirror, TrialMirror
from optuna_pop.tracking.mlflow_names import objective_keys
from optuna_pop.trainables.data import DataSet
from optuna_pop.trainables.parallel import train_parallel
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.surroundings import lacks_memory
from optuna_pop.trainables.training import EpochMetrics, OnProgress, TrainingResult, train
from optuna_pop.trainables.weights import Weights


@dataclass
class TrainingObjective:
    """Trains what a trial suggests; returns top-1 or mIoU in percent, then latencies in ms.

    Attributes:
        space: Architectures made of blocks.
        tables: Latency of every block, a table for each device.
        data: What to train on.
        recipe: How.
        seed: Of every training's initialisation and data order.
        processes: That train one network together.
        weights: That every network's backbone begins with; None begins from scratch.
        mirror: MLflow runs of the study; None leaves it out.
        checkpoints: Folder for the state of trainings that are not finished, so that whoever
            trains the same architecture after an interruption goes on; None keeps none.
        pages: Shows trials in optuna-dashboard and keeps trained networks; None leaves it out.
        on_start: Told the architecture in words.
        on_step: Told each training's steps done and steps in all.
    """

    space: Space[Any]
    tables: Sequence[LatencyTable]
    data: DataSet
    recipe: TrainingRecipe
    seed: int = 0
    processes: int = 1
    weights: Weights | None = None
    mirror: StudyMirror | None = None
    checkpoints: Path | None = None
    pages: TrialPages | None = None
    on_start: Callable[[str], None] | None = None
    on_step: OnProgress | None = None

    def __call__(self, trial: Trial) -> tuple[float, ...]:
        """Run one trial.

        A training that ends in NaN gives NaN, with which Optuna fails the trial and goes on.
        """
        try:
            begin(trial)
            return self._run(CurveTrial(trial))
        except KeyboardInterrupt:
            mark_interrupted(trial)
            raise
        except StorageError:  # a full disk, say, which is not this network's doing
            with contextlib.suppress(StorageError):
                mark_interrupted(trial)
            raise
        except (RuntimeError, MemoryError) as error:
            trial.set_user_attr(ERROR_ATTR, f"{type(error).__name__}: {error}")
            if lacks_memory(error):
                trial.set_user_attr(REPRODUCIBLE_ATTR, True)
            raise

    def _run(self, trial: CurveTrial) -> tuple[float, ...]:
        architecture = self.space.suggest(trial)
        blocks = self.space.blocks(architecture)
        latencies = [table.latency(blocks) for table in self.tables]
        if self.on_start:
            self.on_start(str(architecture))
        run = self.mirror.trial(trial) if self.mirror else None

        state, metrics = TrialState.FAIL, _named(latencies)
        for name, value in metrics.items():
            trial.set_user_attr(name, value)
        state_file = self._state_file(trial)
        if self.pages:
            self.pages.begin(trial, str(architecture), blocks)
        try:
            how = partial(train_parallel, processes=self.processes) if self.processes > 1 else train
            result = how(
                blocks,
                self.data,
                self.recipe,
                seed=self.seed,
                on_epoch=partial(self._after_epoch, trial, run),
                progress=self.on_step,
                checkpoint=state_file,
                weights=self.weights,
            )
            for name, value in self._sizes(result).items():
                trial.set_user_attr(name, value)
                metrics[name] = value
            if math.isnan(result.accuracy):
                trial.set_user_attr(REPRODUCIBLE_ATTR, True)
                trial.set_user_attr(
                    ERROR_ATTR, f"a loss of NaN at {result.diverged or 'validation'}"
                )
            else:
                state = TrialState.COMPLETE
                values = (result.accuracy, *latencies)
                metrics |= dict(zip(objective_keys(trial.study), values, strict=True))
                if self.pages:
                    self.pages.end(trial, result, latencies)
        except TrialPruned:
            state = TrialState.PRUNED
            if state_file is not None:
                state_file.unlink(missing_ok=True)
            raise
        finally:
            if run:
                run.finish(state, metrics, self._reason(trial))
        return result.accuracy, *latencies

    def _after_epoch(
        self, trial: CurveTrial, run: TrialMirror | None, epoch: int, metrics: EpochMetrics
    ) -> None:
        """Log and report an epoch; end the training if the study's pruner wants it."""
        if run:
            run.log_epoch(epoch, asdict(metrics))
        if math.isnan(metrics.accuracy) or epoch == self.recipe.epochs:
            return  # failed, or done: nothing to save any more
        trial.report(metrics.accuracy, epoch)
        if trial.should_prune():
            raise TrialPruned

    def _state_file(self, trial: CurveTrial) -> Path | None:
        """One file for an architecture of a study, whichever trial trains it."""
        if self.checkpoints is None:
            return None
        name = fingerprint({"study": trial.study.study_name, "params": trial.params})
        return self.checkpoints / f"{name}.pt"

    def _sizes(self, result: TrainingResult) -> dict[str, float]:
        found = {
            "macs": float(result.macs),
            "parameters": float(result.parameters),
            "seconds": round(result.seconds, 3),
        }
        if self.data.task == "classification":  # of which the noise of an accuracy follows
            found[HELD_OUT_ATTR] = float(result.held_out)
        return found

    def _reason(self, trial: CurveTrial) -> str | None:
        """Why the study's pruner ended a trial, if it did."""
        return cast(
            "str | None", trial.storage.get_trial(trial._trial_id).user_attrs.get(REASON_ATTR)
        )


def _named(latencies: Sequence[float]) -> dict[str, float]:
    if len(latencies) == 1:
        return {"latency_ms": latencies[0]}
    return {f"latency_{i}_ms": latency for i, latency in enumerate(latencies, start=1)}
