"""How well trained accuracies follow the order (POP paper, section 3.3 and Figure 3b)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.relation import Vectors, comparable_pairs


@dataclass(frozen=True)
class OrderCheck:
    """Comparable pairs x ≺ y of trained networks and how many contradict Acc(x) ≤ Acc(y).

    Attributes:
        pairs: Number of comparable pairs.
        violations: Pairs with Acc(x) - Acc(y) > 0.
        beyond_noise: Pairs with Acc(x) - Acc(y) > noise.
        noise: The noise of a difference of two accuracies that was allowed for.
        largest: Largest Acc(x) - Acc(y) > 0, else 0.
        worst: Row numbers (x, y) of that pair, None without a violation.
    """

    pairs: int
    violations: int
    beyond_noise: int
    noise: float
    largest: float
    worst: tuple[int, int] | None

    @property
    def share_followed(self) -> float:
        """Share of the pairs that follow the order beyond noise; 1 without pairs."""
        return 1.0 - self.beyond_noise / self.pairs if self.pairs else 1.0


def check_order(vectors: Vectors, accuracy: FloatArray, noise: float = 0.0) -> OrderCheck:
    """Compare every comparable pair of trained networks.

    Args:
        vectors: Order vectors, shape (m, d).
        accuracy: Shape (m,).
        noise: Difference that training noise alone explains, in units of accuracy.
    """
    x, y = comparable_pairs(vectors)
    excess = accuracy[x] - accuracy[y]
    if not len(excess) or excess.max() <= 0:
        return OrderCheck(len(excess), 0, 0, noise, 0.0, None)
    worst = int(excess.argmax())
    return OrderCheck(
        pairs=len(excess),
        violations=int((excess > 0).sum()),
        beyond_noise=int((excess > noise).sum()),
        noise=noise,
        largest=float(excess[worst]),
        worst=(int(x[worst]), int(y[worst])),
    )


def binomial_noise(accuracy: FloatArray, samples: int, *, percent: bool) -> float:
    """Two standard errors of the difference of two accuracies, from counting alone.

    Args:
        accuracy: Accuracies of the networks compared, shape (m,).
        samples: Independent held-out samples each was measured on.
        percent: Whether accuracies are percentages rather than fractions.

    Returns:
        2 · sqrt(2 · p(1-p) / samples) at the median accuracy p, in the unit of ``accuracy``.
    """
    scale = 100.0 if percent else 1.0
    p = float(np.clip(np.median(accuracy) / scale, 0.0, 1.0))
    return 2.0 * scale * float(np.sqrt(2.0 * p * (1.0 - p) / samples))
