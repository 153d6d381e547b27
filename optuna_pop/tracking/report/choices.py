"""The networks one would choose, and what may still be better, as a report shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna_pop.errors import StudyError
from optuna_pop.findings import Choice, Findings
from optuna_pop.tracking.report.tables import price, score
from optuna_pop.tracking.words import split_unit


@dataclass(frozen=True)
class Card:
    """A network for a purpose.

    Attributes:
        purpose: In words.
        architecture: In words.
        trial: Its number; None where nothing fits.
        values: Accuracy and costs with their names.
        bound: What may still be better; empty where nothing is known.
    """

    purpose: str
    architecture: str
    trial: int | None
    values: tuple[str, ...]
    bound: str


def cards(findings: Findings, budgets: Sequence[float] = ()) -> list[Card]:
    """Choose the fastest, the knee, the most accurate, and the best within each budget."""
    if not findings.boundary:
        return []
    chosen = [
        ("Fastest", findings.fastest()),
        ("Knee: from here on more cost buys less", findings.knee()),
        ("Most accurate", findings.most_accurate()),
    ]
    found = [_card(findings, purpose, choice) for purpose, choice in chosen]
    for budget in budgets:
        purpose = f"Best with {findings.cost_names[0]} ≤ {budget:g}"
        try:
            found.append(_card(findings, purpose, findings.best_under(budget)))
        except StudyError as error:
            found.append(Card(purpose, "none", None, (), str(error)))
    return found


def _card(findings: Findings, purpose: str, choice: Choice) -> Card:
    values = [_with_unit(score(choice.accuracy, findings.accuracy_name), findings.accuracy_name)]
    named = zip(choice.costs, findings.cost_names, strict=True)
    values += [_with_unit(price(cost), name) for cost, name in named]
    words = _bound(choice, findings.accuracy_name)
    return Card(purpose, choice.architecture, choice.number, tuple(values), words)


def _bound(choice: Choice, accuracy_name: str) -> str:
    if choice.bound is None or not math.isfinite(choice.tolerance):
        return ""
    if choice.bound == math.inf:
        return "The order does not bound yet what something untrained within this cost could reach."
    if choice.bound == -math.inf:
        return "Nothing within this cost is untrained."
    if choice.bound <= choice.accuracy:
        return "By the order nothing untrained within this cost is more accurate."
    return (
        "By the order nothing untrained within this cost exceeds "
        f"{score(choice.bound, accuracy_name)}."
    )


def _with_unit(number: str, name: str) -> str:
    """``latency 5 ms`` for ``latency (ms)``; ``energy: 5`` where a name has no unit."""
    what, unit = split_unit(name)
    return f"{what} {number} {unit}" if unit else f"{name}: {number}"
