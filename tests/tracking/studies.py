"""Small studies and their MLflow runs."""

from __future__ import annotations

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import Trial

from optuna_pop import OrderedSpace
from optuna_pop.tracking.dashboard import METRICS, name_metrics

SPACE = OrderedSpace({"width (channels)": [8, 16, 32], "depth": [1, 2, 3]})


def make_study(name: str = "s", storage: str | None = None) -> optuna.Study:
    study = optuna.create_study(
        study_name=name, storage=storage, directions=["maximize", "minimize"]
    )
    name_metrics(study, METRICS)
    return study


def ask(study: optuna.Study) -> Trial:
    trial = study.ask()
    SPACE.suggest(trial)
    return trial


def children(client: MlflowClient, parent: str) -> list[Run]:
    experiment = client.get_run(parent).info.experiment_id
    return list(
        client.search_runs(
            [experiment], f"tags.`mlflow.parentRunId` = '{parent}'", order_by=["start_time"]
        )
    )


def parent_of(study: optuna.Study) -> str:
    return str(study.user_attrs["mlflow_run_id"])
