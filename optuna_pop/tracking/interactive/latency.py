"""Estimated against measured latency (POP paper, Figure 3(a); extra ``report``)."""

from __future__ import annotations

import numpy as np

from optuna_pop.errors import StudyError, needs_extra
from optuna_pop.findings import Findings
from optuna_pop.tracking.colours import BLUE, GREY
from optuna_pop.tracking.interactive.style import cost_axis, dress, ends_of
from optuna_pop.tracking.points import is_wide

with needs_extra("report"):
    import plotly.graph_objects as go

_BAND = 0.10


def estimates(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw the latency of whole networks by the table against the measured (Figure 3(a)).

    The networks are those measured in the session that made the table. Where it corrects sums, each
    network is left out of the fit that estimates it.

    Raises:
        StudyError: if the study has no latency table, or that was made without whole networks.
    """
    name = findings.study.study_name
    if cost >= len(findings.tables):
        raise StudyError(f"study {name!r} has no latency table that could be verified")
    table = findings.tables[cost]
    check = table.verification
    if check is None or not table.networks:
        raise StudyError(
            f"the latency table of study {name!r} was made without whole networks to verify it: "
            "`optuna-pop profile verify` measures some"
        )
    y, measured = table.checked_estimates()
    found = check.corrected if table.correction and check.corrected else check.sums
    axis = cost_axis(np.concatenate([y, measured]), "measured latency (ms)", share=0.08)
    ends = ends_of(axis)
    line = np.geomspace(*ends, 50) if is_wide(*ends) else np.linspace(max(ends[0], 0), ends[1], 50)
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([line, line[::-1]]),
        y=np.concatenate([line * (1 - _BAND), line[::-1] * (1 + _BAND)]),
        fill="toself",
        fillcolor="rgba(140,149,159,0.18)",
        line={"width": 0},
        mode="lines",
        name=f"within {_BAND:.0%}",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=line,
        y=line,
        mode="lines",
        line={"color": GREY, "width": 1.5},
        name="estimated = measured",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=measured,
        y=y,
        mode="markers",
        marker={"size": 10, "color": BLUE, "line": {"color": "white", "width": 1.2}},
        name="whole network",
        customdata=[
            [len(network.blocks), 100 * (e / m - 1)]
            for network, e, m in zip(table.networks, y, measured, strict=True)
        ],
        hovertemplate="network of %{customdata[0]} blocks<br>measured %{x:.4~g} ms<br>"
        "estimated %{y:.4~g} ms (%{customdata[1]:+.1f}%)<extra></extra>",
    )
    figure.update_layout(
        xaxis=axis, yaxis={**axis, "title": {"text": "estimated from blocks (ms)"}}
    )
    rank = "" if found.spearman is None else f", Spearman {found.spearman:.3f}"
    where = table.conditions
    return dress(
        figure,
        f"{check.n} networks: mean error {found.mape:.1f}%{rank}",
        f"{where.device_name}, {where.engine}, {where.precision}, batch {where.batch}; "
        f"{found.within_10:.0%} within ±10%.",
    )
