"""Figures of a search, drawn without pyplot's global state (extra ``figures``)."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.files import write_whole
from optuna_pop.ledger import Trained
from optuna_pop.tracking.labels import FloatArray
from optuna_pop.tracking.tables import boundary_rows

with needs_extra("figures"):
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    from optuna_pop.tracking.annotations import label_points

BOUNDARY_GID = "boundary"

# Okabe and Ito's colours, told apart with any colour vision; grey recedes.
_BLUE, _VERMILLION, _INK, _GREY, _MUTED = "#0072B2", "#D55E00", "#1f2328", "#8c959f", "#57606a"
_DPI = 100
_LOG_FROM = 8.0  # slowest / fastest from which the cost axis is logarithmic


def boundary_figure(
    trained: Sequence[Trained],
    *,
    title: str | None = None,
    accuracy_label: str = "top-1 accuracy (%)",
    cost_label: str = "latency (ms)",
    cost: int = 0,
    pruned: Iterable[float] | None = None,
    size: tuple[int, int] = (1200, 800),
) -> Figure:
    """Draw all trained networks and their speed/accuracy boundary.

    Args:
        trained: Completed trainings; those without finite values are not drawn.
        title: By default how many networks hold the boundary.
        accuracy_label: Name and unit of the accuracy.
        cost_label: Name and unit of the cost.
        cost: Which of several costs is drawn, from 0.
        pruned: That cost of architectures that were given up without training.
        size: Width and height in pixels at 100 dots an inch.

    Returns:
        A figure for ``save_figure``. Each network on the boundary is labelled with its
        architecture, or with its trial number where there is no room.

    Raises:
        InputError: if there is nothing to draw.
    """
    # With several costs the boundary of one alone is what a plane can show.
    drawn = [
        Trained(entry.number, entry.architecture, entry.accuracy, entry.costs[cost : cost + 1])
        for entry in trained
        if math.isfinite(entry.accuracy) and all(map(math.isfinite, entry.costs)) and entry.costs
    ]
    if not drawn:
        raise InputError(
            "there is no boundary to draw: the study has no completed training with an accuracy "
            "and a cost; let the search finish at least one"
        )
    held = boundary_rows(drawn)
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.075, 0.1, 0.9, 0.775))
    given_up = [float(c) for c in (() if pruned is None else pruned) if math.isfinite(c)]
    _prepare(axes, drawn, given_up)
    _draw(axes, drawn, held, given_up)
    axes.set_xlabel(cost_label, fontsize=13, color=_INK, labelpad=8)
    axes.set_ylabel(accuracy_label, fontsize=13, color=_INK, labelpad=8)
    numbered = _label(axes, drawn, held)
    _head(figure, title or _title(len(held), len(drawn)), _under(given_up, numbered=numbered))
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, as the path ends.

    Raises:
        InputError: if the path ends otherwise.
        StorageError: if the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in {".png", ".svg"}:
        raise InputError(f"figure {path} cannot be written: its name must end in .png or .svg")
    content = io.BytesIO()
    metadata = {"Date": None} if kind == ".svg" else {"Software": "optuna-pop"}
    figure.savefig(content, format=kind[1:], dpi=figure.dpi, metadata=metadata)
    write_whole(path, content.getvalue())


def _title(held: int, drawn: int) -> str:
    networks = "network holds" if held == 1 else "networks hold"
    return f"{held} {networks} the speed/accuracy boundary, of {drawn} trained"


def _head(figure: Figure, title: str, under: str) -> None:
    options: dict[str, Any] = {"ha": "left", "va": "center"}
    figure.text(0.075, 0.948, title, fontsize=18, weight="bold", color=_INK, **options)
    figure.text(0.075, 0.902, under, fontsize=12, color=_MUTED, **options)


def _under(pruned: Sequence[float], *, numbered: bool) -> str:
    under = "Up and to the left is better."
    if len(pruned):
        under += f" Pruned without training: {len(pruned):,} (ticks below)."
    if numbered:
        under += " #n: trial n."
    return under


def _prepare(axes: Axes, drawn: Sequence[Trained], pruned: Sequence[float]) -> None:
    """Set scales, limits with room for labels, ticks and grid."""
    costs = np.array([entry.costs[0] for entry in drawn] + [*pruned])
    accuracy = np.array([entry.accuracy for entry in drawn])
    low, high = float(costs.min()), float(costs.max())
    if low > 0 and high / low >= _LOG_FROM:
        axes.set_xscale("log")
        span = math.log(high / low)
        axes.set_xlim(low * math.exp(-0.14 * span), high * math.exp(0.05 * span))
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(*axes.get_xlim())))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        span = (high - low) or abs(high) or 1.0
        axes.set_xlim(low - 0.14 * span, high + 0.05 * span)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
    bottom, top = float(accuracy.min()), float(accuracy.max())
    span = (top - bottom) or 0.1 * abs(top) or 1.0
    axes.set_ylim(bottom - 0.08 * span, top + 0.13 * span)
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(visible=True, color="#eaeef2", linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, labelsize=11, length=0, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color("#d0d7de")


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


def _draw(
    axes: Axes,
    drawn: Sequence[Trained],
    held: Sequence[Trained],
    pruned: Sequence[float],
) -> None:
    numbers = {entry.number for entry in held}
    others = [entry for entry in drawn if entry.number not in numbers]
    steps, levels = _xy(held).T
    right = axes.get_xlim()[1]
    # The last step goes on to the edge: no slower network trained is more accurate.
    edge_x, edge_y = np.append(steps, right), np.append(levels, levels[-1])
    floor = axes.get_ylim()[0]
    axes.fill_between(edge_x, edge_y, floor, step="post", color=_BLUE, alpha=0.06, linewidth=0)
    axes.step(edge_x, edge_y, where="post", color=_BLUE, alpha=0.45, linewidth=2, linestyle=":")
    axes.step(steps, levels, where="post", color=_BLUE, linewidth=2.5, gid=BOUNDARY_GID, zorder=3)
    if others:
        x, y = _xy(others).T
        axes.scatter(
            x,
            y,
            s=46,
            color="white",
            edgecolors=_GREY,
            linewidths=1.6,
            zorder=4,
            label="trained",
        )
    axes.scatter(
        steps,
        levels,
        s=88,
        color=_BLUE,
        edgecolors="white",
        linewidths=1.6,
        zorder=5,
        label="on the boundary",
    )
    if pruned:
        axes.plot(
            list(pruned),
            [0.012] * len(pruned),
            "|",
            color=_VERMILLION,
            alpha=0.5,
            markersize=11,
            transform=axes.get_xaxis_transform(),
            label="pruned without training",
        )
    legend = axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.04 if pruned else 0.0),
        borderaxespad=0.7,
        fontsize=12,
        frameon=True,
        borderpad=0.8,
    )
    legend.get_frame().set(facecolor="white", edgecolor="#d0d7de", alpha=0.95)
    for text in legend.get_texts():
        text.set_color(_INK)


def _label(axes: Axes, drawn: Sequence[Trained], held: Sequence[Trained]) -> bool:
    """Label the networks on the boundary; return whether some show only their trial number."""
    to_pixels = axes.transData.transform
    points, right = to_pixels(_xy(held)), axes.get_window_extent().x1
    corners = [points[0]]
    for point in points[1:]:
        corners += [np.array([point[0], corners[-1][1]]), point]
    corners.append(np.array([right, points[-1][1]]))
    return label_points(
        axes,
        _xy(held),
        [entry.architecture for entry in held],
        [f"#{entry.number}" for entry in held],
        markers=_xy(drawn),
        lines=np.hstack([corners[:-1], corners[1:]]),
        color=_INK,
        leader_color=_GREY,
    )


def _xy(entries: Sequence[Trained]) -> FloatArray:
    return np.array([(entry.costs[0], entry.accuracy) for entry in entries])
