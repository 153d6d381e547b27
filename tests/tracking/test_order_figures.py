"""Figures 3(b) and 8(b): what they show is counted here once more."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_pop import OrderedSpace, POPSampler
from optuna_pop.errors import InputError
from optuna_pop.tracking.order_figures import pairs_figure, precedents_figure

SPACE = OrderedSpace({"width": [1, 2, 3, 4], "depth": [1, 2, 3]})
VECTORS = np.array([[0, 0], [1, 0], [1, 2], [3, 0], [3, 2]])
ACCURACY = np.array([50.0, 60.0, 58.0, 62.0, 70.0])
LATENCY = np.array([1.0, 2.0, 3.0, 2.5, 4.0])


def test_pairs_are_counted_and_drawn() -> None:
    figure = pairs_figure(VECTORS, ACCURACY, LATENCY)
    (axes,) = figure.axes
    follows, against = (np.asarray(c.get_offsets()) for c in axes.collections)
    # All pairs but [1, 2] and [3, 0]; [1, 0] precedes [1, 2] and is more accurate.
    assert (len(follows), len(against)) == (8, 1)
    np.testing.assert_allclose(against, [[1.0, -2.0]])
    assert "1 of 9 comparable pairs" in " ".join(text.get_text() for text in figure.texts)


def test_precedents_are_those_of_the_whole_range() -> None:
    sampler = POPSampler(SPACE, cost=lambda a: a["width"] * a["depth"])
    found = sampler.precedents(VECTORS)
    levels = np.array([[w, d] for w in range(4) for d in range(3)])
    wanted = [sum(bool((m <= v).all() and (m != v).any()) for m in levels) for v in VECTORS]
    np.testing.assert_allclose(found, wanted)
    figure = precedents_figure(found, ACCURACY)
    (axes,) = figure.axes
    drawn = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(drawn, np.column_stack([1 + found, ACCURACY]))
    assert "rank correlation 0.70" in " ".join(text.get_text() for text in figure.texts)


def test_too_few_networks() -> None:
    with pytest.raises(InputError, match="no two trained networks are comparable"):
        pairs_figure(VECTORS[2:4], ACCURACY[2:4], LATENCY[2:4])
    with pytest.raises(InputError, match="fewer than two"):
        precedents_figure(np.array([1.0]), np.array([50.0]))
