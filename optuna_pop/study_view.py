"""A study as the search sees it: its results under the order, what is taken, what is left."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np
from optuna.trial import FrozenTrial

from optuna_pop.errors import ArchitectureError, OrderWarning
from optuna_pop.ledger import Ledger
from optuna_pop.order.search import Chooser, PartialOrderSearch
from optuna_pop.spaces.base import ParamValue, Space
from optuna_pop.spaces.scope import Scope

A = TypeVar("A")


class StudyView(Generic[A]):
    """A study as the search sees it; may be thrown away at any time."""

    def __init__(
        self,
        key: tuple[Any, int],
        space: Space[A],
        scope: Scope,
        search: PartialOrderSearch,
        ledger: Ledger[A],
        chooser: Chooser,
    ) -> None:
        self.key = key
        self.search = search
        self.ledger = ledger
        self._space = space
        self._scope = scope
        self.chooser = chooser
        self.taken: set[int] = set()  # when the study was last read
        self._warned = False
        self._added: set[int] = set()

    def refresh(self, trials: list[FrozenTrial], *, but: int) -> set[int]:
        """Take new results into the search; return the rows taken."""
        holdings = self.ledger.read(trials, but=but)
        for number, architecture, values in holdings.observations:
            self.add(number, architecture, values)
        for architecture, best in holdings.stopped:
            self.search.add_floor(np.array(self._space.vector(architecture)), best)
        self.taken = holdings.taken
        return holdings.taken

    def add(self, number: int, architecture: A | None, values: Sequence[float]) -> None:
        """Take one result into the search, once.

        Args:
            number: Of the trial.
            architecture: Trained.
            values: Accuracy, then costs as the objective returned them; where costs are known
                before training, what is known counts.
        """
        if number in self._added or architecture is None:
            return
        self._added.add(number)
        try:
            row = self._space.row(architecture)
        except ArchitectureError:
            return  # Enqueued from outside the space: its cost is unknown.
        cost = self._scope.costs_at(np.array([row]))[0] if self._scope.costs else values[1:]
        vector = np.array(self._space.vector(architecture))
        self.search.add(row, vector, np.asarray(cost, dtype=np.float64), values[0])

    def choose(
        self, taken: set[int], rng: np.random.Generator, fixed: dict[str, ParamValue]
    ) -> int | None:
        """Choose a row; with parameters fixed by an enqueued trial, one that has them if any."""
        if not fixed:
            self._warn_of_broken_order()
            return self.search.choose(taken, rng, self.chooser)
        held, fallback = self.search.held(taken), None
        for part in self.search.walk(rng):
            for row in rng.permutation(self.search.left(part, held)).tolist():
                if fixed.items() <= self._space.params(self._space.at(row)).items():
                    return cast("int", row)
                fallback = row if fallback is None else fallback
        return cast("int | None", fallback)

    def _warn_of_broken_order(self) -> None:
        """Say once that pruning is off, with the evidence."""
        if self._warned or not self.search.estimates or not self.search.evidence.broken:
            return
        self._warned = True
        found = self.search.evidence
        warnings.warn(
            f"the order does not hold here, so nothing is pruned on it: {found.contradictions} of "
            f"{found.pairs} comparable pairs of trained architectures contradict it, by up to "
            f"{found.largest:.4g}; check that every parameter's values go from weakest to "
            "strongest, or give a tolerance",
            OrderWarning,
            stacklevel=2,
        )
