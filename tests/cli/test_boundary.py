"""``optuna-pop boundary`` on studies that any sampler may have made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


def tell(storage: str, *trained: tuple[float, ...], names: list[str] | None = None) -> None:
    study = optuna.create_study(
        study_name="plain",
        storage=storage,
        directions=["maximize"] + (len(trained[0]) - 1) * ["minimize"],
    )
    if names:
        study.set_metric_names(names)
    for values in trained:
        study.add_trial(optuna.trial.create_trial(values=list(values)))


def test_both_questions_are_answered(storage: str, run: Run) -> None:
    tell(storage, (70.0, 1.0), (75.5, 2.0), (80.0, 4.0), (72.0, 3.0))
    code, out, err = run("boundary", "--storage", storage, "--budget-ms", 2.5, "--accuracy", 72)
    assert code == 0, err
    assert "Best within 2.5 ms: trial 1" in out
    assert "with accuracy 75.50 % at 2.0000 ms." in out
    assert "Fastest with accuracy of 72 % or more: trial 1" in out
    assert "order" not in out.partition("Best within")[2], "the study holds no space"


@pytest.mark.filterwarnings("ignore:.*experimental:optuna.exceptions.ExperimentalWarning")
def test_a_budget_for_each_of_several_costs(storage: str, run: Run) -> None:
    names = ["mIoU (%)", "latency on tx2 (ms)", "latency on 1080ti (ms)"]
    tell(storage, (70.0, 1.0, 9.0), (75.0, 2.0, 5.0), (80.0, 3.0, 7.0), names=names)
    code, out, err = run("boundary", "--storage", storage, "--budget-ms", 9, "--budget-ms", 6)
    assert code == 0, err
    assert "Best within 9 ms and 6 ms: trial 1" in out
    assert "at 2.0000 ms, 5.0000 ms." in out


def test_nothing_within_the_budget(storage: str, run: Run) -> None:
    tell(storage, (70.0, 1.5))
    code, _, err = run("boundary", "--storage", storage, "--budget-ms", 1)
    assert code == 2
    assert "no trained network within latency (ms) ≤ 1; the lowest latency (ms) is 1.5" in err


def test_a_study_with_one_objective(storage: str, run: Run) -> None:
    optuna.create_study(study_name="plain", storage=storage, direction="maximize")
    code, _, err = run("boundary", "--storage", storage)
    assert code == 2
    assert "'plain' has one objective" in err
    assert "Traceback" not in err
