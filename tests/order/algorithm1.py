"""Algorithm 1 of the POP paper, line by line, with sets: what the fast code is checked against.

Notation as in the paper: S is Ŝ, D the trained architectures, P the pruned ones. Architectures are
row numbers. The tolerance tau generalises line "Acc(y) >= Acc(w)"; the paper has tau = 0.
"""

from __future__ import annotations

from collections.abc import Sequence


def precedes(x: Sequence[int], y: Sequence[int]) -> bool:
    return all(a <= b for a, b in zip(x, y, strict=True)) and tuple(x) != tuple(y)


def fastest_at_least_as_good(
    w: int, trained: list[int], lat: Sequence[float], acc: Sequence[float], tau: float
) -> int | None:
    """y_w, Eq. 3."""
    good = [y for y in trained if acc[y] >= acc[w] + tau]
    return min(good, key=lambda y: lat[y]) if good else None


def pruned(
    vectors: Sequence[Sequence[int]],
    lat: Sequence[float],
    acc: Sequence[float],
    trained: list[int],
    tau: float = 0.0,
) -> set[int]:
    """P after training ``trained`` one after the other, Eq. 4 and 5."""
    p: set[int] = set()
    d: list[int] = []
    precedents: dict[int, list[int]] = {}
    used: dict[int, int | None] = {}  # y_w of the last round: the same y_w gives the same ΔP_w
    for x in trained:
        d.append(x)
        if x not in precedents:
            precedents[x] = [m for m in range(len(vectors)) if precedes(vectors[m], vectors[x])]
        for w in d:
            y_w = fastest_at_least_as_good(w, d, lat, acc, tau)
            if y_w is None or used.get(w) == y_w:
                continue
            used[w] = y_w
            p |= {m for m in precedents[w] if lat[m] >= lat[y_w]}
    return p


def boundary(trained: list[int], lat: Sequence[float], acc: Sequence[float]) -> set[int]:
    """B(D), Eq. 6."""
    return {x for x in trained if all(lat[w] >= lat[x] or acc[w] <= acc[x] for w in trained)}
