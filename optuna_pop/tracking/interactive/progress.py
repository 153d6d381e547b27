"""How a search went, training by training (extra ``report``)."""

from __future__ import annotations

from math import isfinite

import numpy as np

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.findings import Findings
from optuna_pop.ledger import Trained
from optuna_pop.tracking.colours import BLUE, GREY, INK, MUTED, OPEN, PRUNED
from optuna_pop.tracking.interactive.marks import boundary_line
from optuna_pop.tracking.interactive.style import (
    about,
    accuracy_axis,
    cost_axis,
    dress,
    ends_of,
    hover,
    plain,
)
from optuna_pop.tracking.needs import accuracy_label, certified
from optuna_pop.tracking.points import drawable, points_of
from optuna_pop.tracking.replay import bound, heights

with needs_extra("report"):
    import plotly.graph_objects as go

_FEWEST = 2
_TRAININGS = "trainings completed"


def improvement(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw how the boundary rose, and how much higher the order still let it rise.

    The height is the boundary's mean accuracy over (log) cost, see ``optuna_pop.tracking.replay``:
    the area under it, over its width. The best possible boundary is not known; instead of the gap
    to it the figure shows the highest that the order still left possible.

    Raises:
        InputError: if fewer than two networks are trained.
    """
    drawn = drawable(findings.trained, cost)
    if len(drawn) < _FEWEST:
        raise InputError("there are fewer than two trained networks: train more")
    height = heights(drawn)
    raised = np.diff(height, prepend=-np.inf) > 0
    n = np.arange(1, len(drawn) + 1)
    figure = go.Figure()
    bounds = _bounds(findings, drawn, cost)
    if bounds:
        figure.add_scatter(
            x=list(bounds),
            y=list(bounds.values()),
            mode="lines",
            name="highest that the order left possible",
            line={"color": MUTED, "dash": "dash", "width": 1.4, "shape": "hv"},
            hovertemplate="after %{x} trainings: %{y:.4~g}<extra></extra>",
        )
    figure.add_scatter(
        x=n,
        y=height,
        mode="lines",
        name="boundary",
        line={"color": BLUE, "width": 2.5, "shape": "hv"},
        hovertemplate="after %{x} trainings: %{y:.4~g}<extra></extra>",
    )
    figure.add_scatter(
        x=n[raised],
        y=height[raised],
        mode="markers",
        name="training that raised it",
        marker={"size": 9, "color": BLUE, "line": {"color": "white", "width": 1.2}},
        customdata=about([entry for entry, up in zip(drawn, raised, strict=True) if up]),
        hovertemplate="<b>%{customdata[1]}</b><br>trial %{customdata[0]}, training %{x}<br>"
        "mean accuracy of the boundary now %{y:.4~g}<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": {"text": _TRAININGS}, "rangemode": "tozero"},
        yaxis={"title": {"text": plain(f"mean {findings.accuracy_name} of the boundary")}},
    )
    last = int(np.flatnonzero(raised)[-1]) + 1
    half = height[: len(height) // 2][-1] if len(height) > 1 else height[0]
    return dress(
        figure,
        f"{int(raised.sum())} of {len(drawn)} trainings raised the boundary, the last was {last}",
        f"The second half of the trainings added {height[-1] - half:.3g} to its mean accuracy.",
    )


def progress(findings: Findings, cost: int = 0) -> go.Figure:  # noqa: ARG001 (as all figures)
    """Draw how many architectures were trained, pruned and settled after each training.

    This is this project's reading of the paper's Figure 8(a): trained, pruned and covered (both
    together) architectures as its search goes on.

    Raises:
        StudyError: if the study does not hold its space and costs.
        InputError: if fewer than two networks are trained.
    """
    proof, _ = certified(findings)
    if len(findings.trained) < _FEWEST:
        raise InputError("there are fewer than two trained networks: train more")
    after = [count for count, _ in findings.history]
    found = [certificate for _, certificate in findings.history]
    size = proof.architectures
    figure = go.Figure()
    for name, counts, colour in (
        ("trained", [c.trained for c in found], BLUE),
        ("pruned without training", [c.pruned for c in found], PRUNED),
        ("open", [c.open for c in found], OPEN),
    ):
        figure.add_scatter(
            x=after,
            y=100 * np.array(counts) / size,
            stackgroup="one",
            name=name,
            mode="lines",
            line={"width": 0, "color": colour},
            fillcolor=colour,
            customdata=counts,
            hovertemplate=f"{name}: %{{customdata:,}} after %{{x}} trainings<extra></extra>",
        )
    figure.add_scatter(
        x=after,
        y=[100 * c.share_settled for c in found],
        name="settled",
        mode="lines",
        line={"color": INK, "width": 1.6, "dash": "dot"},
        customdata=[c.settled for c in found],
        hovertemplate="settled: %{customdata:,} after %{x} trainings<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": {"text": _TRAININGS}},
        yaxis={"title": {"text": f"% of {size:,} architectures"}, "range": [0, 101]},
    )
    words = "Settled: trained, or unable by the order to beat the boundary"
    if isfinite(proof.tolerance):
        words += " by more than the tolerance"
    return dress(
        figure,
        f"{proof.trained:,} trained, {proof.pruned:,} pruned unseen, {proof.open:,} open",
        words + ".",
    )


def sequence(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw what was trained in which sequence, and the boundary on the way.

    This is this project's reading of the paper's Figure 7, the result of its search on a device.

    Raises:
        InputError: if fewer than two networks are trained.
    """
    drawn = drawable(findings.trained, cost)
    if len(drawn) < _FEWEST:
        raise InputError("there are fewer than two trained networks: train more")
    costs, accuracies = points_of(drawn).T
    x = cost_axis(costs, findings.cost_names[cost])
    figure = go.Figure()
    counts = sorted({max(1, len(drawn) // 4), len(drawn) // 2, len(drawn)})
    for i, count in enumerate(counts):
        last = count == len(drawn)
        style = {"color": BLUE if last else GREY, "width": 2.5 if last else 1.4}
        style["dash"] = "solid" if last else ("dot", "dash")[i % 2]
        figure.add_trace(
            boundary_line(
                drawn[:count],
                ends_of(x)[1],
                name=f"after {count}",
                showlegend=True,
                line=style,
            )
        )
    figure.add_scatter(
        x=costs,
        y=accuracies,
        mode="markers",
        name="trained",
        showlegend=False,
        marker={
            "size": 9,
            "color": np.arange(1, len(drawn) + 1),
            "colorscale": [[0, "#cfe3f1"], [1, "#003e63"]],
            "line": {"color": "white", "width": 1},
        },
        customdata=about(drawn),
        hovertemplate=hover(findings.cost_names[cost], findings.accuracy_name),
    )
    figure.update_layout(
        xaxis=x,
        yaxis=accuracy_axis(accuracies, accuracy_label(findings), below=0.08, above=0.1),
    )
    return dress(
        figure,
        "Where the trainings went, and the boundary on the way",
        "The darker a network, the later it was trained.",
    )


def _bounds(findings: Findings, drawn: list[Trained], cost: int) -> dict[int, float]:
    """Height that was still possible, by trainings completed; where the order bounds it."""
    found = {}
    for count, certificate in findings.history:
        before = drawable(findings.trained[:count], cost)
        height = bound(certificate.upper[cost], before, drawn)
        if isfinite(height):
            found[count] = height
    return found
