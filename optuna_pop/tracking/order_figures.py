"""How trained networks follow the order (POP paper, Figures 3(b), 8(b); extra ``figures``)."""

from __future__ import annotations

from scipy.stats import spearmanr

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.order.boundary import FloatArray
from optuna_pop.order.relation import Vectors, comparable_pairs
from optuna_pop.tracking.colours import BLUE, GREY, INK, MUTED, VERMILLION

with needs_extra("figures"):
    from matplotlib.figure import Figure

    from optuna_pop.tracking.axes import (
        head,
        ink_legend,
        new_figure,
        quiet,
    )

_BOX = (0.1, 0.09, 0.865, 0.775)


def pairs_figure(
    vectors: Vectors,
    accuracy: FloatArray,
    latency: FloatArray,
    *,
    accuracy_label: str = "accuracy (%)",
    cost_label: str = "latency (ms)",
    size: tuple[int, int] = (1000, 800),
) -> Figure:
    """Draw what each comparable pair x ≺ y differs by (Figure 3(b)).

    Args:
        vectors: Order vectors of trained networks, shape (m, d).
        accuracy: Shape (m,).
        latency: Shape (m,).
        accuracy_label: Name and unit of the accuracy.
        cost_label: Name and unit of the latency.
        size: Width and height in pixels at 100 dots an inch.

    Returns:
        A figure for ``figures.save_figure``; pairs in which the smaller network is the more
        accurate one are marked and counted.

    Raises:
        InputError: if no two networks are comparable.
    """
    x, y = comparable_pairs(vectors)
    if not len(x):
        raise InputError("no two trained networks are comparable yet: train more")
    gain, slower = accuracy[y] - accuracy[x], latency[y] - latency[x]
    against = gain < 0
    figure = new_figure(size)
    axes = figure.add_axes(_BOX)
    quiet(axes)
    axes.axhline(0, color=GREY, linewidth=1.5)
    for which, colour, words in (
        (~against, BLUE, "follows the order"),
        (against, VERMILLION, "contradicts it"),
    ):
        axes.scatter(
            slower[which], gain[which], s=28, color=colour, alpha=0.6, linewidths=0, label=words
        )
    axes.set_xlabel(f"Δ {cost_label}, larger minus smaller network", fontsize=13, color=INK)
    axes.set_ylabel(f"Δ {accuracy_label}", fontsize=13, color=INK)
    axes.tick_params(labelsize=12, labelcolor=MUTED)
    ink_legend(axes.legend(loc="lower right", fontsize=12, frameon=False))
    worst = f", at most by {-gain.min():.2f} points" if against.any() else ""
    head(
        figure,
        f"{int(against.sum())} of {len(x)} comparable pairs contradict the order",
        f"of {len(accuracy)} trained networks{worst}; {int((slower < 0).sum())} are slower "
        "though smaller",
    )
    return figure


def precedents_figure(
    precedents: FloatArray,
    accuracy: FloatArray,
    *,
    accuracy_label: str = "accuracy (%)",
    size: tuple[int, int] = (1000, 800),
) -> Figure:
    """Draw accuracy against the number of architectures that are smaller (Figure 8(b)).

    Args:
        precedents: Architectures of the search that precede each trained one, shape (m,).
        accuracy: Shape (m,).
        accuracy_label: Name and unit of the accuracy.
        size: Width and height in pixels at 100 dots an inch.

    Returns:
        A figure for ``figures.save_figure``, with Spearman's rank correlation.

    Raises:
        InputError: if there are fewer than two networks.
    """
    if len(accuracy) < 2:
        raise InputError("there are fewer than two trained networks: train more")
    figure = new_figure(size)
    axes = figure.add_axes(_BOX)
    quiet(axes)
    axes.scatter(
        1 + precedents, accuracy, s=60, color=BLUE, edgecolors="white", linewidths=1.2, zorder=4
    )
    axes.set_xscale("log")
    axes.set_xlabel("1 + number of precedents", fontsize=13, color=INK)
    axes.set_ylabel(accuracy_label, fontsize=13, color=INK)
    axes.tick_params(labelsize=12, labelcolor=MUTED)
    r = float(spearmanr(precedents, accuracy).statistic)
    head(
        figure,
        "Accuracy against the number of precedents",
        f"{len(accuracy)} trained networks; rank correlation {r:.2f}",
    )
    return figure
