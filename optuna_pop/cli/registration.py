"""The work of ``optuna-pop register``, apart from its options: it needs every extra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from optuna_pop.cli.options import console, named_recipe
from optuna_pop.cli.training_progress import training_progress
from optuna_pop.errors import InputError, StudyError, TrackingError
from optuna_pop.experiment import assembly, identity, registering
from optuna_pop.experiment.finishing import (
    LARGEST_EXCESS,
    FinalTraining,
    export,
    finished,
    is_too_slow,
    measured,
    train_to_file,
)
from optuna_pop.experiment.registering import Wanted, Which
from optuna_pop.experiment.storage import require_space
from optuna_pop.findings import Findings
from optuna_pop.spaces.df import Blocks
from optuna_pop.tracking.mlflow_server import shown
from optuna_pop.tracking.model_card import model_card
from optuna_pop.tracking.model_package import Exported
from optuna_pop.tracking.model_registry import ModelRegistry, still_there
from optuna_pop.tracking.network_facts import Cost, NetworkFacts
from optuna_pop.trainables import recipes
from optuna_pop.trainables.weights import Weights, load_weights


@dataclass(frozen=True)
class How:
    """How networks are finished.

    Attributes:
        weights: Of the only network, if it is trained already.
        recipe: Of the final training; the study's if None.
        changes: Other values of it.
        folder: For trained weights.
        seconds: On a CPU, measure at least so long.
        processes: That train one network together.
        threads: Of torch on the CPU.
    """

    weights: Path | None
    recipe: str | None
    changes: Mapping[str, Any]
    folder: Path
    seconds: float
    processes: int
    threads: int


@dataclass(frozen=True)
class _Ready:
    """A trained, exported and measured network that is not in the registry yet."""

    facts: NetworkFacts
    exported: Exported
    path: Path


def register(
    study: Study,
    name: str,
    *,
    wanted: Which,
    how: How,
    tracking_uri: str | None,
    force: bool,
) -> None:
    """Train networks to the end where needed, check, measure and register them.

    Args:
        study: That found them.
        name: Of the registered model.
        wanted: Which of its networks.
        how: They are finished.
        tracking_uri: Of MLflow.
        force: Register what is slower than it should be, and move aliases from better versions.

    Raises:
        InputError: if something asked for cannot be, or a network is too slow.
        StudyError: if the study has no such network, or does not say how to train it.
        TrackingError: if MLflow is away; weights that were trained stay where they are.
    """
    findings = identity.findings_of(study)
    chosen = registering.wanted_networks(findings, wanted)
    if how.weights is not None and len(chosen) > 1:
        raise InputError("--weights are of one network: give --trial or --budget-ms, too")
    finisher = _Finisher(study, findings, how)
    registry = ModelRegistry(name, tracking_uri=tracking_uri)
    versions: dict[int, int] = {}
    ready: dict[int, _Ready] = {}
    for one in chosen:
        number = one.entry.number
        version = registry.find(study.study_name, number, training=finisher.digest(one))
        if version is None:
            ready[number] = finisher.finish(one)
        else:
            versions[number] = version
            console().print(f"Trial {number} is version {version} of {name} already.")
    _refuse_slow(ready, force=force)
    try:
        for number, network in ready.items():
            card = model_card(network.facts, findings, name)
            versions[number] = registry.add(study, network.exported, network.facts, card)
            console().print(f"Trial {number}: version {versions[number]} of {name}.")
        _point(registry, chosen, versions, force=force)
    except TrackingError as error:
        raise still_there(error, [network.path for network in ready.values()]) from error
    _say_how_to_load(registry, chosen, versions)


class _Finisher:
    """Makes networks of a study ready, by their final training or with weights that were given."""

    def __init__(self, study: Study, findings: Findings, how: How) -> None:
        self._study, self._findings, self._how = study, findings, how
        self._given = None if how.weights is None else load_weights(how.weights)
        self._training = _training(study, findings, how) if self._given is None else None

    def digest(self, one: Wanted) -> str:
        """Return by what a network is known again, before it is trained."""
        blocks = self._blocks(one)
        if self._training is not None:
            return self._training.digest(blocks)
        return registering.training_of(self._given) if self._given is not None else ""

    def finish(self, one: Wanted) -> _Ready:
        """Train a network, export and measure it, and say how it does."""
        number = one.entry.number
        trained, path = self._trained(one)
        exported = export(trained, path, self._findings.tables)
        costs = [
            measured(cost, exported.network, seconds=self._how.seconds)
            for cost in registering.costs_of(self._findings, one.entry)
        ]
        facts = registering.facts_of(self._findings, one.entry, trained, costs)
        said = f"{facts.measure} {facts.accuracy:.2f} %"
        if facts.test is not None:
            said += f", on test samples {facts.test:.2f} %"
        console().print(f"Trial {number}: {said}; {'; '.join(map(_said, costs))}", markup=False)
        return _Ready(facts, exported, path)

    def _blocks(self, one: Wanted) -> Blocks:
        return registering.blocks_of(
            self._study, self._findings.space, one.entry.number, self._given
        )

    def _trained(self, one: Wanted) -> tuple[Weights, Path]:
        if self._training is None:
            if self._given is None or self._how.weights is None:
                raise StudyError("there is neither a training nor are there weights")
            return registering.with_statistics(self._given, self._study), self._how.weights
        digest, number = self.digest(one), one.entry.number
        path = self._how.folder / f"trial-{number}-{digest}.safetensors"
        before = finished(path, digest)
        if before is not None:
            console().print(f"Trial {number} is trained already: {path}", markup=False)
            return before, path
        require_space(path.absolute().parent)
        words = f"Training trial {number}, {one.entry.architecture}, by {self._training.named}."
        console().print(words, markup=False)
        with training_progress(self._training) as (on_epoch, progress):
            train_to_file(
                self._blocks(one), self._training, path, on_epoch=on_epoch, progress=progress
            )
        return load_weights(path), path


def _training(study: Study, findings: Findings, how: How) -> FinalTraining:
    """Put the final training together: the study's own, as far as nothing else is said."""
    if findings.space is None:
        raise StudyError(
            f"study {study.study_name!r} was not made by `optuna-pop search`, so it does not say "
            "how to train its networks: give trained weights with --weights FILE.safetensors"
        )
    own = str(identity.part_of(study, "recipe")["name"])
    base = assembly.recipe_of(study) if how.recipe is None else recipes.recipe(how.recipe)
    return FinalTraining(
        data=assembly.data_of(study),
        recipe=base.with_values(how.changes),
        named=named_recipe(how.recipe or own, how.changes),
        seed=int(identity.settings_of(study)["seed"]),
        begun=assembly.weights_of(study),
        threads=how.threads,
        processes=how.processes,
    )


def _said(cost: Cost) -> str:
    words = f"{cost.name} {cost.value:.4g}"
    if cost.excess is None:
        return f"{words}, not measured: {cost.note}"
    return f"{words}, measured {cost.latency:.4g} ({100 * cost.excess:+.1f} %)"


def _refuse_slow(ready: dict[int, _Ready], *, force: bool) -> None:
    slow = [
        f"trial {number}: {cost.name} {cost.value:.4g}, but measured {cost.latency:.4g}"
        for number, network in ready.items()
        for cost in network.facts.costs
        if is_too_slow(cost)
    ]
    if slow and not force:
        raise InputError(
            f"measured on this device, networks are more than {100 * LARGEST_EXCESS:.0f} % slower "
            f"than they were chosen for ({'; '.join(slow)}): nothing was registered. Is the "
            "machine busy, or does it run slower than when its table was made (`optuna-pop profile "
            "verify`)? --force registers them anyway; trained weights are kept"
        )


def _point(
    registry: ModelRegistry, wanted: list[Wanted], versions: dict[int, int], *, force: bool
) -> None:
    for one in wanted:
        for alias in one.aliases:
            said = registry.point(alias, versions[one.entry.number], force=force)
            console().print(said, markup=False)


def _say_how_to_load(
    registry: ModelRegistry, wanted: list[Wanted], versions: dict[int, int]
) -> None:
    aliases = [alias for one in wanted for alias in one.aliases]
    version = versions[wanted[0].entry.number]
    alias = "knee" if "knee" in aliases else next(iter(aliases), None)
    model = f"models:/{registry.name}" + (f"/{version}" if alias is None else f"@{alias}")
    console().print(
        f"Next: export MLFLOW_TRACKING_URI={shown(registry.uri)}, then "
        f'mlflow.pyfunc.load_model("{model}").predict(image), or\n'
        f"mlflow models serve -m '{model}' --env-manager local -h 127.0.0.1 -p 5001",
        markup=False,
    )
