"""The boundary, and what the order has settled below and above it (extra ``report``)."""

from __future__ import annotations

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.findings import Findings, boundary_rows
from optuna_pop.order import Staircase
from optuna_pop.order.boundary import FloatArray
from optuna_pop.tracking.colours import BLUE, MUTED, OPEN, ORANGE, PRUNED, RULED_OUT
from optuna_pop.tracking.interactive.marks import boundary_line, networks
from optuna_pop.tracking.interactive.style import (
    accuracy_axis,
    band,
    cost_axis,
    dress,
    ends_of,
    stairs,
)
from optuna_pop.tracking.needs import accuracy_label, certified
from optuna_pop.tracking.points import drawable, points_of
from optuna_pop.tracking.reach import Curves, settled_title

with needs_extra("report"):
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

UPPER, STILL_OPEN, RULED = "highest that is left possible", "still open", "ruled out by the order"
PRUNED_UNSEEN = "pruned without training"
"""Names of the traces."""

_BINS = 60


def boundary(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw all trained networks and the boundary.

    Raises:
        InputError: if there is nothing to draw.
    """
    drawn = drawable(findings.trained, cost)
    held = boundary_rows(drawn)
    costs, accuracies = points_of(drawn).T
    x = cost_axis(costs, findings.cost_names[cost])
    y = accuracy_axis(accuracies, accuracy_label(findings), below=0.08, above=0.1)
    line = boundary_line(drawn, ends_of(x)[1], fill="tozeroy", fillcolor=_faint(BLUE))
    names = {"cost_name": findings.cost_names[cost], "accuracy_name": findings.accuracy_name}
    figure = go.Figure([line, *networks(drawn, **names)])
    figure.update_layout(xaxis=x, yaxis=y)
    verb = "network holds" if len(held) == 1 else "networks hold"
    return dress(
        figure,
        f"{len(held)} {verb} the boundary, of {len(drawn)} trained",
        "Up and to the left is better."
        + (" Of this cost alone, whatever the others." if len(findings.cost_names) > 1 else ""),
    )


def settled(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw what a search has settled and what is still open (the paper's Figure 5).

    Above, the plane of cost and accuracy: under the boundary, ruled out by the order, and still
    open between. Below, the architectures that are trained, pruned and open, counted by cost.

    Raises:
        StudyError: if the study does not hold its space and costs.
        InputError: if there is nothing to draw.
    """
    proof, _ = certified(findings)
    drawn = drawable(findings.trained, cost)
    costs, accuracies = points_of(drawn).T
    unseen = proof.unseen_costs[:, cost]
    finite = np.isfinite(unseen)
    pruned, still_open = unseen[finite & proof.unseen_pruned], unseen[finite & ~proof.unseen_pruned]
    upper = proof.upper[cost]
    bounds = upper.accuracies[np.isfinite(upper.accuracies)]
    x = cost_axis(np.concatenate([costs, unseen[finite]]), findings.cost_names[cost], share=0.03)
    y = accuracy_axis(
        np.concatenate([accuracies, bounds]), accuracy_label(findings), below=0.08, above=0.1
    )
    curves = Curves.on(ends_of(x), Staircase.of(costs, accuracies), upper)
    names = {"cost_name": findings.cost_names[cost], "accuracy_name": findings.accuracy_name}
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.05
    )
    floor, ceiling = y["range"]
    for trace in [
        *_regions(curves, floor, ceiling),
        boundary_line(drawn, ends_of(x)[1]),
        *networks(drawn, **names),
    ]:
        figure.add_trace(trace, row=1, col=1)
    for trace in _strip(ends_of(x), x["type"] == "log", costs, still_open, pruned):
        figure.add_trace(trace, row=2, col=1)
    figure.update_yaxes(y, row=1, col=1)
    figure.update_yaxes({"title": {"text": "architectures"}, "nticks": 4}, row=2, col=1)
    figure.update_xaxes({**x, "title": None}, row=1, col=1)
    figure.update_xaxes(x, row=2, col=1)
    unit = " points" if "%" in findings.accuracy_name else ""
    title = settled_title(proof) or curves.title(proof.tolerance, unit)
    return dress(figure, title, curves.under(proof.tolerance, unit), height=620, head=126)


def _regions(curves: Curves, floor: float, ceiling: float) -> list[go.Scatter]:
    edges, steps = curves.edges, curves.boundary
    low = np.clip(steps, floor, ceiling)
    high = np.clip(curves.upper, low, ceiling)  # where U is under f nothing is open
    line = np.where(np.isneginf(curves.upper), np.nan, np.minimum(curves.upper, 2 * ceiling))
    x, y = stairs(edges, line)
    return [
        band(edges, high, np.full_like(high, ceiling), name=RULED, fillcolor=RULED_OUT),
        band(edges, low, high, name=STILL_OPEN, fillcolor=OPEN),
        band(
            edges,
            np.full_like(low, floor),
            low,
            fillcolor=_faint(BLUE),
            name="under the boundary",
            showlegend=False,
        ),
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            name=UPPER,
            line={"color": MUTED, "width": 1.2, "dash": "dash"},
            hovertemplate="not above %{y:.4~g} at %{x:.4~g}<extra></extra>",
        ),
    ]


def _strip(
    ends: tuple[float, float],
    log: bool,
    trained: FloatArray,
    still_open: FloatArray,
    pruned: FloatArray,
) -> list[go.Scatter]:
    """Counts by cost, one upon the other: what lies lowest is drawn last."""
    edges = np.geomspace(*ends, _BINS + 1) if log else np.linspace(*ends, _BINS + 1)
    base, traces = np.zeros(_BINS), []
    for name, values, fill, line in (
        ("trained", trained, BLUE, {"width": 1.5, "color": BLUE}),  # few: a line shows them
        (STILL_OPEN, still_open, OPEN, {"width": 0.8, "color": ORANGE}),
        (PRUNED_UNSEEN, pruned, PRUNED, {"width": 0.8, "color": MUTED}),
    ):
        counts = np.histogram(values, edges)[0]
        base = base + counts
        x, y = stairs(edges, base)
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line=line,
                fill="tozeroy",
                fillcolor=fill,
                name=name,
                showlegend=name == PRUNED_UNSEEN and len(values) > 0,
                customdata=np.repeat(counts, 2),
                hovertemplate=f"{name}: %{{customdata:,}} of about %{{x:.3~g}}<extra></extra>",
            )
        )
    return traces[::-1]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.06)"
