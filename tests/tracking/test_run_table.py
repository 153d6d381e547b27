"""MLflow's run table of a study: real server, real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import Trial

from optuna_pop import CurveTrial, MLflowTracker
from optuna_pop.tracking.dashboard import METRICS, name_metrics
from tests.browser import console_errors
from tests.tracking.studies import parent_of

STATES = {"COMPLETE": 3, "PRUNED": 1, "FAIL": 1}


def objective(trial: Trial) -> tuple[float, float]:
    trial = CurveTrial(trial)
    width = trial.suggest_int("width", 8, 64)
    for epoch in range(1, 4):
        trial.report(20.0 * epoch, epoch)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 3:
        raise ArithmeticError
    return 61.25 + trial.number, width / 100


@pytest.mark.browser
def test_run_table_shows_the_study_with_its_trials(
    page: Any, mlflow_server: str, screenshots: Path
) -> None:
    study = optuna.create_study(study_name="night", directions=["maximize", "minimize"])
    name_metrics(study, METRICS)
    tracker = MLflowTracker(tracking_uri=mlflow_server, experiment="run table")
    study.optimize(objective, n_trials=5, callbacks=[tracker], catch=ArithmeticError)
    tracker.close()
    client = MlflowClient(mlflow_server)
    experiment = client.get_run(parent_of(study)).info.experiment_id

    errors = console_errors(page)
    missing: list[str] = []
    page.on("response", lambda reply: missing.append(reply.url) if reply.status >= 400 else None)
    page.set_viewport_size({"width": 2200, "height": 800})
    page.goto(f"{mlflow_server}/#/experiments/{experiment}/runs", timeout=60_000)
    page.wait_for_selector("text=night", timeout=60_000)
    page.locator(".ag-row button").first.click()  # unfolds the study
    page.wait_for_selector("text=trial 4", timeout=60_000)
    page.get_by_role("button", name="Columns", exact=True).click()
    for name in ("accuracy", "latency_ms", "width", "optuna_pop.state"):
        page.get_by_text(name, exact=True).first.click(timeout=20_000)
    page.keyboard.press("Escape")
    page.wait_for_selector(".ag-row >> text=65.25", timeout=20_000)
    table = page.locator(".ag-root").first.inner_text()
    page.screenshot(path=screenshots / "mlflow-run-table.png")

    words = table.split()
    for state, count in STATES.items():
        assert words.count(state) == count, table
    for trial in study.trials:
        assert f"trial {trial.number}" in table
        assert str(trial.params["width"]) in words
        for value in trial.values or ():
            assert f"{value:g}" in words, table
    # A server without accounts has no answer to who is logged in; MLflow's page asks anyway.
    assert [url for url in missing if not url.endswith("/mlflow/users/current")] == []
    assert len(errors) == len(missing), errors
