"""What all figures of a search share: colours, scales, heading (extra ``figures``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.ledger import Trained
from optuna_pop.tracking.labels import FloatArray

with needs_extra("figures"):
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

# Okabe and Ito's colours, told apart with any colour vision; grey recedes.
BLUE, ORANGE, VERMILLION = "#0072B2", "#E69F00", "#D55E00"
INK, MUTED, GREY, FRAME = "#1f2328", "#57606a", "#8c959f", "#d0d7de"
LEFT, WIDTH = 0.075, 0.9  # of the axes and the heading, as shares of the figure

_DPI = 100
_SMALLEST = 8.0  # points, of a heading
_LOG_FROM = 8.0  # slowest / fastest from which the cost axis is logarithmic


def new_figure(size: tuple[int, int]) -> Figure:
    """Make an empty figure with an Agg canvas, of a size in pixels at 100 dots an inch."""
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def drawable(trained: Sequence[Trained], cost: int = 0) -> list[Trained]:
    """Return the trainings with finite values, with one of their costs alone.

    Raises:
        InputError: if there are none.
    """
    # With several costs the boundary of one alone is what a plane can show.
    drawn = [
        Trained(entry.number, entry.architecture, entry.accuracy, entry.costs[cost : cost + 1])
        for entry in trained
        if math.isfinite(entry.accuracy) and entry.costs and all(map(math.isfinite, entry.costs))
    ]
    if not drawn:
        raise InputError(
            "there is no boundary to draw: the study has no completed training with an accuracy "
            "and a cost; let the search finish at least one"
        )
    return drawn


def points_of(entries: Sequence[Trained]) -> FloatArray:
    """First costs and accuracies, shape (m, 2)."""
    return np.array([(entry.costs[0], entry.accuracy) for entry in entries])


def scale_costs(axes: Axes, costs: FloatArray, *, left: float, right: float) -> None:
    """Set scale, limits and ticks of the cost axis: logarithmic where the costs span much.

    Args:
        axes: Whose x axis it is.
        costs: All that is drawn, finite, shape (m,).
        left: Room on the left, as a share of the (logarithm's) range.
        right: Room on the right.
    """
    low, high = float(costs.min()), float(costs.max())
    if low > 0 and high / low >= _LOG_FROM:
        axes.set_xscale("log")
        span = math.log(high / low)
        axes.set_xlim(low * math.exp(-left * span), high * math.exp(right * span))
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(*axes.get_xlim())))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        span = (high - low) or abs(high) or 1.0
        axes.set_xlim(low - left * span, high + right * span)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))


def scale_accuracies(axes: Axes, accuracies: FloatArray, *, below: float, above: float) -> None:
    """Set limits and ticks of the accuracy axis.

    Args:
        axes: Whose y axis it is.
        accuracies: All that is drawn, finite, shape (m,).
        below: Room under them, as a share of their range.
        above: Room over them.
    """
    bottom, top = float(accuracies.min()), float(accuracies.max())
    span = (top - bottom) or 0.1 * abs(top) or 1.0
    axes.set_ylim(bottom - below * span, top + above * span)
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))


def quiet(axes: Axes) -> None:
    """Make grid, ticks and frame recede."""
    axes.grid(visible=True, color="#eaeef2", linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=11, length=0, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(FRAME)


def name_axes(axes: Axes, *, cost_label: str | None, accuracy_label: str | None) -> None:
    """Write names and units beside the axes."""
    if cost_label is not None:
        axes.set_xlabel(cost_label, fontsize=13, color=INK, labelpad=8)
    if accuracy_label is not None:
        axes.set_ylabel(accuracy_label, fontsize=13, color=INK, labelpad=8)


def line_up(figure: Figure, above: Axes, below: Axes) -> None:
    """Put the names of two y axes, of the same left edge and width, under each other."""
    figure.draw_without_rendering()
    edge = min(axes.yaxis.label.get_window_extent().x1 for axes in (above, below))
    for axes in (above, below):
        axes.yaxis.set_label_coords(axes.transAxes.inverted().transform((edge, 0))[0], 0.5)


def ink_legend(legend: Legend) -> None:
    """Give a legend the figure's colours."""
    legend.get_frame().set(facecolor="white", edgecolor=FRAME, alpha=0.95)
    for text in legend.get_texts():
        text.set_color(INK)


def head(figure: Figure, title: str, under: str) -> None:
    """Write title and subtitle, each on one line, smaller where they would not fit."""
    lines: tuple[tuple[str, dict[str, Any]], ...] = (
        (title, {"y": 0.948, "fontsize": 18, "weight": "bold", "color": INK}),
        (under, {"y": 0.902, "fontsize": 12, "color": MUTED}),
    )
    for text, style in lines:
        line = figure.text(x=LEFT, s=text, ha="left", va="center", **style)
        fits = WIDTH * figure.bbox.width / max(line.get_window_extent().width, 1.0)
        if fits < 1:
            line.set_fontsize(max(style["fontsize"] * fits, _SMALLEST))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return at least 5 round numbers between two positive ones, where that can be."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 5:
            break
    return ticks
