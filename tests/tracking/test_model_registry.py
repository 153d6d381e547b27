"""Aliases and names that MLflow takes, and which network an alias keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from optuna_pop.errors import InputError, TrackingError
from optuna_pop.tracking.model_registry import (
    ModelRegistry,
    budget_alias,
    check_alias,
    check_name,
)
from tests.tracking.conftest import free_port

COMMON = {"measure": "mIoU", "cost": "latency_ms", "data": "streets", "study": "s", "trial": "1",
          "device": "d", "engine": "e", "precision": "float32"}  # fmt: skip


def V(miou: float, latency: float, **others: Any) -> dict[str, Any]:
    """Tags of a version."""
    return {"mIoU": miou, "latency_ms": latency, **others}


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def registry(tmp_path: Path, client: MlflowClient, *tags: dict[str, Any]) -> ModelRegistry:
    """A model with a version for each set of tags, without anything in them."""
    client.create_registered_model("it's")
    for own in tags:
        words = {name: str(value) for name, value in {**COMMON, **own}.items()}
        client.create_model_version("it's", str(tmp_path), tags=words)
    return ModelRegistry("it's", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize(
    ("limits", "alias"),
    [
        ((5.0,), "budget-5ms"),
        ((0.5,), "budget-500us"),
        ((2.5,), "budget-2500us"),
        ((0.3,), "budget-300us"),
        ((0.0123,), "budget-12300ns"),
        ((1e-9,), "budget-1ns"),
        ((5.0, 0.25), "budget-5ms-250us"),
    ],
)
def test_budgets_as_mlflow_takes_them(
    tmp_path: Path, client: MlflowClient, limits: tuple[float, ...], alias: str
) -> None:
    assert budget_alias(limits) == alias
    check_alias(alias)
    assert registry(tmp_path, client, {}).point(alias, 1) == f"{alias}: version 1"
    assert client.get_model_version_by_alias("it's", alias).version == "1"


@pytest.mark.parametrize("alias", ["budget-0.5ms", "", "v12", "latest", "a b", "x" * 300])
def test_aliases_that_mlflow_refuses_are_refused_first(
    tmp_path: Path, client: MlflowClient, alias: str
) -> None:
    registry(tmp_path, client, {})
    with pytest.raises(mlflow.MlflowException):
        client.set_registered_model_alias("it's", alias, "1")
    with pytest.raises(InputError, match="MLflow refuses the alias"):
        check_alias(alias)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b"])
def test_names_that_mlflow_refuses_are_refused_first(client: MlflowClient, name: str) -> None:
    with pytest.raises(mlflow.MlflowException):
        client.create_registered_model(name)
    with pytest.raises(InputError, match="MLflow refuses the model name"):
        check_name(name)


@pytest.mark.parametrize(
    ("alias", "held", "new", "moves"),  # mIoU and latency of each, and what else differs
    [
        ("most-accurate", V(70, 5), V(71, 9), True),
        ("most-accurate", V(71, 9), V(70, 5), False),
        ("most-accurate", V(70, 9), V(70, 5), True),
        ("fastest", V(70, 5), V(71, 9), False),
        ("fastest", V(70, 5), V(50, 4), True),
        ("budget-9ms", V(71, 9), V(70, 5), False),
        # Another device, other data, another cost: nothing to compare, so the newest is meant.
        ("fastest", V(70, 5, device="x"), V(7, 9), True),
        ("most-accurate", V(70, 5, data="x"), V(7, 9), True),
        ("fastest", V(70, 5, cost="size_mb"), V(7, 9), True),
        # A knee is what the study says, a further alias what the user says.
        ("knee", V(70, 5), V(60, 4, trial=2), True),
        ("knee", V(70, 5), V(60, 5), False),
        ("champion", V(70, 5), V(60, 9), True),
    ],
)
def test_an_alias_moves_to_what_is_better(
    tmp_path: Path,
    client: MlflowClient,
    alias: str,
    held: dict[str, Any],
    new: dict[str, Any],
    moves: bool,
) -> None:
    found = registry(tmp_path, client, held, new)
    assert found.point(alias, 1) == f"{alias}: version 1"
    said = found.point(alias, 2)
    if moves:
        assert said == f"{alias}: version 1 → 2"
    else:
        assert said.startswith(f"{alias}: stays at version 1, which is better (mIoU ")
        assert found.point(alias, 2, force=True) == f"{alias}: version 1 → 2"
    assert client.get_model_version_by_alias("it's", alias).version == "2"
    assert found.point(alias, 2) == f"{alias}: version 2, as before"


def test_a_network_is_known_again(tmp_path: Path, client: MlflowClient) -> None:
    tags = {"optuna_pop.training": "t", "optuna_pop.weights": "w"}
    found = registry(tmp_path, client, tags, {**tags, "trial": 2}, {"trial": 3})
    assert found.find("s", 1, training="t") == 1
    assert found.find("s", 2, weights="w") == 2
    assert found.find("s", 3, training="t") is None
    assert found.find("other", 1, training="t") is None
    empty = ModelRegistry("none of that name", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert empty.find("s", 1) is None


def test_a_registry_that_is_away_is_named_at_once() -> None:
    with pytest.raises(TrackingError, match="check that it runs"):
        ModelRegistry("DF-Seg", tracking_uri=f"http://127.0.0.1:{free_port()}")
