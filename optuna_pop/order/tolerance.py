"""Tolerance of pruning, and whether the order holds at all, from trained architectures.

Notation:
    x ≺ y     x is a precedent of y: vector(x) ≤ vector(y) in every component, and they differ
    e         Acc(x) - Acc(y) over the comparable pairs x ≺ y; e > 0 contradicts the order
    σ         sd of the noise in one accuracy
    τ         tolerance = 4 σ

Were contradictions noise around equal accuracies, e would be half of N(0, 2 σ²), whose mean square
is 2 σ². Pruning compares the least of several noisy accuracies, of those that succeed, with the
highest of several, of those as fast: each extreme lies about 2 σ off. Without any contradiction the
closest pair bounds σ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.relation import Vectors, comparable_pairs

_FACTOR = 4.0
_FEW_PAIRS = 10  # with fewer comparable pairs nothing is pruned
_MOST_ROWS = 500  # pairs are taken among the latest so many
_SHARE = 0.2  # of all difference that may contradict the order
_SURE = 1.64  # one-sided 95% of a normal


@dataclass(frozen=True)
class OrderEvidence:
    """What comparable pairs say.

    Attributes:
        pairs: Comparable pairs.
        contradictions: Of them, those with e > 0.
        largest: Largest e > 0, else 0.
        share: Sum of e > 0 over the sum of |e|: 0 if the order holds, 0.5 if it means nothing.
        share_sd: Its sd if the order meant nothing (that of Kendall's tau, halved).
        noise_sd: σ, in the unit of accuracy; +inf where too few pairs tell.
    """

    pairs: int
    contradictions: int
    largest: float
    share: float
    share_sd: float
    noise_sd: float

    @property
    def tolerance(self) -> float:
        """τ; +inf (nothing is pruned) where too few pairs tell or the order does not hold."""
        return float(np.inf) if self.broken else _FACTOR * self.noise_sd

    @property
    def broken(self) -> bool:
        """Whether the order plainly does not hold, so that pruning on it must stop."""
        return self.pairs >= _FEW_PAIRS and self.share - _SURE * self.share_sd > _SHARE


def order_evidence(vectors: Vectors, accuracy: FloatArray) -> OrderEvidence:
    """Compare all comparable pairs of trained vectors (n, d) with accuracies (n,)."""
    vectors, accuracy = vectors[-_MOST_ROWS:], accuracy[-_MOST_ROWS:]
    n = len(accuracy)
    x, y = comparable_pairs(vectors)
    e = accuracy[x] - accuracy[y]  # (pairs,)
    against = e[e > 0]
    total = float(np.abs(e).sum())
    return OrderEvidence(
        pairs=len(e),
        contradictions=len(against),
        largest=float(against.max(initial=0.0)),
        share=float(against.sum()) / total if total > 0 else 0.0,
        share_sd=0.5 * float(np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))) if n > 1 else np.inf,
        noise_sd=_noise_sd(e, against),
    )


def _noise_sd(e: FloatArray, against: FloatArray) -> float:
    if len(e) < _FEW_PAIRS:
        return float(np.inf)
    if len(against):
        return float(np.sqrt((against * against).mean() / 2.0))
    return float((-e).min() / np.sqrt(2.0))
