"""Architecture tables in which training is a look-up, and the gap a search is judged by.

A table is ``NAME.csv.gz`` with ``NAME.json`` beside it, which names the columns.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GRID_POINTS = 400  # on which the gap is averaged


@dataclass(frozen=True)
class Table:
    """Trained architectures; n rows, d level columns, r runs.

    Attributes:
        name: Of the table.
        levels: Names of the level columns.
        vectors: Shape (n, d).
        costs: Known before training, shape (n,).
        accuracy: Mean over the runs, shape (n,): the truth.
        runs: One value per run, shape (n, r): what a search can observe.
        grid: Whether every combination of levels is present.
    """

    name: str
    levels: tuple[str, ...]
    vectors: IntArray
    costs: FloatArray
    accuracy: FloatArray
    runs: FloatArray
    grid: bool

    def observed(self, seed: int) -> FloatArray:
        """One run drawn per architecture, shape (n,)."""
        column = np.random.default_rng(seed).integers(self.runs.shape[1], size=len(self.costs))
        return np.asarray(self.runs[np.arange(len(self.costs)), column])

    def shuffled(self) -> Table:
        """The same architectures and costs with accuracies dealt out at random: no order holds."""
        deal = np.random.default_rng(0).permutation(len(self.costs))
        return replace(
            self,
            name=f"{self.name}, shuffled",
            accuracy=self.accuracy[deal],
            runs=self.runs[deal],
        )


def load_table(path: Path) -> Table:
    """Read ``NAME.csv.gz`` and the ``NAME.json`` beside it."""
    about = json.loads(path.with_name(path.name.removesuffix(".csv.gz") + ".json").read_text())
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))

    def column(name: str) -> FloatArray:
        return np.array([float(row[name]) for row in rows])

    return Table(
        name=about["name"],
        levels=tuple(about["levels"]),
        vectors=np.stack([column(name) for name in about["levels"]], axis=1).astype(np.int64),
        costs=column(about["cost"]),
        accuracy=column(about["accuracy"]),
        runs=np.stack([column(name) for name in about["accuracy_runs"]], axis=1),
        grid=bool(about["grid"]),
    )


def _best_within(costs: FloatArray, accuracy: FloatArray, at: FloatArray) -> FloatArray:
    """Highest accuracy at cost ≤ t for every t of ``at``; -inf where there is none."""
    sequence = np.argsort(costs, kind="stable")
    best = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy[sequence])])
    return np.asarray(best[np.searchsorted(costs[sequence], at, side="right")])


def gap_curve(table: Table, trained: Sequence[int], budget: int) -> list[float]:
    """Gap after 1, …, budget trainings; the last stays where fewer were made.

    Args:
        table: The truth.
        trained: Rows in the sequence of their training, at least one.
        budget: Length of the result.
    """
    costs, accuracy = table.costs, table.accuracy
    at = np.geomspace(costs.min(), costs.max(), GRID_POINTS)
    at[0], at[-1] = costs.min(), costs.max()  # geomspace may round the ends
    ideal = _best_within(costs, accuracy, at)
    reached = np.full(GRID_POINTS, -np.inf)
    floor = accuracy[int(costs.argmin())]
    curve: list[float] = []
    for row in list(trained)[:budget]:
        reached = np.where(at >= costs[row], np.maximum(reached, accuracy[row]), reached)
        filled = np.where(np.isneginf(reached), floor, reached)
        curve.append(float((ideal - filled).mean()))
    return curve + curve[-1:] * (budget - len(curve))


def trainings_to_reach(curve: Sequence[float], gap: float) -> int | None:
    """Trainings after which ``curve`` first is at or under ``gap``; None if never."""
    under = np.flatnonzero(np.asarray(curve) <= gap)
    return int(under[0]) + 1 if len(under) else None
