"""The boundary figure: what it shows equals the data, and nothing covers anything."""

from __future__ import annotations

import io
import itertools
import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from optuna_pop.errors import InputError
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained
from optuna_pop.order import staircase
from optuna_pop.spaces.presets import load_space
from optuna_pop.tracking.annotations import LABEL_GID
from optuna_pop.tracking.figures import BOUNDARY_GID, boundary_figure, save_figure


def some_trained(count: int, seed: int = 0) -> list[Trained]:
    """Networks of the demo space whose accuracy grows with their size, with noise."""
    space, rng = load_space("demo"), np.random.default_rng(seed)
    rows = rng.choice(len(space), count, replace=False).tolist()
    sizes = space.vectors()[rows].sum(axis=1)
    accuracy = 80 - 33 * np.exp(-sizes / 7) + rng.normal(0, 0.8, count)
    costs = 0.03 * sizes * (1 + rng.normal(0, 0.05, count))
    return [
        Trained(number, str(space.at(row)), float(a), (float(c),))
        for number, (row, a, c) in enumerate(zip(rows, accuracy, costs, strict=True))
    ]


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def labels_of(figure: Figure) -> list[Text]:
    return [text for text in axes_of(figure).texts if text.get_gid() == LABEL_GID]


def boxes_of(figure: Figure) -> list[tuple[float, float, float, float]]:
    figure.draw_without_rendering()
    found = [text.get_window_extent() for text in labels_of(figure)]
    return [(box.x0, box.y0, box.x1, box.y1) for box in found]


@pytest.mark.parametrize("seed", range(4))
def test_staircase_equals_the_data(seed: int) -> None:
    trained = some_trained(20, seed)
    axes = axes_of(boundary_figure(trained))
    (line,) = [line for line in axes.lines if line.get_gid() == BOUNDARY_GID]
    rows = staircase(
        np.array([entry.costs for entry in trained]), np.array([e.accuracy for e in trained])
    )
    expected = [(trained[row].costs[0], trained[row].accuracy) for row in rows]
    assert np.array(line.get_xydata()).tolist() == [list(pair) for pair in expected]
    assert line.get_drawstyle() == "steps-post"
    drawn = np.vstack([np.asarray(dots.get_offsets()) for dots in axes.collections[1:]])
    assert sorted(map(tuple, drawn.tolist())) == sorted((e.costs[0], e.accuracy) for e in trained)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 2, 8, 20])
def test_every_boundary_network_is_labelled_once_and_no_label_covers_anything(
    count: int, seed: int
) -> None:
    trained = some_trained(count, seed)
    figure = boundary_figure(trained)
    held = boundary_rows(trained)
    assert [text.get_text() for text in labels_of(figure)] == [e.architecture for e in held]
    check_layout(figure, trained)


def check_layout(figure: Figure, trained: Sequence[Trained]) -> None:
    axes = axes_of(figure)
    boxes = boxes_of(figure)
    frame = axes.get_window_extent()
    points = axes.transData.transform([(e.costs[0], e.accuracy) for e in trained])
    for left, bottom, right, top in boxes:
        assert frame.x0 <= left < right <= frame.x1
        assert frame.y0 <= bottom < top <= frame.y1
        x, y = points.T
        assert not ((x > left) & (x < right) & (y > bottom) & (y < top)).any()
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize(("count", "seed"), [(60, 1), (60, 2), (200, 3)])
def test_in_a_crowd_each_still_has_its_words_or_its_number(count: int, seed: int) -> None:
    trained = some_trained(count, seed)
    figure = boundary_figure(trained)
    held, labels = boundary_rows(trained), labels_of(figure)
    for entry, label in zip(held, labels, strict=True):
        assert label.get_text() in {entry.architecture, f"#{entry.number}"}
    check_layout(figure, trained)


def test_a_crowd_falls_back_to_trial_numbers() -> None:
    trained = [
        Trained(n, f"network number {n} of many", 50 + n / 4, (1 + n / 50,)) for n in range(60)
    ]
    figure = boundary_figure(trained)
    texts = [text.get_text() for text in labels_of(figure)]
    assert len(texts) == len(set(texts))
    numbers = [text for text in texts if text.startswith("#")]
    assert numbers
    assert any("#n: trial n." in text.get_text() for text in figure.texts)
    check_layout(figure, trained)


def test_words_of_the_figure() -> None:
    trained = some_trained(20)
    figure = boundary_figure(trained, pruned=[0.2, 0.3, math.inf])
    axes = axes_of(figure)
    assert axes.get_xlabel() == "latency (ms)"
    assert axes.get_ylabel() == "top-1 accuracy (%)"
    held = len(boundary_rows(trained))
    title, under = (text.get_text() for text in figure.texts)
    assert title == f"{held} networks hold the speed/accuracy boundary, of 20 trained"
    assert "Pruned without training: 2 (" in under
    legend = axes.get_legend()
    assert legend is not None
    entries = [text.get_text() for text in legend.get_texts()]
    assert entries == ["trained", "on the boundary", "pruned without training"]
    named = boundary_figure(trained, title="T", accuracy_label="mIoU", cost_label="energy (mJ)")
    assert named.texts[0].get_text() == "T"
    assert axes_of(named).get_xlabel() == "energy (mJ)"
    assert axes_of(named).get_ylabel() == "mIoU"


def test_long_words_are_cut() -> None:
    (label,) = labels_of(boundary_figure([Trained(0, "width=16, " * 9, 0.5, (1.0,))]))
    assert label.get_text() == "width=16, width=16, width=16, wid…"


def test_wide_range_of_costs_is_logarithmic() -> None:
    trained = [Trained(n, str(n), 50.0 + n, (0.1 * 2.0**n,)) for n in range(8)]
    axes = axes_of(boundary_figure(trained))
    assert axes.get_xscale() == "log"
    assert len(axes.get_xticks()) >= 5
    assert axes_of(boundary_figure(trained[:3])).get_xscale() == "linear"


@pytest.mark.parametrize("costs", [(0.0,), (-1.0,), (2.0, 9.0)])
def test_unusual_costs_are_drawn(costs: tuple[float, ...]) -> None:
    figure = boundary_figure([Trained(0, "a", 0.9, costs), Trained(1, "b", math.inf, costs)])
    assert [text.get_text() for text in labels_of(figure)] == ["a"]
    assert figure.texts[0].get_text() == (
        "1 network holds the speed/accuracy boundary, of 1 trained"
    )


def test_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="no completed training"):
        boundary_figure([])
    with pytest.raises(InputError, match="no completed training"):
        boundary_figure([Trained(0, "a", math.nan, (1.0,))])


def test_png_and_svg(tmp_path: Path) -> None:
    figure = boundary_figure(some_trained(20))
    png, svg = tmp_path / "new" / "boundary.png", tmp_path / "boundary.SVG"
    save_figure(figure, png)
    pixels = imread(io.BytesIO(png.read_bytes()))
    assert pixels.shape[:2] == (800, 1200)
    ink = (pixels[:, :, :3] < 0.95).any(axis=2)
    assert 0.01 < ink.mean() < 0.9
    blue = np.abs(pixels[:, :, :3] - np.array([0, 0x72, 0xB2]) / 255).max(axis=2) < 0.02
    assert blue.sum() > 1000  # the staircase and its dots
    save_figure(figure, svg)
    assert ET.parse(svg).getroot().tag.endswith("svg")
    with pytest.raises(InputError, match=r"must end in \.png or \.svg"):
        save_figure(figure, tmp_path / "boundary.gif")
