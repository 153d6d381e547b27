"""What a search took and how well the order held, as a report shows them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from optuna.trial import TrialState

from optuna_pop.errors import InputError
from optuna_pop.findings import Findings
from optuna_pop.order.relation import comparable_pairs
from optuna_pop.tracking.points import drawable
from optuna_pop.tracking.replay import heights
from optuna_pop.tracking.report.tables import NOTHING, Table, count, duration, score, without_empty

_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
_WORST = 10
_SETTLED = (
    " Settled: trained, or unable by the order to beat the boundary by more than the tolerance."
)
_ENDED = {
    TrialState.COMPLETE: "trained to the end",
    TrialState.PRUNED: "ended early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True)
class Number:
    """A number that stands for the study, in large type."""

    value: str
    words: str


def key_numbers(findings: Findings) -> list[Number]:
    """What one wants to know first."""
    found = [
        Number(f"{len(findings.trained):,}", "networks trained"),
        Number(f"{len(findings.boundary):,}", "on the boundary"),
    ]
    if (proof := findings.certificate) is not None:
        found += [
            Number(f"{proof.architectures:,}", "architectures in the search"),
            Number(f"{proof.pruned:,}", "pruned without training"),
            Number(f"{100 * proof.share_settled:.0f}%", "settled by the order"),
        ]
    return found


def efficiency(findings: Findings) -> list[Table]:
    """What was spent, and how the boundary rose for it."""
    return [_spent(findings), *_rise(findings)]


def _spent(findings: Findings) -> Table:
    trials = findings.study.get_trials(deepcopy=False)
    states = Counter(trial.state for trial in trials)
    rows = [[words, count(states[state])] for state, words in _ENDED.items() if states[state]]
    seconds = [s for t in trials if (s := t.user_attrs.get("seconds")) is not None]
    if seconds:
        rows.append(["time of all trainings to the end", duration(sum(seconds))])
    begun = [t.datetime_start for t in trials if t.datetime_start is not None]
    ended = [t.datetime_complete for t in trials if t.datetime_complete is not None]
    if begun and ended:
        passed = (max(ended) - min(begun)).total_seconds()
        rows.append(["from the first trial to the last", duration(passed)])
    if (proof := findings.certificate) is not None:
        share = 100 * proof.trained / proof.architectures
        rows += [
            ["architectures within the range of cost", count(proof.architectures)],
            ["of them trained", f"{proof.trained:,} ({share:.2g}%)"],
            ["pruned without training", count(proof.pruned)],
            ["covered (trained or pruned)", count(proof.trained + proof.pruned)],
            ["settled", f"{proof.settled:,} ({100 * proof.share_settled:.1f}%)"],
        ]
        if math.isfinite(proof.tolerance):
            rows.append(["tolerance of the order", f"{proof.tolerance:.3g}"])
        if not proof.exact:
            rows.append(["counted on", "a uniform sample, as there are too many to count"])
    return Table("What the search took", ("", " "), rows, frozenset({""}))


def _rise(findings: Findings) -> list[Table]:
    try:
        drawn = drawable(findings.trained)
    except InputError:
        return []
    height = heights(drawn)
    proofs = dict(findings.history)
    looked = sorted(proofs) or list(range(1, len(drawn) + 1))
    at = {min(looked, key=lambda n: abs(n - share * len(drawn))) for share in _SHARES}
    rows = []
    for n in sorted(at):
        proof = proofs.get(n)
        rows.append(
            [
                str(n),
                score(float(height[n - 1]), findings.accuracy_name),
                NOTHING if proof is None else count(proof.pruned),
                NOTHING if proof is None else f"{100 * proof.share_settled:.1f}%",
            ]
        )
    mean = f"mean {findings.accuracy_name} of the boundary"
    return [
        without_empty(
            Table(
                "How the boundary rose",
                ("trainings", mean, "pruned unseen", "settled"),
                rows,
                note="The mean is taken over the (log) cost that the trained networks span."
                + (_SETTLED if proofs else ""),
            )
        )
    ]


def order_words(findings: Findings) -> str | None:
    """How well the order held, in a sentence; None where nothing can be said."""
    if findings.order_check is None:
        return None
    check, held_out = findings.order_check
    if not check.pairs:
        return "No two trained networks are comparable yet."
    if not check.violations:
        return f"None of {check.pairs:,} comparable pairs contradicts the order."
    return (
        f"{check.violations:,} of {check.pairs:,} comparable pairs contradict the order, at most "
        f"by {check.largest:.2f}; {check.beyond_noise:,} by more than the noise of {held_out:,} "
        f"held-out samples (±{check.noise:.2f}): {100 * check.share_followed:.1f}% follow it."
    )


def violations(findings: Findings) -> list[Table]:
    """The pairs that contradict the order most."""
    if findings.vectors is None or len(findings.trained) < 2:
        return []
    smaller, larger = comparable_pairs(findings.vectors)
    excess = findings.accuracies[smaller] - findings.accuracies[larger]
    worst = [int(i) for i in np.argsort(-excess, kind="stable")[:_WORST] if excess[i] > 0]
    if not worst:
        return []
    names, accuracy = findings.trained, findings.accuracy_name
    rows = [
        [
            names[smaller[i]].architecture,
            score(names[smaller[i]].accuracy, accuracy),
            names[larger[i]].architecture,
            score(names[larger[i]].accuracy, accuracy),
            f"{excess[i]:.3g}",
        ]
        for i in worst
    ]
    columns = ("smaller", "its accuracy", "larger", "accuracy", "by")
    return [
        Table(
            "Pairs that contradict the order most",
            columns,
            rows,
            frozenset({"smaller", "larger"}),
            "The smaller network is shallower and narrower, yet came out as the more accurate one.",
        )
    ]
