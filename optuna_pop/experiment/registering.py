"""Which networks of a study are registered, and what is known of them once they are trained."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_pop.errors import ArchitectureError, InputError, StudyError
from optuna_pop.experiment.assembly import data_of
from optuna_pop.findings import Findings
from optuna_pop.ledger import Trained
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking.model_registry import (
    FASTEST,
    KNEE,
    MOST_ACCURATE,
    budget_alias,
    check_alias,
)
from optuna_pop.tracking.network_facts import Cost, NetworkFacts
from optuna_pop.trainables.image_model import task_of
from optuna_pop.trainables.networks import network_size
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.weights import Weights


@dataclass(frozen=True)
class Wanted:
    """A network to register.

    Attributes:
        entry: As the study has it.
        aliases: That shall name it.
    """

    entry: Trained
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Which:
    """Which networks to register; exactly one of trial, budget and boundary says it.

    Attributes:
        trial: A completed trial.
        budget: A limit for each cost: the most accurate network within them.
        all_boundary: Every network of the boundary.
        aliases: Further ones, of the only network.
    """

    trial: int | None = None
    budget: tuple[float, ...] = ()
    all_boundary: bool = False
    aliases: tuple[str, ...] = ()


def wanted_networks(findings: Findings, which: Which) -> list[Wanted]:
    """Choose what to register.

    Args:
        findings: Of the study.
        which: As the user says it.

    Returns:
        The networks, in ascending (first) cost. Each has the aliases of the purposes that it serves
        best in its study.

    Raises:
        InputError: if not exactly one is said, or MLflow would refuse an alias.
        StudyError: if there is no such network, or its trial did not complete.
    """
    if sum((which.trial is not None, bool(which.budget), which.all_boundary)) != 1:
        raise InputError(
            "say which networks to register: one of --trial N, --budget-ms MS and --all-boundary"
        )
    for alias in which.aliases:
        check_alias(alias)
    if which.all_boundary:
        if which.aliases:
            raise InputError("--alias names one network: give it with --trial or --budget-ms")
        purposes = _purposes(findings)
        return [Wanted(entry, purposes.get(entry.number, ())) for entry in findings.boundary]
    if which.budget:
        entry = findings.best_under(*which.budget).trained
        named = (budget_alias(which.budget), *which.aliases)
    else:
        entry, named = _completed(findings, which.trial), which.aliases
    return [Wanted(entry, (*_purposes(findings).get(entry.number, ()), *named))]


def _purposes(findings: Findings) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    choices = {
        FASTEST: findings.fastest(),
        MOST_ACCURATE: findings.most_accurate(),
        KNEE: findings.knee(),
    }
    for alias, choice in choices.items():
        found[choice.number] = (*found.get(choice.number, ()), alias)
    return found


def _completed(findings: Findings, number: int | None) -> Trained:
    name = findings.study.study_name
    trials = {trial.number: trial for trial in findings.study.get_trials(deepcopy=False)}
    if number not in trials:
        raise StudyError(f"study {name!r} has no trial {number}: it holds {len(trials)} of them")
    state = trials[number].state
    if state != TrialState.COMPLETE:
        what = {
            TrialState.FAIL: "failed",
            TrialState.PRUNED: "was pruned before its training ended",
            TrialState.RUNNING: "is still in training",
            TrialState.WAITING: "waits for its training",
        }[state]
        held = ", ".join(str(entry.number) for entry in findings.boundary) or "none yet"
        raise StudyError(
            f"trial {number} of study {name!r} {what}, so nothing is known of its accuracy: "
            f"register one that completed; the boundary holds trials {held}"
        )
    return next(entry for entry in findings.trained if entry.number == number)


def blocks_of(
    study: Study, space: Space[Any] | None, number: int, weights: Weights | None = None
) -> tuple[BlockConfig, ...]:
    """Return the blocks of a trial's network.

    Args:
        study: That found it.
        space: What it searched; None where the study does not say.
        number: Of the trial.
        weights: Trained ones, that must be of the same network, and say so where the space does
            not.

    Raises:
        StudyError: if neither says it.
        InputError: if the weights are of another network.
    """
    blocks = None
    if space is not None:
        trials: list[FrozenTrial] = study.get_trials(deepcopy=False)
        try:
            blocks = tuple(space.blocks(space.from_params(trials[number].params)))
        except (ArchitectureError, InputError, KeyError):
            blocks = None  # enqueued from outside the space, or a space of no networks
    if weights is None and blocks is None:
        raise StudyError(
            f"study {study.study_name!r} does not say of which blocks the network of trial "
            f"{number} is made: give its trained weights with --weights FILE.safetensors"
        )
    if weights is not None and blocks is not None and blocks != weights.blocks:
        raise InputError(
            f"the weights are of another network than trial {number} of study "
            f"{study.study_name!r}: its blocks end in {blocks[-1]}, theirs in {weights.blocks[-1]}"
        )
    return weights.blocks if weights is not None else blocks or ()


def with_statistics(weights: Weights, study: Study) -> Weights:
    """Complete weights of a file that does not say how images are normalised, from the study."""
    if "statistics" in weights.about:
        return weights
    try:
        data = data_of(study)
    except StudyError:
        return weights
    said = {"statistics": data.statistics, "class_names": data.class_names}
    return replace(weights, about={**weights.about, **said})


def facts_of(
    findings: Findings, entry: Trained, weights: Weights, costs: Sequence[Cost]
) -> NetworkFacts:
    """Put together what is known of a trained network of a study.

    Raises:
        InputError: if it gives no classes.
    """
    about, first = weights.about, weights.blocks[0]
    task = task_of(weights.blocks)
    size = network_size(weights.blocks)
    names = about.get("class_names")
    return NetworkFacts(
        study=findings.study.study_name,
        trial=entry.number,
        architecture=entry.architecture,
        task=task,
        measure=TASKS[task].accuracy,
        accuracy=float(about.get("held_out", entry.accuracy)),
        found=entry.accuracy,
        test=about.get("test"),
        data=str(about.get("data", "unknown")),
        recipe=str(about.get("recipe", "unknown")),
        training=training_of(weights),
        weights=weights.tensors_digest(),
        input_shape=first.input_shape,
        classes=weights.blocks[-1].c_out,
        class_names=None if names is None else tuple(names),
        normalises=weights.statistics is not None,
        macs=size.macs,
        parameters=size.parameters,
        costs=tuple(costs),
        commit=_commit(),
    )


def training_of(weights: Weights) -> str:
    """Return the digest of how weights were trained; of such that do not say, their own."""
    return str(weights.about.get("training", weights.tensors_digest()))


def costs_of(findings: Findings, entry: Trained) -> list[Cost]:
    """Return the costs of a network, with the latency tables that they are of."""
    tables: list[Any] = list(findings.tables) or [None] * len(entry.costs)
    named = zip(findings.cost_names, entry.costs, tables, strict=True)
    return [Cost(name, value, table) for name, value, table in named]


def _commit() -> str | None:
    """Commit of the working folder's git repository, marked where files differ from it."""
    try:
        words = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
