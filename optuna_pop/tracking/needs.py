"""What a figure needs of a study, or the error that says why the study cannot show it."""

from __future__ import annotations

from typing import Any

from optuna_pop.errors import StudyError
from optuna_pop.findings import Findings
from optuna_pop.order.certificate import Certificate
from optuna_pop.order.relation import Vectors
from optuna_pop.sampler import POPSampler


def certified(findings: Findings) -> tuple[Certificate, POPSampler[Any]]:
    """Return a study's certificate and the sampler that searched it.

    Raises:
        StudyError: if the study does not hold its space and costs.
    """
    if findings.certificate is None or findings.sampler is None:
        raise StudyError(_lacks(findings, "a certificate needs"))
    return findings.certificate, findings.sampler


def ordered(findings: Findings) -> tuple[Vectors, POPSampler[Any]]:
    """Return the order vectors of a study's trained networks, and the sampler.

    Raises:
        StudyError: if the study does not hold its space.
    """
    vectors, sampler = findings.vectors, findings.sampler
    if vectors is None or sampler is None:
        raise StudyError(_lacks(findings, "order is judged by"))
    return vectors, sampler


def accuracy_label(findings: Findings) -> str:
    """Name and unit of the accuracy, as an axis shows it."""
    name = findings.accuracy_name
    return f"top-1 {name}" if name == "accuracy (%)" else name


def _lacks(findings: Findings, for_what: str) -> str:
    return (
        f"study {findings.study.study_name!r} does not hold the space and latency table that "
        f"{for_what}: it was not made by `optuna-pop search`"
    )
