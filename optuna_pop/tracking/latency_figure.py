"""Estimated against measured latency (POP paper, Figure 3(a); extra ``figures``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.profiling.records import Errors
from optuna_pop.tracking.colours import BLUE, GREY, INK, MUTED

with needs_extra("figures"):
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from optuna_pop.tracking.axes import (
        head,
        ink_legend,
        new_figure,
        quiet,
    )

_BAND = 0.10
_LOG_FROM = 4.0  # slowest / fastest from which both axes are logarithmic


def estimate_figure(
    estimated: Sequence[float],
    measured: Sequence[float],
    found: Errors,
    *,
    device: str,
    size: tuple[int, int] = (1000, 900),
) -> Figure:
    """Draw the estimated latency of networks against the measured one.

    Args:
        estimated: Milliseconds by the table, shape (m,), m >= 1.
        measured: Milliseconds measured, shape (m,).
        found: How they compare.
        device: On what and with what, in words.
        size: Width and height in pixels at 100 dots an inch.

    Returns:
        A figure for ``figures.save_figure``, with the line of equality and a band of ±10%.

    Raises:
        InputError: if there is nothing to draw.
    """
    x, y = np.asarray(measured, dtype=np.float64), np.asarray(estimated, dtype=np.float64)
    if not len(x):
        raise InputError("there is no network to draw: measure at least one")
    figure = new_figure(size)
    axes = figure.add_axes((0.1, 0.09, 0.865, 0.785))
    quiet(axes)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    if high / low > _LOG_FROM:
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = np.array([low / 1.2, high * 1.2])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        margin = 0.08 * (high - low) or 0.1 * high
        ends = np.array([max(0.0, low - margin), high + margin])
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    line = np.geomspace(max(ends[0], 1e-9), ends[1], 50)
    axes.fill_between(
        line,
        line * (1 - _BAND),
        line * (1 + _BAND),
        color=GREY,
        alpha=0.18,
        linewidth=0,
        label=f"within {_BAND:.0%}",
    )
    axes.plot(line, line, color=GREY, linewidth=1.5, label="estimated = measured")
    axes.scatter(
        x, y, s=60, color=BLUE, edgecolors="white", linewidths=1.2, zorder=4, label="whole network"
    )
    axes.set_xlabel("measured latency (ms)", fontsize=13, color=INK)
    axes.set_ylabel("estimated from blocks (ms)", fontsize=13, color=INK)
    axes.tick_params(labelsize=12, labelcolor=MUTED)
    ink_legend(axes.legend(loc="upper left", fontsize=12, frameon=True, borderpad=0.8))
    head(figure, _title(found, len(x)), device)
    return figure


def _title(found: Errors, count: int) -> str:
    rank = "" if found.spearman is None else f", Spearman {found.spearman:.3f}"
    return (
        f"{count} networks: mean error {found.mape:.1f}%{rank}, {found.within_10:.0%} within ±10%"
    )
