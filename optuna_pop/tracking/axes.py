"""What all figures of a search share: colours, scales, heading (extra ``figures``)."""

from __future__ import annotations

import math
from typing import Any

from optuna_pop.errors import needs_extra
from optuna_pop.tracking.colours import FRAME, GRID, INK, MUTED
from optuna_pop.tracking.labels import FloatArray
from optuna_pop.tracking.points import is_wide, log_ticks

with needs_extra("figures"):
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

LEFT, WIDTH = 0.075, 0.9  # of the axes and the heading, as shares of the figure

_DPI = 100
_SMALLEST = 8.0  # points, of a heading


def new_figure(size: tuple[int, int]) -> Figure:
    """Make an empty figure with an Agg canvas, of a size in pixels at 100 dots an inch."""
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def scale_costs(axes: Axes, costs: FloatArray, *, left: float, right: float) -> None:
    """Set scale, limits and ticks of the cost axis: logarithmic where the costs span much.

    Args:
        axes: Whose x axis it is.
        costs: All that is drawn, finite, shape (m,).
        left: Room on the left, as a share of the (logarithm's) range.
        right: Room on the right.
    """
    low, high = float(costs.min()), float(costs.max())
    if is_wide(low, high):
        axes.set_xscale("log")
        span = math.log(high / low)
        axes.set_xlim(low * math.exp(-left * span), high * math.exp(right * span))
        axes.xaxis.set_major_locator(FixedLocator(log_ticks(*axes.get_xlim())))
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
    axes.grid(visible=True, color=GRID, linewidth=1)
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
