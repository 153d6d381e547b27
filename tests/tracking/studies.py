"""Small studies and their MLflow runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import Trial

from optuna_pop import OrderedSpace, POPSampler
from optuna_pop.ledger import HELD_OUT_ATTR
from optuna_pop.profiling import Conditions, LatencyRecord, LatencyTable
from optuna_pop.profiling.build import verified
from optuna_pop.profiling.records import DeviceRecord, NetworkRecord
from optuna_pop.spaces.presets import load_space
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


def searched(
    trials: int = 12, *, costs: int = 1, accuracy: Callable[[Any], float] | None = None
) -> optuna.Study:
    """A study that POP searched on formulas; a third layer adds nothing to accuracy."""
    cost_of: list[Callable[[Any], float]] = [
        lambda a: a["width (channels)"] * a["depth"] / 10,
        lambda a: float(a["depth"]),
    ]
    quality = accuracy or (lambda a: 60 + 10 * min(a["depth"], 2) - 160 / a["width (channels)"])
    sampler: POPSampler[Any] = POPSampler(SPACE, cost=cost_of[:costs], tolerance=0.0, seed=1)
    directions = ["maximize"] + costs * ["minimize"]
    study = optuna.create_study(study_name="s", directions=directions, sampler=sampler)

    def objective(trial: Trial) -> tuple[float, ...]:
        chosen = SPACE.suggest(trial)
        trial.set_user_attr(HELD_OUT_ATTR, 1000)
        return quality(chosen), *(cost(chosen) for cost in cost_of[:costs])

    study.optimize(objective, n_trials=trials)
    return study


def verified_table(networks: int = 6) -> LatencyTable:
    """A made-up table of the demo space whose whole networks are 10% faster than their sums."""
    space, now = load_space("demo"), datetime.now(UTC)

    def record(value: float) -> LatencyRecord:
        return LatencyRecord(minimum=value, median=value, spread=0, samples=15, time=now)

    blocks = {b.key: record(0.01 + 1e-6 * b.c_in * b.c_out) for b in space.block_configs()}
    chosen = [space.blocks(space.at(row)) for row in range(0, 60 * networks, 60)]
    whole = tuple(
        NetworkRecord(
            blocks=tuple(block.key for block in row),
            record=record(0.9 * sum(blocks[block.key].minimum for block in row)),
        )
        for row in chosen
    )
    device = DeviceRecord(name="made up", cores=1, machine="none", system="none", memory_gib=1)
    conditions = Conditions(
        device=device,
        engine="onnxruntime",
        precision="float32",
        versions={},
        threads=1,
        date=now,
        cycles=15,
        reference=record(1.0),
        drift=1.0,
    )
    return verified(
        LatencyTable(statistic="minimum", conditions=conditions, blocks=blocks, networks=whole)
    )
