"""Figures of what a study has found, in the names and units of its objectives (extra ``figures``).

Each takes a ``Findings``; ``cost`` is which of several costs is drawn, from 0.
"""

from __future__ import annotations

from optuna_pop.errors import needs_extra
from optuna_pop.findings import Findings
from optuna_pop.tracking.needs import accuracy_label, certified, ordered
from optuna_pop.tracking.reach import settled_title

with needs_extra("figures"):
    from matplotlib.figure import Figure

    from optuna_pop.tracking import figures, order_figures
    from optuna_pop.tracking.certificate_figure import certificate_figure


def boundary(findings: Findings, cost: int = 0) -> Figure:
    """Draw all trained networks, the boundary, and what was pruned unseen where that is known.

    Raises:
        InputError: if there is nothing to draw.
    """
    proof = findings.certificate
    return figures.boundary_figure(
        findings.trained,
        cost=cost,
        cost_label=findings.cost_names[cost],
        pruned=None if proof is None else proof.unseen_costs[proof.unseen_pruned, cost],
        accuracy_label=accuracy_label(findings),
    )


def certificate(findings: Findings, cost: int = 0) -> Figure:
    """Draw what a search has settled and what is still open (the paper's Figure 5).

    Raises:
        StudyError: if the study does not hold its space and costs.
        InputError: if there is nothing to draw.
    """
    proof, _ = certified(findings)
    return certificate_figure(
        findings.trained,
        proof.upper[cost],
        tolerance=proof.tolerance,
        pruned=proof.unseen_costs[proof.unseen_pruned, cost],
        still_open=proof.unseen_costs[~proof.unseen_pruned, cost],
        title=settled_title(proof),
        cost=cost,
        cost_label=findings.cost_names[cost],
    )


def pairs(findings: Findings, cost: int = 0) -> Figure:
    """Draw what comparable pairs differ by (the paper's Figure 3(b)).

    Raises:
        StudyError: if the study does not hold its space.
        InputError: if too few networks are trained.
    """
    vectors, _ = ordered(findings)
    return order_figures.pairs_figure(
        vectors,
        findings.accuracies,
        findings.costs[:, cost],
        accuracy_label=findings.accuracy_name,
        cost_label=findings.cost_names[cost],
    )


def precedents(findings: Findings) -> Figure:
    """Draw accuracy against the number of precedents (the paper's Figure 8(b)).

    Raises:
        StudyError: if the study does not hold its space.
        InputError: if too few networks are trained.
    """
    vectors, sampler = ordered(findings)
    return order_figures.precedents_figure(
        sampler.precedents(vectors), findings.accuracies, accuracy_label=findings.accuracy_name
    )
