"""What installing the package brings and leaves out."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

BLOCKER = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""
EXTRAS = {
    "torch", "onnxruntime", "onnx", "mlflow", "typer", "rich", "pydantic", "matplotlib",
    "sklearn", "psutil", "optuna_dashboard", "psycopg",
}  # fmt: skip
EXAMPLE = Path(__file__).parent.parent / "examples" / "quickstart.py"


def run(code: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def test_base_requirements_are_few() -> None:
    base = [r for r in requires("optuna-pop") or [] if "extra ==" not in r]
    names = {r.split(">=")[0].strip() for r in base}
    assert names == {"optuna", "numpy", "scipy", "threadpoolctl"}


def test_quickstart_runs_without_extras() -> None:
    code = (
        BLOCKER.format(blocked=EXTRAS)
        + f"import runpy; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 4, "a boundary of several networks"


def test_command_says_what_to_install() -> None:
    code = BLOCKER.format(blocked=EXTRAS) + "from optuna_pop.cli import main; main()"
    done = run(code)
    assert done.returncode == 2
    assert "pip install 'optuna-pop[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_linked_packages_are_the_ones_installed() -> None:
    import optuna_pop.profiling
    import optuna_pop.trainables

    for package in (optuna_pop.profiling, optuna_pop.trainables):
        assert package.__name__.startswith("optuna_pop.")
