"""Labels of points, drawn where they cover nothing (extra ``figures``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.tracking.labels import Box, FloatArray, leader, place_labels

with needs_extra("figures"):
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

LABEL_GID = "label"

_LONGEST = 34  # characters
_NEAR = 16.0  # pixels up to which a label needs no leader to its point


def label_points(
    axes: Axes,
    points: FloatArray,
    words: Sequence[str],
    numbers: Sequence[str],
    *,
    markers: FloatArray,
    lines: FloatArray,
    color: str,
    leader_color: str,
) -> bool:
    """Label points of a figure whose limits and legend are final.

    Args:
        axes: Of a figure with an Agg canvas.
        points: In the units of the axes, shape (labels, 2).
        words: A label for each; cut if long.
        numbers: A short label for each, used where there is no room for words.
        markers: Everything drawn as a marker, in the units of the axes, shape (m, 2).
        lines: Lines to keep clear of if possible, in pixels, shape (s, 4), as x0, y0, x1, y1.
        color: Of the labels.
        leader_color: Of the lines from distant labels to their points.

    Returns:
        Whether a label shows its number instead of its words.
    """
    canvas = cast("FigureCanvasAgg", axes.figure.canvas)
    canvas.figure.draw_without_rendering()
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    frame = axes.get_window_extent()
    pixels = axes.transData.transform(points)
    avoid = [axes.transData.transform(markers)]
    if legend := axes.get_legend():
        avoid.append(_cover(legend.get_window_extent()))
    style: dict[str, Any] = {"fontsize": 11, "color": color, "gid": LABEL_GID, "zorder": 6}

    def size(text: str) -> tuple[float, float]:
        probe = axes.text(0, 0, text, **style)
        box = probe.get_window_extent(renderer)
        probe.remove()
        return box.width, box.height

    def place(texts: Sequence[str]) -> list[Box | None]:
        return place_labels(
            pixels,
            [size(text) for text in texts],
            inside=(frame.x0, frame.y0, frame.x1, frame.y1),
            avoid=np.vstack(avoid),
            lines=lines,
        )

    texts = [_short(text) for text in words]
    boxes = place(texts)
    numbered = None in boxes
    if numbered:  # first only where there is no room, then all of them
        texts = [t if box else n for t, box, n in zip(texts, boxes, numbers, strict=True)]
        boxes = place(texts)
        if None in boxes:
            texts = list(numbers)
            boxes = place(texts)
    to_data = axes.transData.inverted().transform
    for point, text, box in zip(pixels, texts, boxes, strict=True):
        if box is None:
            continue
        near = leader(point, box)
        if math.dist(near, point) > _NEAR:
            (x0, y0), (x1, y1) = to_data([point, near])
            axes.plot([x0, x1], [y0, y1], color=leader_color, linewidth=0.9, zorder=2)
        x, y = to_data(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
        axes.text(x, y, text, ha="center", va="center", **style)
    return numbered


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1].rstrip(" ,|") + "…"


def _cover(box: Any) -> FloatArray:
    """Cover a box with points that labels avoid."""
    x, y = np.meshgrid(np.linspace(box.x0, box.x1, 20), np.linspace(box.y0, box.y1, 10))
    return np.column_stack([x.ravel(), y.ravel()])
