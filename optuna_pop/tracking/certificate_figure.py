"""The figure of what a search has settled (POP paper, Figure 5; extra ``figures``).

Notation of ``optuna_pop.order``: f is the boundary of the trained, U what the order lets the unseen
still reach (``optuna_pop.order.certificate``). Between them lies what is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained
from optuna_pop.order import Staircase
from optuna_pop.tracking.colours import BLUE, GREY, INK, MUTED, OPEN, ORANGE, PRUNED, RULED_OUT
from optuna_pop.tracking.labels import FloatArray
from optuna_pop.tracking.points import drawable, points_of
from optuna_pop.tracking.reach import Curves

with needs_extra("figures"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, MaxNLocator
    from matplotlib.transforms import ScaledTranslation

    from optuna_pop.tracking.axes import (
        LEFT,
        WIDTH,
        head,
        line_up,
        name_axes,
        new_figure,
        quiet,
        scale_accuracies,
        scale_costs,
    )

BOUNDARY_GID, UPPER_GID = "boundary", "upper"
OPEN_GID, RULED_OUT_GID, BELOW_GID = "open", "ruled-out", "below"
STRIP_GID = "strip"

_BINS = 60
_OPEN: dict[str, Any] = {
    "facecolor": OPEN,
    "edgecolor": ORANGE,
    "hatch": "///",
    "linewidth": 0.0,
}
_RULED_OUT: dict[str, Any] = {"facecolor": RULED_OUT, "linewidth": 0.0}
_UPPER: dict[str, Any] = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (5, 3))}
_OTHER: dict[str, Any] = {"facecolors": "white", "edgecolors": GREY}
_HELD: dict[str, Any] = {"facecolors": BLUE, "edgecolors": "white"}


def certificate_figure(
    trained: Sequence[Trained],
    upper: Staircase,
    *,
    tolerance: float,
    pruned: FloatArray,
    still_open: FloatArray,
    title: str | None = None,
    accuracy_label: str = "top-1 accuracy (%)",
    cost_label: str = "latency (ms)",
    cost: int = 0,
    size: tuple[int, int] = (1200, 800),
) -> Figure:
    """Draw the boundary, what the order rules out above it, and what is still open between.

    A strip below counts the architectures that are trained, pruned and still open, by cost.

    Args:
        trained: Completed trainings; those without finite values are not drawn.
        upper: U, the accuracy that an unseen architecture of a cost or less could still reach by
            the order. +inf where that is not bounded; the first cost may be -inf.
        tolerance: τ, by how much accuracies may contradict the order, in units of accuracy; inf
            where it is not known yet.
        pruned: Costs of architectures pruned without training, shape (p,).
        still_open: Costs of those neither trained nor pruned, shape (o,). If one of the two
            is a sample, the other should be one of the same rate.
        title: By default how far the unseen could still lift the boundary.
        accuracy_label: Name and unit of the accuracy.
        cost_label: Name and unit of the cost.
        cost: Which of several costs is drawn, from 0; ``upper``, ``pruned`` and ``still_open`` are
            of the same.
        size: Width and height in pixels at 100 dots an inch.

    Returns:
        A figure for ``save_figure``.

    Raises:
        InputError: if there is no training to draw.
    """
    drawn = drawable(trained, cost)
    costs, accuracies = points_of(drawn).T
    pruned, still_open = pruned[np.isfinite(pruned)], still_open[np.isfinite(still_open)]
    figure = new_figure(size)
    main = figure.add_axes((LEFT, 0.318, WIDTH, 0.506))
    strip = figure.add_axes((LEFT, 0.1, WIDTH, 0.145), sharex=main)
    scale_costs(main, np.concatenate([costs, pruned, still_open]), left=0.03, right=0.03)
    bounds = upper.accuracies[np.isfinite(upper.accuracies)]
    scale_accuracies(main, np.concatenate([accuracies, bounds]), below=0.08, above=0.1)
    quiet(main)
    quiet(strip)
    curves = Curves.on(main.get_xlim(), Staircase.of(costs, accuracies), upper)
    _draw(main, drawn, curves)
    _name(main, others=len(boundary_rows(drawn)) < len(drawn))
    _count(strip, costs, pruned, still_open)
    main.tick_params(labelbottom=False)
    name_axes(main, cost_label=None, accuracy_label=accuracy_label)
    name_axes(strip, cost_label=cost_label, accuracy_label="architectures")
    line_up(figure, main, strip)
    unit = " points" if "%" in accuracy_label else ""
    head(figure, title or curves.title(tolerance, unit), curves.under(tolerance, unit))
    return figure


def _draw(axes: Axes, trained: Sequence[Trained], curves: Curves) -> None:
    floor, ceiling = axes.get_ylim()
    edges, right = curves.edges, curves.edges[-1]
    boundary = np.clip(_to_edge(curves.boundary), floor, ceiling)
    # Where U is under f nothing is open: all above f is ruled out.
    upper = np.clip(_to_edge(curves.upper), boundary, ceiling)

    def fill(low: FloatArray | float, high: FloatArray | float, **style: Any) -> None:
        axes.fill_between(edges, low, high, step="post", **style)

    fill(floor, boundary, color=BLUE, alpha=0.06, linewidth=0, gid=BELOW_GID)
    fill(upper, ceiling, gid=RULED_OUT_GID, **_RULED_OUT)
    fill(boundary, upper, gid=OPEN_GID, **_OPEN)
    # Where U is not bounded its line leaves the axes; where nothing is unseen it has none.
    line = np.minimum(_to_edge(curves.upper), ceiling + (ceiling - floor))
    line[np.isneginf(line)] = np.nan
    axes.step(edges, line, where="post", gid=UPPER_GID, zorder=2.5, **_UPPER)

    held = boundary_rows(trained)
    steps, levels = points_of(held).T
    # The last step goes on to the edge: no slower network trained is more accurate.
    axes.plot([steps[-1], right], [levels[-1]] * 2, ":", color=BLUE, linewidth=2, zorder=3)
    axes.step(steps, levels, where="post", color=BLUE, linewidth=2.5, gid=BOUNDARY_GID, zorder=3)
    numbers = {entry.number for entry in held}
    if others := [entry for entry in trained if entry.number not in numbers]:
        x, y = points_of(others).T
        axes.scatter(x, y, s=46, linewidths=1.6, zorder=4, **_OTHER)
    axes.scatter(steps, levels, s=88, linewidths=1.6, zorder=5, **_HELD)


def _to_edge(steps: FloatArray) -> FloatArray:
    """Repeat the last step for a line that ends at the edge, shape (s,) to (s + 1,)."""
    return np.append(steps, steps[-1])


def _name(axes: Axes, *, others: bool) -> None:
    """Write the legend of the main axes."""
    held = Line2D([], [], color=BLUE, linewidth=2.5, marker="o", markersize=9)
    held.set(markeredgecolor="white")
    other = Line2D([], [], linestyle="", marker="o", markersize=7, markeredgewidth=1.6)
    other.set(markerfacecolor="white", markeredgecolor=GREY)
    upper = Line2D([], [], **_UPPER)
    _legend(
        axes,
        {
            "on the boundary": held,
            **({"trained": other} if others else {}),
            "still open: up to here by the order": (Patch(**_OPEN), upper),
            "ruled out by the order": Patch(**_RULED_OUT),
        },
    )


def _count(axes: Axes, trained: FloatArray, pruned: FloatArray, still_open: FloatArray) -> None:
    """Draw a stacked histogram over the (logarithm of) costs."""
    costs = np.concatenate([trained, pruned, still_open])
    low, high = float(costs.min()), float(costs.max())
    if low == high:
        low, high = axes.get_xlim()
    spaced = np.geomspace if axes.get_xscale() == "log" else np.linspace
    edges = spaced(low, high, _BINS + 1)
    edges[0], edges[-1] = low, high  # geomspace may round the ends
    base = np.zeros(_BINS)
    handles: dict[str, Any] = {}
    # The trained are few: an edge makes them visible among thousands.
    for name, values, style, edge in (
        ("trained", trained, {"facecolor": BLUE}, {"edgecolor": BLUE, "linewidth": 1.5}),
        ("still open", still_open, _OPEN, {}),
        ("pruned without training", pruned, {"facecolor": PRUNED}, {}),
    ):
        counts = np.histogram(values, edges)[0]
        top = np.where(counts > 0, base + counts, np.nan)
        bars = axes.stairs(top, edges, baseline=base, fill=True, gid=f"{STRIP_GID} {name}")
        bars.set(**{"linewidth": 0.0, **style, **edge}, zorder=2 if edge else 1)
        if len(values):
            handles[name] = Patch(**style)
        base = base + counts
    axes.set_ylim(0, 1.05 * float(base.max()))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_count_text))
    _legend(axes, handles)


def _count_text(count: float, _: int) -> str:
    return f"{count / 1000:g}k" if count >= 1000 else f"{count:g}"


def _legend(axes: Axes, handles: dict[str, Any]) -> None:
    """Write a legend in one line above the axes, where nothing is drawn."""
    above = ScaledTranslation(0.0, 0.09, axes.figure.dpi_scale_trans)  # inches
    legend = axes.legend(
        list(handles.values()),
        list(handles),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=axes.transAxes + above,
        ncols=len(handles),
        fontsize=12,
        frameon=False,
        borderpad=0.0,
        borderaxespad=0.0,
        columnspacing=2.0,
    )
    for text in legend.get_texts():
        text.set_color(INK)
