"""Trained networks and their boundary in a plane of cost and accuracy (extra ``report``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained
from optuna_pop.tracking.colours import BLUE, GREY
from optuna_pop.tracking.interactive.style import about, hover
from optuna_pop.tracking.points import points_of

with needs_extra("report"):
    import plotly.graph_objects as go

HELD, OTHERS, BOUNDARY = "on the boundary", "trained", "boundary"
"""Names of the traces."""


def boundary_line(drawn: Sequence[Trained], right: float, **style: Any) -> go.Scatter:
    """Draw the boundary as a staircase that goes on to the right end of the axes."""
    x, y = points_of(boundary_rows(drawn)).T
    look: dict[str, Any] = {"name": BOUNDARY, "line": {"color": BLUE, "width": 2.5}}
    look |= {"showlegend": False} | style
    look["line"] = {"shape": "hv", **look["line"]}
    return go.Scatter(
        x=np.append(x, right), y=np.append(y, y[-1]), mode="lines", hoverinfo="skip", **look
    )


def networks(drawn: Sequence[Trained], *, cost_name: str, accuracy_name: str) -> list[go.Scatter]:
    """Draw trained networks, those on the boundary filled; with words under the pointer."""
    held = boundary_rows(drawn)
    numbers = {entry.number for entry in held}
    others = [entry for entry in drawn if entry.number not in numbers]
    words = hover(cost_name, accuracy_name)
    looks: tuple[tuple[str, Sequence[Trained], dict[str, Any]], ...] = (
        (OTHERS, others, {"size": 8, "color": "white", "line": {"color": GREY, "width": 1.6}}),
        (HELD, held, {"size": 11, "color": BLUE, "line": {"color": "white", "width": 1.5}}),
    )
    return [
        go.Scatter(
            x=points_of(entries)[:, 0],
            y=points_of(entries)[:, 1],
            mode="markers",
            name=name,
            marker=marker,
            customdata=about(entries),
            hovertemplate=words,
        )
        for name, entries, marker in looks
        if entries
    ]
