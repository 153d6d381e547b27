"""Where to put the labels of points in a figure so that nothing covers anything.

All coordinates are pixels. A box is (left, bottom, right, top), a segment (x0, y0, x1, y1); arrays
of them have shape (..., 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
Box: TypeAlias = tuple[float, float, float, float]

_PAD = 3.0  # room kept free around a label
_MARKER = 6.0  # radius of a marker
# Up and to the left of a boundary point nothing can lie, so that is tried first.
_ANGLES = (115, 135, 155, 95, 75, 170, 55, 35, 15, 0, -20, -45, -70, -100, -135, 185)
_DISTANCES = (12, 24, 38, 54, 72, 92, 114, 138, 164, 192, 222, 254)
_PER_ANGLE = 2.0  # price, in pixels of distance, of each step along _ANGLES
_LABEL_ON_LINE, _LEADER_ON_LINE = 120.0, 25.0  # prices, in pixels of distance
_ROUNDS = 3


def place_labels(
    points: FloatArray,
    sizes: Sequence[tuple[float, float]],
    *,
    inside: Box,
    avoid: FloatArray,
    lines: FloatArray,
) -> list[Box | None]:
    """Choose a box for the label of each point: near, and clear of all else.

    Args:
        points: What the labels belong to, shape (labels, 2).
        sizes: Width and height of each label.
        inside: No label leaves this box.
        avoid: Centres of markers that no label may cover, shape (m, 2), the points' own included.
        lines: Segments that labels and leaders cross only if they must, shape (s, 4).

    Returns:
        A box for each label; None where there was no room.
    """
    places = [_Places(p, s, inside, avoid, lines) for p, s in zip(points, sizes, strict=True)]
    boxes, leaders = np.zeros((len(points), 4)), np.zeros((len(points), 4))  # those chosen
    chosen: list[int | None] = [None] * len(points)
    for _ in range(_ROUNDS):  # a later label may have left a better place for an earlier one
        before = list(chosen)
        for i, own in enumerate(places):
            others = [j for j, at in enumerate(chosen) if at is not None and j != i]
            at = chosen[i] = own.best(boxes[others], leaders[others])
            if at is not None:
                boxes[i], leaders[i] = own.boxes[at], own.leaders[at]
        if chosen == before:
            break
    return [None if at is None else _box(boxes[i]) for i, at in enumerate(chosen)]


def leader(point: FloatArray, box: Box) -> tuple[float, float]:
    """Return the place on a label's box that is nearest to its point."""
    left, bottom, right, top = box
    return min(max(float(point[0]), left), right), min(max(float(point[1]), bottom), top)


def crosses(boxes: FloatArray, segments: FloatArray) -> BoolArray:
    """Whether segments meet boxes (Liang and Barsky's clipping), broadcast over the last axis."""
    start, delta = segments[..., :2], segments[..., 2:] - segments[..., :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (boxes[..., :2] - start) / delta, (boxes[..., 2:] - start) / delta
    # Along an axis on which a segment does not move, it is within the box always or never.
    within = (boxes[..., :2] <= start) & (start <= boxes[..., 2:])
    enter = np.where(delta == 0, np.where(within, -np.inf, np.inf), np.minimum(low, high))
    leave = np.where(delta == 0, np.where(within, np.inf, -np.inf), np.maximum(low, high))
    entered = np.maximum(enter.max(axis=-1), 0.0)
    return np.asarray(entered <= np.minimum(leave.min(axis=-1), 1.0))


def overlap(a: FloatArray, b: FloatArray) -> BoolArray:
    """Whether boxes share some area, broadcast over the last axis."""
    return np.asarray((a[..., :2] < b[..., 2:]).all(-1) & (b[..., :2] < a[..., 2:]).all(-1))


class _Places:
    """Candidate boxes of one label, with a price each: how far away and over which lines.

    Attributes:
        boxes: Shape (candidates, 4), cheapest first; those that cover markers are left out.
        leaders: From the point to each box, shape (candidates, 4).
    """

    def __init__(
        self,
        point: FloatArray,
        size: tuple[float, float],
        inside: Box,
        avoid: FloatArray,
        lines: FloatArray,
    ) -> None:
        boxes, prices = _candidates(point, size)
        roomy = _grown(boxes, _PAD)
        fit = (roomy[:, :2] >= inside[:2]).all(-1) & (roomy[:, 2:] <= inside[2:]).all(-1)
        near = _grown(roomy, _MARKER)[:, None]
        fit &= ~((avoid > near[..., :2]) & (avoid < near[..., 2:])).all(-1).any(-1)
        boxes, prices = boxes[fit], prices[fit]
        leaders = _leaders(point, boxes)
        # A leader starts on the boundary itself, so it is looked at a little further on.
        later = leaders.copy()
        later[:, :2] += 0.2 * (leaders[:, 2:] - leaders[:, :2])
        ends = np.sort(later.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        prices += _LABEL_ON_LINE * crosses(boxes[:, None], lines).sum(-1)
        prices += _LEADER_ON_LINE * crosses(ends[:, None], lines).sum(-1)
        cheapest = np.argsort(prices, kind="stable")
        self.boxes, self.leaders = boxes[cheapest], leaders[cheapest]

    def best(self, boxes: FloatArray, leaders: FloatArray) -> int | None:
        """Return the cheapest candidate clear of other labels and their leaders, if any."""
        roomy = _grown(self.boxes, _PAD)[:, None]
        taken = overlap(roomy, boxes) | crosses(roomy, leaders)  # (candidates, others)
        taken |= crosses(boxes, self.leaders[:, None])
        free = ~taken.any(axis=1)
        return int(free.argmax()) if free.any() else None


def _candidates(point: FloatArray, size: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    distance, rank = np.meshgrid(
        np.array(_DISTANCES, float), np.arange(len(_ANGLES)), indexing="ij"
    )
    angle = np.radians(np.array(_ANGLES, float))[rank]
    away = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(-1, 2)
    # The side of the label that faces the point stands at the distance.
    corner = point + distance.reshape(-1, 1) * away - np.array(size) * (1 - away) / 2
    return np.hstack([corner, corner + size]), (distance + _PER_ANGLE * rank).ravel()


def _leaders(point: FloatArray, boxes: FloatArray) -> FloatArray:
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    return np.hstack([np.broadcast_to(point, ends.shape), ends])


def _grown(boxes: FloatArray, by: float) -> FloatArray:
    return np.asarray(boxes + np.array([-by, -by, by, by]))


def _box(row: FloatArray) -> Box:
    left, bottom, right, top = row.tolist()
    return left, bottom, right, top
