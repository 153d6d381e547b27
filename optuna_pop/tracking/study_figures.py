"""Figures of what a study has found, in the names and units of its objectives (extra ``figures``).

Each takes a ``Findings``; ``cost`` is which of several costs is drawn, from 0.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from optuna_pop.errors import StudyError, needs_extra
from optuna_pop.findings import Findings
from optuna_pop.order.certificate import Certificate
from optuna_pop.order.relation import Vectors
from optuna_pop.sampler import POPSampler

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
    proof = findings.certificate
    if proof is None:
        raise StudyError(_lacks(findings, "a certificate needs"))
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
    vectors, _ = _ordered(findings)
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
    vectors, sampler = _ordered(findings)
    return order_figures.precedents_figure(
        sampler.precedents(vectors), findings.accuracies, accuracy_label=findings.accuracy_name
    )


def accuracy_label(findings: Findings) -> str:
    """Name and unit of the accuracy, as an axis shows it."""
    name = findings.accuracy_name
    return f"top-1 {name}" if name == "accuracy (%)" else name


def settled_title(proof: Certificate) -> str | None:
    """Say how much is settled; None where there is no tolerance to say it with."""
    if not isfinite(proof.tolerance):
        return None
    return (
        f"{100 * proof.share_settled:.0f}% of {proof.architectures:,} architectures cannot "
        f"beat this boundary by more than {proof.tolerance:.2g} points"
    )


def _ordered(findings: Findings) -> tuple[Vectors, POPSampler[Any]]:
    vectors, sampler = findings.vectors, findings.sampler
    if vectors is None or sampler is None:
        raise StudyError(_lacks(findings, "order is judged by"))
    return vectors, sampler


def _lacks(findings: Findings, for_what: str) -> str:
    return (
        f"study {findings.study.study_name!r} does not hold the space and latency table that "
        f"{for_what}: it was not made by `optuna-pop search`"
    )
