"""Figures of a search, drawn without pyplot's global state (extra ``figures``)."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.files import write_whole
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained
from optuna_pop.tracking.colours import BLUE, GREY, INK, VERMILLION
from optuna_pop.tracking.points import drawable, points_of

with needs_extra("figures"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from optuna_pop.tracking.annotations import label_points
    from optuna_pop.tracking.axes import (
        LEFT,
        WIDTH,
        head,
        ink_legend,
        name_axes,
        new_figure,
        quiet,
        scale_accuracies,
        scale_costs,
    )

BOUNDARY_GID = "boundary"


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
    drawn = drawable(trained, cost)
    held = boundary_rows(drawn)
    figure = new_figure(size)
    axes = figure.add_axes((LEFT, 0.1, WIDTH, 0.775))
    given_up = [float(c) for c in (() if pruned is None else pruned) if math.isfinite(c)]
    costs, accuracies = points_of(drawn).T
    # On the left and above there is room for labels.
    scale_costs(axes, np.append(costs, given_up), left=0.14, right=0.05)
    scale_accuracies(axes, accuracies, below=0.08, above=0.13)
    quiet(axes)
    _draw(axes, drawn, held, given_up)
    name_axes(axes, cost_label=cost_label, accuracy_label=accuracy_label)
    numbered = _label(axes, drawn, held)
    head(figure, title or _title(len(held), len(drawn)), _under(given_up, numbered=numbered))
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


def _under(pruned: Sequence[float], *, numbered: bool) -> str:
    under = "Up and to the left is better."
    if len(pruned):
        under += f" Pruned without training: {len(pruned):,} (ticks below)."
    if numbered:
        under += " #n: trial n."
    return under


def _draw(
    axes: Axes,
    drawn: Sequence[Trained],
    held: Sequence[Trained],
    pruned: Sequence[float],
) -> None:
    numbers = {entry.number for entry in held}
    others = [entry for entry in drawn if entry.number not in numbers]
    steps, levels = points_of(held).T
    right = axes.get_xlim()[1]
    # The last step goes on to the edge: no slower network trained is more accurate.
    edge_x, edge_y = np.append(steps, right), np.append(levels, levels[-1])
    floor = axes.get_ylim()[0]
    axes.fill_between(edge_x, edge_y, floor, step="post", color=BLUE, alpha=0.06, linewidth=0)
    axes.step(edge_x, edge_y, where="post", color=BLUE, alpha=0.45, linewidth=2, linestyle=":")
    axes.step(steps, levels, where="post", color=BLUE, linewidth=2.5, gid=BOUNDARY_GID, zorder=3)
    if others:
        x, y = points_of(others).T
        axes.scatter(
            x,
            y,
            s=46,
            color="white",
            edgecolors=GREY,
            linewidths=1.6,
            zorder=4,
            label="trained",
        )
    axes.scatter(
        steps,
        levels,
        s=88,
        color=BLUE,
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
            color=VERMILLION,
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
    ink_legend(legend)


def _label(axes: Axes, drawn: Sequence[Trained], held: Sequence[Trained]) -> bool:
    """Label the networks on the boundary; return whether some show only their trial number."""
    to_pixels = axes.transData.transform
    points, right = to_pixels(points_of(held)), axes.get_window_extent().x1
    corners = [points[0]]
    for point in points[1:]:
        corners += [np.array([point[0], corners[-1][1]]), point]
    corners.append(np.array([right, points[-1][1]]))
    return label_points(
        axes,
        points_of(held),
        [entry.architecture for entry in held],
        [f"#{entry.number}" for entry in held],
        markers=points_of(drawn),
        lines=np.hstack([corners[:-1], corners[1:]]),
        color=INK,
        leader_color=GREY,
    )
