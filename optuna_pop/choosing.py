"""The paper's two questions, asked of a study: the best accuracy at a latency, and the reverse."""

from __future__ import annotations

from optuna.study import Study

from optuna_pop.errors import MissingExtraError
from optuna_pop.findings import Choice, Findings


def best_under(study: Study, ms: float, *others: float | None) -> Choice:
    """Choose the most accurate network of a study within a budget of latency.

    Args:
        study: Any with the directions maximize, minimize, ...
        ms: Limit of its first cost, in that cost's unit.
        *others: Limits of its further costs; None where it has none.

    Returns:
        The network, and the accuracy that one not trained yet could still have within the budget.

    Raises:
        InputError: if a limit is not positive or there are more than costs.
        StudyError: if nothing trained is within the budget, or the study has other directions.
    """
    return _findings(study).best_under(ms, *others)


def fastest_above(study: Study, accuracy: float, *, cost: int = 0) -> Choice:
    """Choose the network of least latency that is at least so accurate.

    Args:
        study: Any with the directions maximize, minimize, ...
        accuracy: In the unit of the study's first objective.
        cost: Which of several costs counts, from 0.

    Returns:
        The network, and the least cost at which one not trained yet could still be so accurate.

    Raises:
        InputError: if there is no such cost.
        StudyError: if nothing trained is so accurate, or the study has other directions.
    """
    return _findings(study).fastest_above(accuracy, cost=cost)


def _findings(study: Study) -> Findings:
    try:
        from optuna_pop.experiment.identity import findings_of
    except MissingExtraError:  # then no study here carries a latency table
        return Findings.of(study)
    return findings_of(study)
