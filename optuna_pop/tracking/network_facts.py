"""What is known of a network that is registered: by its tags, and by its model card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from optuna_pop.profiling import LatencyRecord, LatencyTable
from optuna_pop.tracking.mlflow_names import LONGEST_TAG
from optuna_pop.trainables.data.base import Task

STUDY, TRIAL = "study", "trial"
TRAINING, WEIGHTS = "optuna_pop.training", "optuna_pop.weights"
"""Tags of a version by which the same network is known again."""
DATA, MEASURE, COST = "data", "measure", "cost"
"""Tags that name on which data, by what accuracy and by what cost a network was judged."""


@dataclass(frozen=True)
class Cost:
    """A cost of a network.

    Attributes:
        name: Of the study's objective, with its unit.
        value: As the study has it: of a latency, what its table says.
        table: That latency table; None where the study carries none.
        measured: The exported network, measured as the table was; None where it could not be.
        note: Why it was not measured.
    """

    name: str
    value: float
    table: LatencyTable | None = None
    measured: LatencyRecord | None = None
    note: str = ""

    @property
    def tag(self) -> str:
        """Name of its tag: "latency (ms)" gives ``latency_ms``."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")

    @property
    def latency(self) -> float | None:
        """What was measured, in milliseconds."""
        if self.table is None or self.measured is None:
            return None
        return self.table.of(self.measured)

    @property
    def excess(self) -> float | None:
        """By which share of ``value`` the measured latency lies above it."""
        return None if self.latency is None else self.latency / self.value - 1


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of a network.

    Attributes:
        study: Name of the study that found it.
        trial: Number of its trial.
        architecture: In words.
        task: What it does.
        measure: Of its accuracy: "top-1" or "mIoU".
        accuracy: Of these weights on held-out samples, percent.
        found: Accuracy of its trial, by which the search chose it.
        test: On test samples, by which nothing was chosen; None where there are none.
        data: Name of the data set.
        recipe: Name of the recipe, and what was changed of it.
        training: Digest of network, data, recipe and seed; of weights that were given, theirs.
        weights: Digest of the weights.
        input_shape: (channels, height, width).
        classes: How many.
        class_names: In the sequence of their labels; None where they have none.
        normalises: Whether the model normalises images itself.
        macs: Multiply-accumulates of one image.
        parameters: Numbers in its weights.
        costs: In the study's sequence.
        commit: Of the git repository it was made in; None where there is none.
    """

    study: str
    trial: int
    architecture: str
    task: Task
    measure: str
    accuracy: float
    found: float
    test: float | None
    data: str
    recipe: str
    training: str
    weights: str
    input_shape: tuple[int, int, int]
    classes: int
    class_names: tuple[str, ...] | None
    normalises: bool
    macs: int
    parameters: int
    costs: tuple[Cost, ...]
    commit: str | None

    @property
    def tables(self) -> tuple[LatencyTable, ...]:
        """Latency tables of its costs."""
        return tuple(cost.table for cost in self.costs if cost.table is not None)

    def metrics(self) -> dict[str, float]:
        """Its numbers, by the names of their tags."""
        found = {self.measure: self.accuracy}
        if self.test is not None:
            found[f"test_{self.measure}"] = self.test
        for cost in self.costs:
            found[cost.tag] = cost.value
            if cost.latency is not None:
                found[f"measured_{cost.tag}"] = cost.latency
        return {**found, "macs": self.macs, "parameters": self.parameters}

    def tags(self) -> dict[str, str]:
        """All that a person may want to filter or compare versions by."""
        conditions = [table.conditions for table in self.tables]
        words: Mapping[str, Any] = {
            "device": _joined(c.device_name for c in conditions),
            "engine": _joined(c.engine for c in conditions),
            "precision": _joined(c.precision for c in conditions),
            "latency_table": _joined(table.fingerprint for table in self.tables),
            STUDY: self.study,
            TRIAL: self.trial,
            "architecture": self.architecture,
            MEASURE: self.measure,
            COST: self.costs[0].tag,
            DATA: self.data,
            "recipe": self.recipe,
            "git_commit": self.commit,
            "optuna_pop_version": version("optuna-pop"),
            TRAINING: self.training,
            WEIGHTS: self.weights,
        }
        numbers = {name: f"{value:.6g}" for name, value in self.metrics().items()}
        said = {name: str(word)[:LONGEST_TAG] for name, word in words.items() if word is not None}
        return numbers | said


def _joined(words: Any) -> str | None:
    return "; ".join(words) or None
