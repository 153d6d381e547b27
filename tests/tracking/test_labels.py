"""Geometry of label placement, against brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_pop.tracking.labels import crosses, leader, overlap, place_labels

number = st.integers(-4, 4).map(float)
pair = st.tuples(number, number)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    (x, y), (width, height) = draw(pair), draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return x, y, x + width, y + height


@given(boxes(), pair, pair)
def test_crosses(
    box: tuple[float, float, float, float], a: tuple[float, float], b: tuple[float, float]
) -> None:
    # A segment between grid points meets a box with grid corners in its end, or on an edge line.
    t = {0.0, 1.0}
    for axis in (0, 1):
        if a[axis] != b[axis]:
            t |= {(edge - a[axis]) / (b[axis] - a[axis]) for edge in (box[axis], box[axis + 2])}
    steps = np.array([s for s in t if 0 <= s <= 1])[:, None]
    points = np.array(a) + steps * (np.array(b) - np.array(a))
    inside = (points >= np.array(box[:2]) - 1e-9) & (points <= np.array(box[2:]) + 1e-9)
    grown = np.array(box) + np.array([-1e-9, -1e-9, 1e-9, 1e-9])
    assert bool(crosses(grown, np.array([*a, *b]))) == bool(inside.all(axis=1).any())


@given(boxes(), boxes())
def test_overlap(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> None:
    def cells(box: tuple[float, float, float, float]) -> set[tuple[int, int]]:
        left, bottom, right, top = map(int, box)
        return {(x, y) for x in range(left, right) for y in range(bottom, top)}

    assert bool(overlap(np.array(a), np.array(b))) == bool(cells(a) & cells(b))


def test_no_room_gives_none() -> None:
    points = np.array([[50.0, 50.0], [52.0, 50.0]])
    nothing = np.zeros((0, 4))
    frame = (0.0, 0.0, 100.0, 100.0)
    wide = place_labels(points, [(200, 10), (20, 10)], inside=frame, avoid=points, lines=nothing)
    assert wide[0] is None
    assert wide[1] is not None
    near = leader(points[1], wide[1])
    assert np.hypot(*(points[1] - near)) < 40
