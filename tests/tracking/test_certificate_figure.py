"""The certificate figure: its regions equal f and U, its strip the counts, nothing overlaps."""

from __future__ import annotations

import io
import itertools
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import StepPatch

from optuna_pop.errors import InputError
from optuna_pop.ledger import Trained
from optuna_pop.order import EnumeratedRegion, PartialOrderSearch, Staircase, staircase
from optuna_pop.order.certificate import certify
from optuna_pop.order.search import uniform
from optuna_pop.spaces.presets import load_space
from optuna_pop.tracking.certificate_figure import (
    BOUNDARY_GID,
    OPEN_GID,
    RULED_OUT_GID,
    STRIP_GID,
    UPPER_GID,
    certificate_figure,
)
from optuna_pop.tracking.figures import save_figure
from optuna_pop.tracking.labels import FloatArray

NONE = np.array([])


def some(*points: tuple[float, float]) -> list[Trained]:
    return [Trained(n, f"network {n}", a, (c,)) for n, (c, a) in enumerate(points)]


def steps(*points: tuple[float, float]) -> Staircase:
    return Staircase(
        np.array([c for c, _ in points], float), np.array([a for _, a in points], float)
    )


def draw(trained: list[Trained], upper: Staircase, **options: Any) -> Figure:
    given: dict[str, Any] = {"tolerance": 0.3, "pruned": NONE, "still_open": NONE}
    return certificate_figure(trained, upper, **given | options)


def searched(trainings: int, tolerance: float | None) -> tuple[list[Trained], Any, Any, Any]:
    """A search of the demo space: the trained, the certificate, costs pruned and open."""
    space, rng = load_space("demo"), np.random.default_rng(1)
    vectors = space.vectors()
    sizes = vectors.sum(axis=1)
    costs = 0.03 * sizes * (1 + rng.normal(0, 0.05, len(sizes)))
    accuracy = 80 - 33 * np.exp(-sizes / 7) + rng.normal(0, 0.1, len(sizes))
    search = PartialOrderSearch(EnumeratedRegion(vectors, costs[:, None]), tolerance)
    rows: list[int] = []
    for _ in range(trainings):
        row = search.choose(rows, rng, uniform)
        assert row is not None
        rows.append(row)
        search.add(row, vectors[row], costs[row], float(accuracy[row]))
    certificate = certify(search)
    unseen, pruned = certificate.unseen_costs[:, 0], certificate.unseen_pruned
    trained = [
        Trained(n, str(space.at(row)), float(accuracy[row]), (float(costs[row]),))
        for n, row in enumerate(rows)
    ]
    return trained, certificate, unseen[pruned], unseen[~pruned]


def drawn_search(trainings: int, tolerance: float | None = 0.1) -> Figure:
    trained, certificate, pruned, still_open = searched(trainings, tolerance)
    upper = certificate.upper[0]
    return draw(
        trained,
        upper,
        tolerance=certificate.tolerance,
        pruned=pruned,
        still_open=still_open,
        title=f"{certificate.share_settled:.0%} of {certificate.architectures:,} settled",
    )


def parts_of(figure: Figure) -> tuple[Axes, Axes]:
    main, strip = figure.axes
    return main, strip


def region(figure: Figure, gid: str, at: FloatArray, accuracy: FloatArray) -> FloatArray:
    """Whether points lie in a region, shape (points,)."""
    (found,) = [each for each in figure.axes[0].collections if each.get_gid() == gid]
    points = np.column_stack([at, accuracy])
    inside = np.zeros(len(points), dtype=bool)
    for path in found.get_paths():
        inside |= path.contains_points(points)
    return inside


def counts(figure: Figure) -> dict[str, float]:
    """Architectures that each part of the strip stands for."""
    found = {}
    for patch in figure.axes[1].patches:
        if isinstance(patch, StepPatch) and str(patch.get_gid()).startswith(STRIP_GID):
            top, _, base = patch.get_data()
            found[str(patch.get_gid()).removeprefix(f"{STRIP_GID} ")] = float(np.nansum(top - base))
    return found


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def check_layout(figure: Figure) -> None:
    """Nothing leaves the figure; heading, legends and axes do not overlap."""
    main, strip = parts_of(figure)
    figure.draw_without_rendering()
    title, under = figure.texts
    boxes = [
        part.get_window_extent()
        for part in (title, under, main.get_legend(), main, strip.get_legend(), strip)
        if part is not None
    ]
    for box in [
        *boxes,
        main.yaxis.label.get_window_extent(),
        strip.yaxis.label.get_window_extent(),
    ]:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    for above, below in itertools.pairwise(boxes):
        assert above.y0 > below.y1
    for axes in (main, strip):
        label = axes.yaxis.label.get_window_extent()
        low, high = axes.get_ylim()
        for at, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
            assert not low <= at <= high or label.x1 < text.get_window_extent().x0


@pytest.mark.parametrize(
    ("trainings", "tolerance"), [(2, None), (8, 0.1), (40, 0.0), (40, 0.1), (40, None)]
)
def test_regions_equal_boundary_and_bound(trainings: int, tolerance: float | None) -> None:
    trained, certificate, _, _ = searched(trainings, tolerance)
    figure = drawn_search(trainings, tolerance)
    main, _ = parts_of(figure)
    rng = np.random.default_rng(0)
    at, accuracy = rng.uniform(*main.get_xlim(), 2000), rng.uniform(*main.get_ylim(), 2000)
    boundary = Staircase.of(
        np.array([entry.costs[0] for entry in trained]),
        np.array([entry.accuracy for entry in trained]),
    )(at)
    upper = certificate.upper[0](at)
    is_open = (accuracy > boundary) & (accuracy < upper)
    assert (region(figure, OPEN_GID, at, accuracy) == is_open).all()
    ruled_out = (accuracy > boundary) & (accuracy > upper)
    assert (region(figure, RULED_OUT_GID, at, accuracy) == ruled_out).all()
    check_layout(figure)


def test_lines_and_points_equal_the_data() -> None:
    trained, certificate, _, _ = searched(40, 0.1)
    main, _ = parts_of(drawn_search(40))
    (line,) = [line for line in main.lines if line.get_gid() == BOUNDARY_GID]
    rows = staircase(
        np.array([entry.costs for entry in trained]), np.array([e.accuracy for e in trained])
    )
    held = [[trained[row].costs[0], trained[row].accuracy] for row in rows]
    assert np.array(line.get_xydata()).tolist() == held
    assert line.get_drawstyle() == "steps-post"
    (upper,) = [line for line in main.lines if line.get_gid() == UPPER_GID]
    at, levels = np.array(upper.get_xydata()).T
    shown = np.isfinite(levels) & (levels < main.get_ylim()[1])
    expected = certificate.upper[0](at[:-1])
    assert levels[:-1][shown[:-1]].tolist() == expected[shown[:-1]].tolist()
    assert set(certificate.upper[0].costs) <= set(at)
    assert np.isinf(expected[~shown[:-1]]).all()
    dots = [each for each in main.collections if each.get_gid() is None]
    drawn = np.vstack([np.asarray(each.get_offsets()) for each in dots])
    assert sorted(map(tuple, drawn.tolist())) == sorted((e.costs[0], e.accuracy) for e in trained)


def test_strip_counts_every_architecture() -> None:
    _, certificate, pruned, still_open = searched(40, 0.1)
    assert len(pruned)
    figure = drawn_search(40)
    assert counts(figure) == {
        "trained": 40,
        "still open": len(still_open),
        "pruned without training": len(pruned),
    }
    assert sum(counts(figure).values()) == certificate.architectures
    main, strip = parts_of(figure)
    assert main.get_xlim() == strip.get_xlim()
    assert legend_of(strip) == ["trained", "still open", "pruned without training"]
    assert legend_of(main) == [
        "on the boundary",
        "trained",
        "still open: up to here by the order",
        "ruled out by the order",
    ]


def test_words_of_the_figure() -> None:
    figure = draw(
        some((1, 70), (4, 75)),
        steps((1, 71), (3, 76)),
        title="T",
        accuracy_label="mIoU",
        cost_label="energy (mJ)",
    )
    main, strip = parts_of(figure)
    title, under = (text.get_text() for text in figure.texts)
    assert title == "T"
    assert under == "Up and to the left is better. The order is taken to hold within 0.3."
    assert main.get_ylabel() == "mIoU"
    assert strip.get_ylabel() == "architectures"
    assert strip.get_xlabel() == "energy (mJ)"
    assert not main.get_xlabel()


@pytest.mark.parametrize(
    ("upper", "tolerance", "title"),
    [
        (
            steps((1, 71), (3, 76)),
            0.3,
            "Unseen architectures could lift this boundary by up to 6 points",
        ),
        (steps((1, 71)), 0.3, "Unseen architectures could lift this boundary by up to 1 point"),
        (
            steps((1, 70), (2, 71.2345), (3, math.inf)),
            0.3,
            "Unseen architectures could lift this boundary by up to 1.2 points where bounded",
        ),
        (steps((2, 70.3)), 0.3, "Nothing unseen can beat this boundary by more than 0.3 points"),
        (
            steps((-math.inf, 60)),
            0.3,
            "Nothing unseen can beat this boundary by more than 0.3 points from its fastest "
            "network on",
        ),
        (
            steps((1, 60), (3, math.inf)),
            0.3,
            "Nothing unseen can beat this boundary by more than 0.3 points where bounded",
        ),
        (steps(), 0.0, "Nothing unseen can beat this boundary"),
        (
            steps((-math.inf, math.inf)),
            math.inf,
            "The order does not bound yet what unseen architectures could reach",
        ),
    ],
)
def test_title_says_what_is_settled(upper: Staircase, tolerance: float, title: str) -> None:
    figure = draw(some((1, 70), (4, 75)), upper, tolerance=tolerance)
    assert figure.texts[0].get_text() == title
    check_layout(figure)


def test_unbounded_is_open_to_the_top_and_said() -> None:
    figure = draw(some((1, 70), (4, 75)), steps((-math.inf, math.inf)), tolerance=math.inf)
    main, _ = parts_of(figure)
    left, right = main.get_xlim()
    ceiling = main.get_ylim()[1]
    at = np.linspace(left, right, 50)[1:-1]
    assert region(figure, OPEN_GID, at, np.full(48, ceiling - 1e-6)).all()
    assert not region(figure, RULED_OUT_GID, at, np.full(48, ceiling - 1e-6)).any()
    under = figure.texts[1].get_text()
    assert "Open to the top" in under
    assert "not known yet" in under
    bounded = draw(some((1, 70), (4, 75)), steps((1, 76)))
    assert "Open to the top" not in bounded.texts[1].get_text()


def test_where_the_bound_is_under_the_boundary_nothing_is_open() -> None:
    figure = draw(some((1, 70), (4, 75), (3, 65)), steps((1, 60), (3, 65)))
    main, _ = parts_of(figure)
    rng = np.random.default_rng(0)
    at, accuracy = rng.uniform(*main.get_xlim(), 500), rng.uniform(*main.get_ylim(), 500)
    assert not region(figure, OPEN_GID, at, accuracy).any()
    check_layout(figure)


@pytest.mark.parametrize(
    "upper", [steps(), steps((-math.inf, math.inf)), steps((2, 71)), steps((1, 60), (9, 70))]
)
def test_one_training_and_nothing_else(upper: Staircase) -> None:
    figure = draw(some((2, 70)), upper)
    assert counts(figure) == {"trained": 1, "still open": 0, "pruned without training": 0}
    assert legend_of(figure.axes[1]) == ["trained"]
    assert "trained" not in legend_of(figure.axes[0])
    check_layout(figure)


def test_ties_and_many(tmp_path: Path) -> None:
    figure = draw(
        some((2, 70), (2, 70), (2, 70)),
        steps((2, 70)),
        pruned=np.full(100_000, 2.0),
        still_open=np.array([2.0, math.inf, math.nan]),
        tolerance=0.0,
    )
    assert counts(figure) == {"trained": 3, "still open": 1, "pruned without training": 100_000}
    check_layout(figure)
    save_figure(figure, tmp_path / "ties.svg")
    assert (tmp_path / "ties.svg").stat().st_size < 300_000


def test_scale_of_costs_takes_in_all_architectures() -> None:
    trained, upper = some((2, 70), (4, 75)), steps((1, 71))
    assert parts_of(draw(trained, upper))[1].get_xscale() == "linear"
    wide = draw(trained, upper, pruned=np.array([0.5, 7.0]), still_open=np.array([20.0]))
    main, strip = parts_of(wide)
    assert main.get_xscale() == strip.get_xscale() == "log"
    left, right = main.get_xlim()
    assert left < 0.5
    assert right > 20
    assert counts(wide) == {"trained": 2, "still open": 1, "pruned without training": 2}
    assert len(main.get_xticks()) >= 5
    check_layout(draw(some((0, 1), (-1, 0.5)), upper))


def test_several_costs_and_unusable_trainings() -> None:
    trained = [Trained(0, "a", 0.9, (2.0, 9.0)), Trained(1, "b", math.inf, (1.0,))]
    assert counts(draw(trained, steps((1, 1))))["trained"] == 1
    with pytest.raises(InputError, match="no completed training"):
        draw([], steps())


def test_a_long_title_shrinks_to_the_figure() -> None:
    title = "91% of 73,324 architectures cannot beat this boundary by more than 0.4 points"
    figure = draw(some((2, 70)), steps(), title=f"{title} of top-1 accuracy")
    check_layout(figure)
    assert figure.texts[0].get_fontsize() < 18
    assert draw(some((2, 70)), steps(), title="T").texts[0].get_fontsize() == 18


def test_png_and_svg(tmp_path: Path) -> None:
    figure = drawn_search(40)
    png, svg = tmp_path / "certificate.png", tmp_path / "certificate.svg"
    save_figure(figure, png)
    pixels = imread(io.BytesIO(png.read_bytes()))
    assert pixels.shape[:2] == (800, 1200)
    for colour in ((0, 0x72, 0xB2), (0xE6, 0x9F, 0x00), (0xEC, 0xEF, 0xF2)):
        near = np.abs(pixels[:, :, :3] - np.array(colour) / 255).max(axis=2) < 0.02
        assert near.sum() > 1000  # boundary, hatches of the open region, what is ruled out
    save_figure(figure, svg)
    ids = {element.get("id") for element in ET.parse(svg).getroot().iter()}
    assert {BOUNDARY_GID, UPPER_GID, OPEN_GID, RULED_OUT_GID} <= ids
