"""Progress of a search: a bar for the trainings, one for the current training, a line for each."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import trained
from optuna_pop.spaces.base import ARCHITECTURE_ATTR


class SearchProgress:
    """Shows a search while it runs; bars only where standard error is a terminal.

    Args:
        study: That is searched.
        done: Trainings completed before.
        total: Trainings wanted.
    """

    def __init__(self, study: Study, done: int, total: int) -> None:
        self._study = study
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False, soft_wrap=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._trainings = self._bars.add_task("trainings", completed=done, total=total)
        self._steps = self._bars.add_task("steps", total=None)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def started(self, architecture: str) -> None:
        """Show which architecture trains."""
        self._bars.reset(self._steps, description=architecture)

    def step(self, done: int, total: int) -> None:
        """Show how far the current training is."""
        self._bars.update(self._steps, completed=done, total=total)

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """Print the line of a finished trial."""
        architecture = trial.user_attrs.get(ARCHITECTURE_ATTR, "")
        line = f"#{trial.number:<3} {architecture:42} "
        if trial.state == TrialState.COMPLETE:
            accuracy, *latencies = trial.values
            line += f"{accuracy:6.2f} %" + "".join(f"  {ms:8.4f} ms" for ms in latencies)
            line += "  on the boundary" if _on_boundary(study, trial.number) else ""
            self._bars.advance(self._trainings)
        else:
            line += trial.state.name.lower()
        self._bars.console.print(line, markup=False)


def _on_boundary(study: Study, number: int) -> bool:
    return any(entry.number == number for entry in boundary_rows(trained(study)))
