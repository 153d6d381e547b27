"""Tracking is light to import, and says what to install where a package is missing."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pytest

from optuna_pop.errors import MissingExtraError
from optuna_pop.tracking.mlflow_runs import StudyRuns


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, optuna_pop.tracking, optuna_pop.tracking.mlflow_runs, "
        "optuna_pop.tracking.dashboard, optuna_pop.tracking.tables\n"
        "print(sorted({'mlflow', 'matplotlib', 'optuna_dashboard'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_mlflow_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    study = optuna.create_study()
    with pytest.raises(MissingExtraError, match=r"pip install 'optuna-pop\[mlflow\]'"):
        StudyRuns(study)


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("matplotlib", "figures", "figures"),
        ("plotly", "interactive", "report"),
        ("jinja2", "report", "report"),
    ],
)
def test_package_of_figures_missing(package: str, module: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import optuna_pop.tracking.{module}"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert f"pip install 'optuna-pop[{extra}]'" in found.stderr


def test_interactive_figures_need_no_matplotlib() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import optuna_pop.tracking.report"
    subprocess.run([sys.executable, "-c", code], check=True)
