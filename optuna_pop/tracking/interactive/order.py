"""How trained networks follow the order (POP paper, Figures 3(b), 8(b); extra ``report``)."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.findings import Findings
from optuna_pop.order.relation import comparable_pairs
from optuna_pop.tracking.colours import BLUE, GREY, VERMILLION
from optuna_pop.tracking.interactive.style import dress, plain, wrapped
from optuna_pop.tracking.needs import accuracy_label, ordered

with needs_extra("report"):
    import plotly.graph_objects as go

FOLLOWS, AGAINST = "follows the order", "contradicts it"
_MOST = 2000  # pairs that follow the order that are drawn: more make a page slow


def pairs(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw what each comparable pair x ≺ y differs by (the paper's Figure 3(b)).

    All pairs that contradict the order are drawn, and at most ``_MOST`` of the others.

    Raises:
        StudyError: if the study does not hold its space.
        InputError: if no two trained networks are comparable.
    """
    vectors, _ = ordered(findings)
    smaller, larger = comparable_pairs(vectors)
    if not len(smaller):
        raise InputError("no two trained networks are comparable yet: train more")
    accuracy, costs = findings.accuracies, findings.costs[:, cost]
    gain, slower = accuracy[larger] - accuracy[smaller], costs[larger] - costs[smaller]
    against = gain < 0
    figure = go.Figure()
    drawn = 0
    for which, name, colour in (
        (_some(np.flatnonzero(~against)), FOLLOWS, BLUE),
        (np.flatnonzero(against), AGAINST, VERMILLION),
    ):
        drawn += len(which)
        figure.add_scatter(
            x=slower[which],
            y=gain[which],
            mode="markers",
            name=name,
            marker={"size": 6, "color": colour, "opacity": 0.6},
            customdata=[
                [_words(findings, larger[pair]), _words(findings, smaller[pair])] for pair in which
            ],
            hovertemplate="<b>%{customdata[0]}</b><br>against %{customdata[1]}<br>"
            f"{plain(findings.accuracy_name)}: %{{y:+.4~g}}<br>"
            f"{plain(findings.cost_names[cost])}: %{{x:+.4~g}}<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": GREY, "width": 1.5})
    figure.update_layout(
        xaxis={"title": {"text": plain(f"Δ {findings.cost_names[cost]}, larger minus smaller")}},
        yaxis={"title": {"text": plain(f"Δ {findings.accuracy_name}")}},
    )
    worst = f", at most by {-gain.min():.3g}" if against.any() else ""
    shown = f" Shown: {drawn:,} pairs." if drawn < len(gain) else ""
    return dress(
        figure,
        f"{int(against.sum()):,} of {len(gain):,} comparable pairs contradict the order{worst}",
        f"{int((slower < 0).sum()):,} pairs are slower though smaller.{shown}",
    )


def precedents(findings: Findings, cost: int = 0) -> go.Figure:  # noqa: ARG001 (as all figures)
    """Draw accuracy against the number of architectures that are smaller (Figure 8(b)).

    Raises:
        StudyError: if the study does not hold its space.
        InputError: if fewer than two networks are trained.
    """
    vectors, sampler = ordered(findings)
    if len(vectors) < 2:
        raise InputError("there are fewer than two trained networks: train more")
    counts, accuracy = sampler.precedents(vectors), findings.accuracies
    figure = go.Figure()
    figure.add_scatter(
        x=1 + counts,
        y=accuracy,
        mode="markers",
        marker={"size": 9, "color": BLUE, "line": {"color": "white", "width": 1.2}},
        customdata=[
            [entry.number, wrapped(entry.architecture), count]
            for entry, count in zip(findings.trained, counts.tolist(), strict=True)
        ],
        hovertemplate="<b>%{customdata[1]}</b><br>trial %{customdata[0]}<br>"
        f"{plain(findings.accuracy_name)}: %{{y:.4~g}}<br>"
        "%{customdata[2]:,.0f} precedents<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": {"text": "1 + number of precedents"}, "type": "log", "dtick": 1},
        yaxis={"title": {"text": plain(accuracy_label(findings))}},
    )
    r = float(spearmanr(counts, accuracy).statistic) if _varies(counts, accuracy) else np.nan
    rank = f"rank correlation {r:.2f}" if np.isfinite(r) else "no rank correlation yet"
    return dress(
        figure,
        f"Accuracy against precedents: {rank}",
        "Precedents of a network are all that are shallower and narrower.",
    )


def _varies(*columns: np.ndarray) -> bool:
    return all(np.ptp(column) > 0 for column in columns)


def _some(which: np.ndarray) -> np.ndarray:
    if len(which) <= _MOST:
        return which
    return np.sort(np.random.default_rng(0).choice(which, _MOST, replace=False))


def _words(findings: Findings, row: int) -> str:
    entry = findings.trained[row]
    return f"{wrapped(entry.architecture)} (trial {entry.number})"
