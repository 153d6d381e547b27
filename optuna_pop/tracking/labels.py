"""Where to put the labels of points in a figure so that nothing covers anything.

All coordinates are pixels. Boxes are (left, bottom, right, top).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Box: TypeAlias = tuple[float, float, float, float]

_PAD = 3.0  # room kept free around a label
# Up and to the left of a boundary point nothing can lie, so that is tried first.
_ANGLES = (115, 135, 155, 95, 75, 170, 55, 35, 15, 0, -20, -45, -70, -100, -135, 185)
_DISTANCES = (12, 24, 38, 54, 72, 92, 114, 138, 164, 192, 222, 254)
_ROUNDS = 3


def place_labels(
    points: FloatArray,
    sizes: Sequence[tuple[float, float]],
    *,
    inside: Box,
    avoid: FloatArray,
    lines: FloatArray,
) -> list[Box | None]:
    """Choose a box for the label of each point.

    Args:
        points: What the labels belong to, shape (labels, 2).
        sizes: Width and height of each label.
        inside: No label leaves this box.
        avoid: Centres of markers that no label may cover, shape (m, 2), the points' own included.
        lines: Line segments that labels and leaders should not cross, shape (s, 4), as x0, y0,
            x1, y1.

    Returns:
        A box for each label; None where there was no room.
    """
    chosen: list[Box | None] = [None] * len(points)
    for _ in range(_ROUNDS):  # later labels may make a better place worth while for earlier ones
        before = list(chosen)
        for i, point in enumerate(points):
            others = [(b, points[j]) for j, b in enumerate(chosen) if b is not None and j != i]
            best, least = None, math.inf
            for box, distance in _candidates(point, sizes[i]):
                if distance < least and _fits(box, point, inside, avoid, others):
                    price = distance + _crossings(box, point, lines)
                    if price < least:
                        best, least = box, price
            chosen[i] = best
        if chosen == before:
            break
    return chosen


def leader(point: FloatArray, box: Box) -> tuple[float, float]:
    """Return the place on a label's box that is nearest to its point."""
    left, bottom, right, top = box
    return min(max(float(point[0]), left), right), min(max(float(point[1]), bottom), top)


def crosses(box: Box, segment: Sequence[float]) -> bool:
    """Whether a line segment meets a box (Liang and Barsky's clipping)."""
    x0, y0, x1, y1 = segment
    start, end = 0.0, 1.0
    for delta, low, high in (
        (x1 - x0, box[0] - x0, box[2] - x0),
        (y1 - y0, box[1] - y0, box[3] - y0),
    ):
        if delta == 0:
            if low > 0 or high < 0:
                return False
            continue
        near, far = sorted((low / delta, high / delta))
        start, end = max(start, near), min(end, far)
    return start <= end


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes share some area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _candidates(point: FloatArray, size: tuple[float, float]) -> Iterator[tuple[Box, float]]:
    """Yield boxes around a point, each with its price: how far away and how unusual."""
    width, height = size
    x, y = float(point[0]), float(point[1])
    for distance in _DISTANCES:
        for rank, angle in enumerate(_ANGLES):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            nearest_x, nearest_y = x + distance * dx, y + distance * dy
            # The label's side that faces the point stands at the distance.
            left = nearest_x - width * (1 - dx) / 2
            bottom = nearest_y - height * (1 - dy) / 2
            yield (left, bottom, left + width, bottom + height), distance + 2.0 * rank


def _fits(
    box: Box,
    point: FloatArray,
    inside: Box,
    avoid: FloatArray,
    others: Sequence[tuple[Box, FloatArray]],
) -> bool:
    padded = (box[0] - _PAD, box[1] - _PAD, box[2] + _PAD, box[3] + _PAD)
    if padded[0] < inside[0] or padded[1] < inside[1]:
        return False
    if padded[2] > inside[2] or padded[3] > inside[3]:
        return False
    x, y = avoid.T
    reach = 6.0  # radius of a marker
    covered = (
        (x > padded[0] - reach)
        & (x < padded[2] + reach)
        & (y > padded[1] - reach)
        & (y < padded[3] + reach)
    )
    if covered.any():
        return False
    own = (*map(float, point), *leader(point, box))
    return not any(
        overlap(padded, other)
        or crosses(other, own)
        or crosses(padded, (*map(float, at), *leader(at, other)))
        for other, at in others
    )


def _crossings(box: Box, point: FloatArray, lines: FloatArray) -> float:
    """Price of what a label or its leader covers of lines."""
    price = 0.0
    end = leader(point, box)
    toward = (end[0] - point[0], end[1] - point[1])
    # The leader starts on the line itself; it is looked at a little further on.
    start = (point[0] + 0.2 * toward[0], point[1] + 0.2 * toward[1])
    thin: Box = (
        min(start[0], end[0]),
        min(start[1], end[1]),
        max(start[0], end[0]),
        max(start[1], end[1]),
    )
    for segment in lines:
        price += 120.0 * crosses(box, segment) + 25.0 * crosses(thin, segment)
    return price
