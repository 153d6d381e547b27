"""Networks of a boundary as versions of a model in MLflow's registry (extra ``mlflow``).

Only ``MlflowClient`` is used, none of MLflow's global state.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.study import Study

from optuna_pop.errors import InputError, TrackingError
from optuna_pop.tracking.mlflow_names import RUN_ATTR
from optuna_pop.tracking.mlflow_server import connect, experiment_id, readable
from optuna_pop.tracking.model_package import Card, Exported, write_package
from optuna_pop.tracking.network_facts import (
    COST,
    DATA,
    MEASURE,
    STUDY,
    TRAINING,
    TRIAL,
    WEIGHTS,
    NetworkFacts,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FASTEST, MOST_ACCURATE, KNEE = "fastest", "most-accurate", "knee"
_LONGEST_NAME = 255
_LONGEST_DESCRIPTION = 5000  # that MLflow's databases hold
_LONGEST_PARAM = 500
_PAGE = 200
_UNITS = {"ms": 1.0, "us": 1e3, "ns": 1e6}  # how many make a millisecond


def budget_alias(limits: tuple[float, ...]) -> str:
    """Return the alias of the best network within limits of latency.

    MLflow allows no dot in an alias, so 5 ms is ``budget-5ms``, and 0.5 ms ``budget-500us``.

    Args:
        limits: Milliseconds, one for each cost.
    """
    return "-".join(["budget", *map(_in_whole_units, limits)])


def _in_whole_units(limit: float) -> str:
    for unit, factor in _UNITS.items():
        count = limit * factor
        if count >= 1 and abs(count - round(count)) < 1e-6 * count:
            return f"{round(count)}{unit}"
    return f"{max(1, round(limit * _UNITS['ns']))}ns"


def check_alias(alias: str) -> None:
    """Refuse an alias that MLflow would refuse once all work is done.

    Raises:
        InputError: saying what it may be.
    """
    reserved = re.fullmatch(r"[vV]\d+|latest", alias, re.IGNORECASE)
    if reserved or not re.fullmatch(r"[\w-]+", alias) or len(alias) > _LONGEST_NAME:
        raise InputError(
            f"MLflow refuses the alias {alias!r}: it may hold letters, digits, _ and -, up to "
            f"{_LONGEST_NAME}, and not be 'latest' nor a version such as 'v1'"
        )


def check_name(name: str) -> None:
    """Refuse a name that MLflow would refuse for a registered model.

    Raises:
        InputError: saying what it may be.
    """
    if not name.strip() or any(sign in name for sign in "/:") or len(name) > _LONGEST_NAME:
        raise InputError(
            f"MLflow refuses the model name {name!r}: it must hold something, no / and no :, and "
            f"{_LONGEST_NAME} characters at most; give e.g. --name DF-Seg"
        )


class ModelRegistry:
    """A registered model: its versions are networks, its aliases their purposes.

    Args:
        name: Of the registered model; made with its first version.
        tracking_uri: By default what ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` says,
            else ``sqlite:///mlflow.db``.
        experiment: Name of the MLflow experiment that holds the runs of the registrations.

    Raises:
        InputError: if MLflow allows no such name.
        MissingExtraError: if MLflow is not installed.
        TrackingError: if MLflow cannot be reached; every method may raise it, too.
    """

    def __init__(
        self, name: str, *, tracking_uri: str | None = None, experiment: str = "optuna-pop"
    ) -> None:
        check_name(name)
        self.name = name
        self._experiment = experiment
        self._client, self.uri = connect(tracking_uri)

    def find(
        self, study: str, trial: int, *, training: str | None = None, weights: str | None = None
    ) -> int | None:
        """Return the version that holds a network already, the newest of several.

        Args:
            study: Name of the study.
            trial: Number of the trial.
            training: Digest of its training, see ``NetworkFacts``; None for any.
            weights: Digest of its weights; None for any.
        """
        digests = {TRAINING: training, WEIGHTS: weights}
        wanted = {STUDY: study, TRIAL: str(trial)}
        wanted |= {tag: value for tag, value in digests.items() if value is not None}
        with readable(self.uri):
            for version in self._versions():
                if wanted.items() <= version.tags.items():
                    return int(version.version)
        return None

    def add(self, study: Study, exported: Exported, facts: NetworkFacts, card: Card) -> int:
        """Register a network as a new version, with a run of its own below the study's.

        Returns:
            The version.
        """
        tags = facts.tags()
        with readable(self.uri):
            self._create_model()
            with self._run(study, facts) as run_id:
                experiment = self._client.get_run(run_id).info.experiment_id
                logged = self._client.create_logged_model(
                    experiment,
                    name=_safe(f"{self.name}-{facts.study}-{facts.trial}"),
                    source_run_id=run_id,
                    tags=tags,
                    params={
                        "architecture": facts.architecture[:_LONGEST_PARAM],
                        "recipe": facts.recipe[:_LONGEST_PARAM],
                    },
                    model_type=facts.task,
                )
                try:
                    with tempfile.TemporaryDirectory() as folder:
                        package = Path(folder, "model")
                        write_package(
                            package,
                            exported,
                            facts,
                            card,
                            model_id=logged.model_id,
                            run_id=run_id,
                        )
                        self._client.log_model_artifacts(logged.model_id, str(package))
                    self._client.finalize_logged_model(logged.model_id, "READY")
                except BaseException:
                    with contextlib.suppress(Exception):  # what ended it is what counts
                        self._client.finalize_logged_model(logged.model_id, "FAILED")
                    raise
                self._log_metrics(run_id, logged.model_id, facts.metrics())
                version = self._client.create_model_version(
                    self.name,
                    logged.artifact_location,
                    run_id=run_id,
                    tags=tags,
                    description=card.summary[:_LONGEST_DESCRIPTION],
                    model_id=logged.model_id,
                )
        return int(version.version)

    def point(self, alias: str, version: int, *, force: bool = False) -> str:
        """Let an alias name a version, unless the one it names now is better.

        Versions are compared where they were judged alike: by the same measure on the same data,
        and by the same latency on the same device. An alias of another kind always moves.

        Args:
            alias: Checked by ``check_alias``.
            version: To be named.
            force: Move it anyway.

        Returns:
            What became of it, in words.
        """
        with readable(self.uri):
            current = self._client.get_registered_model(self.name).aliases.get(alias)
            if current is not None and int(current) == version:
                return f"{alias}: version {version}, as before"
            if current is None:
                self._client.set_registered_model_alias(self.name, alias, str(version))
                return f"{alias}: version {version}"
            tags = [
                self._client.get_model_version(self.name, str(v)).tags for v in (current, version)
            ]
            if not force and _is_better(alias, *tags):
                return (
                    f"{alias}: stays at version {current}, which is better "
                    f"({_said(tags[0])} against {_said(tags[1])})"
                )
            self._client.set_registered_model_alias(self.name, alias, str(version))
            return f"{alias}: version {current} → {version}"

    def _versions(self) -> Iterator[ModelVersion]:
        token = None
        mark = '"' if "'" in self.name else "'"
        while True:
            page = self._client.search_model_versions(
                f"name={mark}{self.name}{mark}", max_results=_PAGE, page_token=token
            )
            yield from sorted(page, key=lambda found: -int(found.version))
            token = page.token
            if not token:
                return

    def _create_model(self) -> None:
        from mlflow.exceptions import MlflowException

        words = (
            "Networks of the speed/accuracy boundary that optuna-pop found. Aliases name their "
            f"purposes: `{FASTEST}`, `{MOST_ACCURATE}`, `{KNEE}` (where more latency begins to buy "
            "less accuracy), and `budget-5ms`, the most accurate within 5 ms. Load one by "
            f'`mlflow.pyfunc.load_model("models:/{self.name}@{KNEE}")`; each version has a card.'
        )
        try:
            self._client.create_registered_model(
                self.name, tags={"optuna_pop": "boundary"}, description=words
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    @contextmanager
    def _run(self, study: Study, facts: NetworkFacts) -> Iterator[str]:
        """A run for the registration, which ends as the block does."""
        tags = {STUDY: facts.study, TRIAL: str(facts.trial)}
        parent = self._parent(study)
        experiment = experiment_id(self._client, self._experiment, self.uri)
        if parent is not None:
            tags["mlflow.parentRunId"], experiment = parent
        run = self._client.create_run(
            experiment, run_name=f"register {self.name}, trial {facts.trial}", tags=tags
        )
        try:
            yield str(run.info.run_id)
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.set_terminated(run.info.run_id, "FAILED")
            raise
        self._client.set_terminated(run.info.run_id, "FINISHED")

    def _parent(self, study: Study) -> tuple[str, str] | None:
        """The study's run and its experiment, if this MLflow has them."""
        from mlflow.exceptions import MlflowException

        recorded = study.user_attrs.get(RUN_ATTR)
        if recorded is None:
            return None
        try:
            run = self._client.get_run(recorded)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        alive = run.info.lifecycle_stage == "active"
        return (recorded, run.info.experiment_id) if alive else None

    def _log_metrics(self, run_id: str, model_id: str, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(k, float(v), now, 0, model_id=model_id) for k, v in metrics.items()]
        self._client.log_batch(run_id, metrics=points)


def still_there(error: TrackingError, weights: list[Path]) -> TrackingError:
    """Say, beside what was wrong with MLflow, that nothing trained is lost."""
    files = ", ".join(map(str, weights))
    return TrackingError(f"{error}; trained weights are kept ({files}): the same command goes on")


def _is_better(alias: str, held: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """Whether the network that an alias names serves its purpose better than a new one."""
    measure, cost = new.get(MEASURE, ""), new.get(COST, "")
    same = (MEASURE, DATA, COST, "device", "engine", "precision")
    purposes = (FASTEST, MOST_ACCURATE) + ((KNEE,) if _is_same_trial(held, new) else ())
    if alias not in purposes and not alias.startswith("budget-"):
        return False
    if any(held.get(tag) != new.get(tag) for tag in same) or not {measure, cost} <= held.keys():
        return False

    def worth(tags: Mapping[str, str]) -> tuple[float, float]:
        accuracy, speed = float(tags[measure]), -float(tags[cost])
        return (speed, accuracy) if alias == FASTEST else (accuracy, speed)

    return worth(held) > worth(new)


def _is_same_trial(held: Mapping[str, str], new: Mapping[str, str]) -> bool:
    return all(held.get(tag) == new.get(tag) for tag in (STUDY, TRIAL))


def _said(tags: Mapping[str, str]) -> str:
    measure, cost = tags[MEASURE], tags[COST]
    return f"{measure} {float(tags[measure]):.2f}, {cost} {float(tags[cost]):.4g}"


def _safe(name: str) -> str:
    """Keep to the characters that MLflow allows in the name of a logged model."""
    return re.sub(r"[^\w\-. ]", "_", name)[:_LONGEST_NAME]
