"""All interactive figures, by id, and which of them a study can show (extra ``report``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.findings import Findings
from optuna_pop.tracking.interactive import boundary, decoder, latency, order, progress

with needs_extra("report"):
    import plotly.graph_objects as go


@dataclass(frozen=True)
class InteractiveFigure:
    """A figure of a study.

    Attributes:
        id: Short name, unique.
        title: What it shows.
        caption: How to read it, in plain words.
        draw: Draws it for one of the study's costs.
        each_cost: Whether several costs make several figures of it.
    """

    id: str
    title: str
    caption: str
    draw: Callable[[Findings, int], go.Figure]
    each_cost: bool = True


@dataclass(frozen=True)
class Drawn:
    """A figure that a study can show, or why it cannot.

    Attributes:
        figure: What it is.
        id: Unique among a study's figures.
        title: With the name of the cost where there are several.
        plot: The figure itself; None where the study cannot show it.
        lacking: Why it cannot.
    """

    figure: InteractiveFigure
    id: str
    title: str
    plot: go.Figure | None
    lacking: str | None


FIGURES = (
    InteractiveFigure(
        "boundary",
        "Boundary",
        "Every dot is a trained network. Those on the line are the best trade-offs found: no "
        "other one trained is both faster and more accurate.",
        boundary.boundary,
    ),
    InteractiveFigure(
        "settled",
        "What is settled, and what is still open (the paper's Figure 5)",
        "In the grey area the order rules out that anything exists; in the orange one a network "
        "that was not trained could still lie. The strip counts architectures by cost.",
        boundary.settled,
    ),
    InteractiveFigure(
        "improvement",
        "How the boundary rose",
        "Mean accuracy of the boundary over the range of (log) cost, after each training.",
        progress.improvement,
    ),
    InteractiveFigure(
        "progress",
        "Trained, pruned and open, training by training (after the paper's Figure 8(a))",
        "Every training prunes architectures that cannot lift the boundary, so that nobody need "
        "train them.",
        progress.progress,
        each_cost=False,
    ),
    InteractiveFigure(
        "sequence",
        "The search in the plane (after the paper's Figure 7)",
        "Where the search trained first and last, and the boundary after a quarter, a half and "
        "all of the trainings.",
        progress.sequence,
    ),
    InteractiveFigure(
        "decoders",
        "Speed and accuracy of the decoders (after the paper's Figure 9)",
        "Frames per second are 1000 over the latency in ms of one image.",
        decoder.decoders,
    ),
    InteractiveFigure(
        "estimates",
        "Estimated against measured latency (the paper's Figure 3(a))",
        "Whole networks of the space, measured in one session with the blocks whose latencies are "
        "added up to estimate them.",
        latency.estimates,
    ),
    InteractiveFigure(
        "pairs",
        "What comparable networks differ by (the paper's Figure 3(b))",
        "Each dot is a pair of trained networks, one of them shallower and narrower. The search "
        "takes it that the smaller one is no more accurate: dots below zero contradict that.",
        order.pairs,
    ),
    InteractiveFigure(
        "precedents",
        "Accuracy against the number of precedents (the paper's Figure 8(b))",
        "The more architectures are smaller than a network, the more accurate it should be.",
        order.precedents,
        each_cost=False,
    ),
)


def draw_figures(findings: Findings) -> list[Drawn]:
    """Draw every figure that a study can show; of the others say why it cannot."""
    found = []
    for figure in FIGURES:
        names = findings.cost_names if figure.each_cost else findings.cost_names[:1]
        for cost, name in enumerate(names):
            plot, lacking = None, None
            try:
                plot = figure.draw(findings, cost)
            except InputError as error:
                lacking = str(error)
            own = figure.id if cost == 0 else f"{figure.id}-{cost + 1}"
            title = f"{figure.title}: {name}" if len(names) > 1 else figure.title
            found.append(Drawn(figure, own, title, plot, lacking))
    return found
