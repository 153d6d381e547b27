"""What a study has found, as figures, notes, reports and the model registry show it.

Notation:
    f(t)    best accuracy trained at cost t or less, the boundary
    U(t)    accuracy that an architecture not trained yet could still reach at cost t or less, given
            that the order is contradicted by at most τ; see ``optuna_pop.order.certificate``
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.study import Study

from optuna_pop.errors import ArchitectureError, InputError, StudyError
from optuna_pop.ledger import HELD_OUT_ATTR, Trained, trained
from optuna_pop.order import OrderCheck, check_order, staircase
from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.certificate import Certificate
from optuna_pop.order.consistency import binomial_noise
from optuna_pop.order.relation import Vectors
from optuna_pop.sampler import POPSampler
from optuna_pop.spaces.base import Space

if TYPE_CHECKING:
    from optuna_pop.profiling import LatencyTable

_MOST_STEPS = 60  # at which the history of a search is looked at


@dataclass(frozen=True)
class Choice:
    """A network of the boundary, chosen for a purpose.

    Attributes:
        trained: The network.
        bound: With a limit on cost: U of it, the accuracy that something untrained could still
            have. With a limit on accuracy: the least (first) cost at which something untrained
            could still reach it. With neither: U at the network's own cost. +inf (accuracy) or
            -inf (cost) where the order says nothing; None where the study does not hold its space
            and costs.
        tolerance: τ of the bound; NaN where there is none.
    """

    trained: Trained
    bound: float | None
    tolerance: float

    @property
    def number(self) -> int:
        """Trial number."""
        return self.trained.number

    @property
    def architecture(self) -> str:
        """In words."""
        return self.trained.architecture

    @property
    def accuracy(self) -> float:
        """As the objective returned it."""
        return self.trained.accuracy

    @property
    def costs(self) -> tuple[float, ...]:
        """As the objective returned them."""
        return self.trained.costs


def boundary_rows(trained: Sequence[Trained]) -> list[Trained]:
    """Return the trainings that hold the boundary, in ascending (first) cost."""
    if not trained:
        return []
    costs = np.array([entry.costs for entry in trained])
    accuracy = np.array([entry.accuracy for entry in trained])
    return [trained[row] for row in staircase(costs, accuracy)]


@dataclass(frozen=True, eq=False)
class Findings:
    """What a study has found; ``optuna_pop.experiment.identity.findings_of`` reads it off a study.

    Attributes:
        study: The study.
        trained: Its completed trainings with finite values, in sequence of completion.
        sampler: That searched it; None where the study does not hold its space and costs.
        tables: Latency tables of its costs, in their sequence; empty where there are none.
    """

    study: Study
    trained: tuple[Trained, ...]
    sampler: POPSampler[Any] | None = None
    tables: tuple[LatencyTable, ...] = ()

    @classmethod
    def of(
        cls,
        study: Study,
        *,
        sampler: POPSampler[Any] | None = None,
        tables: Sequence[LatencyTable] = (),
    ) -> Findings:
        """Read a study as it is now.

        Args:
            study: With accuracy to maximize first, then one or more costs to minimize.
            sampler: By default the study's own, if it is a ``POPSampler``.
            tables: Of its costs.

        Raises:
            StudyError: if the study has other directions.
        """
        if len(study.directions) < 2:
            raise StudyError(
                f"study {study.study_name!r} has one objective, so it has no boundary: a boundary "
                "is of accuracy and cost, directions=['maximize', 'minimize']"
            )
        if sampler is None and isinstance(study.sampler, POPSampler):
            sampler = study.sampler
        finite = [e for e in trained(study) if np.isfinite([e.accuracy, *e.costs]).all()]
        return cls(study, tuple(finite), sampler, tuple(tables))

    @cached_property
    def boundary(self) -> tuple[Trained, ...]:
        """Trainings that hold the boundary, in ascending (first) cost."""
        return tuple(boundary_rows(self.trained))

    @cached_property
    def certificate(self) -> Certificate | None:
        """What the order guarantees; None where the study does not hold its space and costs."""
        return None if self.sampler is None else self.sampler.certificate(self.study)

    @cached_property
    def history(self) -> tuple[tuple[int, Certificate], ...]:
        """What the order guaranteed after so many trainings, at no more than some 60 of them.

        Empty where there is no certificate; without the single architectures unseen.
        """
        if self.sampler is None or not self.trained:
            return ()
        count = len(self.trained)
        steps = np.linspace(1, count, min(count, _MOST_STEPS)).round().astype(int)
        after = np.unique(steps).tolist()
        return tuple(zip(after, self.sampler.certificates(self.study, after), strict=True))

    @property
    def space(self) -> Space[Any] | None:
        """What was searched; None where the study does not say."""
        return None if self.sampler is None else self.sampler.space

    @property
    def accuracy_name(self) -> str:
        """Name and unit of the first objective."""
        names = self.study.metric_names
        return "accuracy (%)" if names is None else names[0]

    @property
    def cost_names(self) -> tuple[str, ...]:
        """Name and unit of each cost."""
        names, costs = self.study.metric_names, len(self.study.directions) - 1
        if names is not None:
            return tuple(names[1:])
        if costs == 1:
            return ("latency (ms)",)
        return tuple(f"cost {i}" for i in range(1, costs + 1))

    @cached_property
    def vectors(self) -> Vectors | None:
        """Order vectors of ``trained``, shape (n, d); None without a space that holds them all."""
        if self.space is None:
            return None
        trials = {trial.number: trial for trial in self.study.get_trials(deepcopy=False)}
        space = self.space
        try:
            found = [
                space.vector(space.from_params(trials[entry.number].params))
                for entry in self.trained
            ]
        except (ArchitectureError, KeyError):  # enqueued by hand from outside the space
            return None
        return np.array(found).reshape(len(found), len(space.dimensions))

    @property
    def accuracies(self) -> FloatArray:
        """Of ``trained``, shape (n,)."""
        return np.array([entry.accuracy for entry in self.trained], dtype=np.float64)

    @property
    def costs(self) -> FloatArray:
        """Of ``trained``, shape (n, k)."""
        found = np.array([entry.costs for entry in self.trained], dtype=np.float64)
        return found.reshape(len(self.trained), len(self.study.directions) - 1)

    @cached_property
    def order_check(self) -> tuple[OrderCheck, int] | None:
        """How well the trained follow the order, and the held-out samples its noise is of.

        None where trials do not say on how many samples their accuracy was taken.
        """
        trials = {trial.number: trial for trial in self.study.get_trials(deepcopy=False)}
        counts = [trials[e.number].user_attrs.get(HELD_OUT_ATTR) for e in self.trained]
        known = [int(count) for count in counts if count is not None]
        if self.vectors is None or not known or len(known) < len(counts):
            return None
        noise = binomial_noise(self.accuracies, min(known), percent=True)
        return check_order(self.vectors, self.accuracies, noise), min(known)

    # --- choosing --------------------------------------------------------------------------

    def best_under(self, *limits: float | None) -> Choice:
        """Choose the most accurate network within limits of cost, of equals the cheapest.

        Args:
            *limits: Of each cost, in its unit, in the study's sequence; None where it has none.

        Raises:
            InputError: if no limit is given, or more than there are costs.
            StudyError: if nothing trained is within the limits.
        """
        given = [limit for limit in limits if limit is not None]
        if not given or len(limits) > len(self.cost_names) or not all(x > 0 for x in given):
            raise InputError(
                f"limits must be positive, at most one for each of {list(self.cost_names)}, but "
                f"got {list(limits)}"
            )
        for entry in sorted(self._held(), key=lambda entry: (-entry.accuracy, entry.costs)):
            if all(
                limit is None or cost <= limit
                for cost, limit in zip(entry.costs, limits, strict=False)
            ):
                return self._choice(entry, self._reach(limits))
        at = next(i for i, limit in enumerate(limits) if limit is not None)
        nearest = min(self.boundary, key=lambda entry: entry.costs[at])
        raise StudyError(
            f"study {self.study.study_name!r} has no trained network within "
            f"{self._limits(limits)}; the lowest {self.cost_names[at]} is "
            f"{nearest.costs[at]:.4g}, trial {nearest.number}"
        )

    def fastest_above(self, accuracy: float, *, cost: int = 0) -> Choice:
        """Choose the network of least cost that is at least so accurate.

        Args:
            accuracy: In the unit of the study's.
            cost: Which of several costs counts, from 0.

        Raises:
            InputError: if there is no such cost.
            StudyError: if nothing trained is so accurate.
        """
        if not 0 <= cost < len(self.cost_names):
            raise InputError(f"cost must be one of 0 to {len(self.cost_names) - 1} but got {cost}")
        enough = [entry for entry in self._held() if entry.accuracy >= accuracy]
        if not enough:
            best = max(self.boundary, key=lambda entry: entry.accuracy)
            raise StudyError(
                f"study {self.study.study_name!r} has no trained network with "
                f"{self.accuracy_name} of {accuracy:g} or more; the highest is "
                f"{best.accuracy:.4g}, trial {best.number}"
            )
        chosen = min(enough, key=lambda entry: (entry.costs[cost], -entry.accuracy))
        bound = None
        if self.certificate is not None:
            upper = self.certificate.upper[cost]
            reached = upper.costs[upper.accuracies >= accuracy]
            bound = float(reached.min()) if len(reached) else math.inf
        return self._choice(chosen, bound)

    def fastest(self) -> Choice:
        """Choose the network of least (first) cost."""
        return self._as_it_is(self._held()[0])

    def most_accurate(self) -> Choice:
        """Choose the most accurate network, of equals the cheapest."""
        return self._as_it_is(min(self._held(), key=lambda e: (-e.accuracy, e.costs)))

    def knee(self) -> Choice:
        """Choose the network of the boundary where more cost begins to buy less accuracy.

        It is the one farthest above the straight line from the fastest to the most accurate, over
        the log of cost where all costs are positive; with several costs over the mean of their
        logs, each scaled to the boundary's range. Of equals the cheapest.
        """
        held = self._held()
        costs = np.array([entry.costs for entry in held])  # (b, k)
        scaled = np.log(costs) if (costs > 0).all() else costs
        accuracy = np.array([entry.accuracy for entry in held])[:, None]
        above = _unit(accuracy)[:, 0] - _unit(scaled).mean(axis=1)
        return self._as_it_is(held[int(np.argmax(above.round(12)))])

    def _held(self) -> tuple[Trained, ...]:
        if not self.boundary:
            raise StudyError(
                f"study {self.study.study_name!r} has no completed training, so there is no "
                "network to choose: run the search first"
            )
        return self.boundary

    def _as_it_is(self, entry: Trained) -> Choice:
        return self._choice(entry, self._reach(entry.costs))

    def _choice(self, entry: Trained, bound: float | None) -> Choice:
        certificate = self.certificate
        return Choice(entry, bound, math.nan if certificate is None else certificate.tolerance)

    def _reach(self, limits: Sequence[float | None]) -> float | None:
        """U within several limits: the least U of each cost alone."""
        if self.certificate is None:
            return None
        return min(
            float(upper(np.array([limit]))[0])
            for upper, limit in zip(self.certificate.upper, limits, strict=False)
            if limit is not None
        )

    def _limits(self, limits: Sequence[float | None]) -> str:
        named = zip(self.cost_names, limits, strict=False)
        return ", ".join(f"{name} ≤ {limit:g}" for name, limit in named if limit is not None)


def _unit(values: FloatArray) -> FloatArray:
    """Scale columns (b, k) to [0, 1]; 0 where a column does not vary."""
    low, spread = values.min(axis=0), np.ptp(values, axis=0)
    return np.asarray((values - low) / np.where(spread > 0, spread, 1.0))
