"""What is shown of one training: a bar with its speed, a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from optuna_pop.cli.options import console
from optuna_pop.experiment.finishing import FinalTraining
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.training import EpochMetrics


@contextmanager
def training_progress(
    how: FinalTraining,
) -> Iterator[tuple[Callable[[int, EpochMetrics], None], Callable[[int, int], None]]]:
    """Show a training while it runs; the bar only where standard error is a terminal.

    Yields:
        What to call after each epoch, and after each step.
    """
    recipe, task = how.recipe, TASKS[how.data.task]
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    steps = bar.add_task("steps", total=None)
    begun, first = time.monotonic(), 0

    def step(done: int, total: int) -> None:
        nonlocal first
        first = first or done
        speed = (done - first) * recipe.batch_size / max(1e-9, time.monotonic() - begun)
        bar.update(steps, completed=done, total=total, description=f"{speed:.0f} images/s")

    def epoch_done(epoch: int, metrics: EpochMetrics) -> None:
        console().print(
            f"epoch {epoch:3} of {recipe.epochs}  loss {metrics.loss:.4f}  "
            f"{task.accuracy} {metrics.accuracy:.2f} %"
        )

    with bar:
        yield epoch_done, step
