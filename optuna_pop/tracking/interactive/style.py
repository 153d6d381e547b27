"""What all interactive figures share: heading, axes, words under the pointer (extra ``report``)."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.ledger import Trained
from optuna_pop.order.boundary import FloatArray
from optuna_pop.tracking.colours import FRAME, GRID, INK, MUTED
from optuna_pop.tracking.points import is_wide, log_ticks

with needs_extra("report"):
    import plotly.graph_objects as go

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_MARGIN = {"l": 64, "r": 16, "b": 56}
_HOVER_WIDTH = 44  # characters of a line under the pointer
_AXIS: dict[str, Any] = {
    "showline": True,
    "linecolor": FRAME,
    "gridcolor": GRID,
    "zeroline": False,
    "ticks": "",
    "tickfont": {"color": MUTED, "size": 12},
    "title": {"font": {"color": INK, "size": 13}, "standoff": 8},
    "automargin": True,
}
_TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": _FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hoverlabel": {
            "align": "left",
            "bgcolor": "white",
            "bordercolor": FRAME,
            "font": {"color": INK},
        },
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


def dress(
    figure: go.Figure, title: str, under: str, *, height: int = 480, head: int = 104
) -> go.Figure:
    """Give a figure the common look and a heading.

    Args:
        figure: Changed in place.
        title: What it finds.
        under: How to read it.
        height: Pixels.
        head: Of them for heading and legend.

    Returns:
        The same figure.
    """
    figure.update_layout(
        template=_TEMPLATE,
        title={
            "text": f"<b>{plain(title)}</b>",
            "subtitle": {"text": plain(under), "font": {"size": 12, "color": MUTED}},
            "font": {"size": 15},
            "x": 0.0,
            "xref": "paper",
            "y": 1.0,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 14},
        },
        legend={"orientation": "h", "x": 0.0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        margin={**_MARGIN, "t": head},
        height=height,
        hovermode="closest",
    )
    return figure


def cost_axis(costs: FloatArray, name: str, *, share: float = 0.05) -> dict[str, Any]:
    """Describe an axis of costs: logarithmic where they span much.

    Args:
        costs: All that is drawn, finite, shape (m,), m >= 1.
        name: Name and unit.
        share: Room at either end, as a share of the (logarithm's) range.
    """
    low, high = float(costs.min()), float(costs.max())
    axis: dict[str, Any] = {"title": {"text": plain(name)}}
    if is_wide(low, high):
        room = share * math.log10(high / low)
        ends = [math.log10(low) - room, math.log10(high) + room]
        ticks = log_ticks(10 ** ends[0], 10 ** ends[1])
        return axis | {
            "type": "log",
            "range": ends,
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
        }
    room = share * ((high - low) or abs(high) or 1.0)
    return axis | {"type": "linear", "range": [low - room, high + room], "tickformat": "~g"}


def ends_of(axis: dict[str, Any]) -> tuple[float, float]:
    """Where an axis of ``cost_axis`` begins and ends, in its unit."""
    low, high = axis["range"]
    return (10**low, 10**high) if axis["type"] == "log" else (low, high)


def accuracy_axis(
    accuracies: FloatArray, name: str, *, below: float, above: float
) -> dict[str, Any]:
    """Describe an axis of accuracies, with room under and over them, as shares of their range."""
    bottom, top = float(accuracies.min()), float(accuracies.max())
    span = (top - bottom) or 0.1 * abs(top) or 1.0
    return {
        "title": {"text": plain(name)},
        "range": [bottom - below * span, top + above * span],
        "tickformat": "~g",
    }


def about(entries: Sequence[Trained]) -> list[list[Any]]:
    """What a point under the pointer says of its network: trial number and architecture."""
    return [[entry.number, wrapped(entry.architecture)] for entry in entries]


def hover(cost_name: str, accuracy_name: str) -> str:
    """Template for points of cost and accuracy that carry ``about``."""
    return (
        "<b>%{customdata[1]}</b><br>trial %{customdata[0]}<br>"
        f"{plain(accuracy_name)}: %{{y:.4~g}}<br>{plain(cost_name)}: %{{x:.4~g}}<extra></extra>"
    )


def wrapped(text: str) -> str:
    """A user's words for plotly: no markup, no placeholders, on lines of some width."""
    return "<br>".join(plain(line) for line in textwrap.wrap(text, _HOVER_WIDTH) or [""])


def plain(text: str) -> str:
    """A user's words for plotly: neither markup nor placeholders of a template."""
    return html.escape(text, quote=False).replace("%{", "% {")


def stairs(edges: FloatArray, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Corners of a curve of levels (s,) between edges (s + 1,): x and y, each of shape (2 s,)."""
    return np.repeat(edges, 2)[1:-1], np.repeat(levels, 2)


def band(edges: FloatArray, low: FloatArray, high: FloatArray, **style: Any) -> go.Scatter:
    """Fill what lies between two curves of levels (s,) over edges (s + 1,)."""
    x, bottom = stairs(edges, low)
    _, top = stairs(edges, high)
    return go.Scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([bottom, top[::-1]]),
        fill="toself",
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        **style,
    )
