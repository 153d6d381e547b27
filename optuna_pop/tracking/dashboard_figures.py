"""A study's figures in optuna-dashboard (extras ``dashboard`` and ``report``)."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.findings import Findings
from optuna_pop.tracking.interactive import draw_figures

with needs_extra("report"):
    import plotly.graph_objects as go

PREFIX = "optuna-pop-"
"""Of the ids of figures, which dashboards sort by."""

MOST_POINTS = 2_000
"""Of a trace: the dashboard reads all figures again every few seconds."""

_HEADING, _UNDER = 62, 84  # characters of a line that fit half of a page 1400 pixels wide
_HEIGHT, _LINE_HEIGHT = 450, 18  # pixels, of a card and of a line


def write_figures(findings: Findings) -> list[str]:
    """Save every figure that a study can show, in place of the one it had before.

    Returns:
        Their titles.

    Raises:
        MissingExtraError: if optuna-dashboard is not installed.
    """
    with needs_extra("dashboard"):
        from optuna_dashboard import save_plotly_graph_object
    titles = []
    for drawn in draw_figures(findings):
        if drawn.plot is not None:
            plot = fitted(thinned(drawn.plot))
            save_plotly_graph_object(findings.study, plot, graph_object_id=PREFIX + drawn.id)
            titles.append(drawn.title)
    return titles


def fitted(figure: go.Figure) -> go.Figure:
    """Return a figure that fits a card of the dashboard, which cuts off what does not."""
    found = go.Figure(figure)
    title = found.layout.title
    heading = textwrap.wrap((title.text or "").replace("<b>", "").replace("</b>", ""), _HEADING)
    under = textwrap.wrap(title.subtitle.text or "", _UNDER)
    more = max(0, len(heading) - 1) + max(0, len(under) - 1)
    if more:
        title.text = "<br>".join(f"<b>{line}</b>" for line in heading)
        title.subtitle.text = "<br>".join(under)
        found.layout.margin.t = (found.layout.margin.t or 0) + _LINE_HEIGHT * more
    found.layout.height = _HEIGHT
    return found


def thinned(figure: go.Figure, most: int = MOST_POINTS) -> go.Figure:
    """Return a figure whose traces of points have so many at most, evenly taken of all.

    The name of a trace that lost some says so.
    """
    found = go.Figure(figure)
    for trace in found.data:
        count = 0 if getattr(trace, "x", None) is None else len(trace.x)
        if trace.type.startswith("scatter") and trace.mode == "markers" and count > most:
            keep = np.linspace(0, count - 1, most).round().astype(int)
            trace.update(_taken(trace.to_plotly_json(), keep, count))
            trace.name = f"{trace.name or 'points'} ({most:,} of {count:,})"
    return found


def _taken(part: dict[str, Any], keep: np.ndarray[Any, Any], count: int) -> dict[str, Any]:
    """Of all arrays of one item a point, those items."""
    found: dict[str, Any] = {}
    for name, value in part.items():
        if isinstance(value, dict):
            if inner := _taken(value, keep, count):
                found[name] = inner
        elif isinstance(value, (list, tuple, np.ndarray)) and len(value) == count:
            found[name] = [value[at] for at in keep]
    return found
