"""The packages for OptunaHub, as its registry wants them and as its users load them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import optunahub
import pytest
import yaml
from optuna.trial import TrialState

import optuna_pop

HUB = Path(__file__).parent.parent / "hub" / "package"
NAME = "partial_order_pruning"
PACKAGES = [f"samplers/{NAME}", f"pruners/{NAME}"]


def load(package: str) -> ModuleType:
    return optunahub.load_local_module(package, registry_root=str(HUB))


def readme(package: str) -> tuple[dict[str, Any], str]:
    """Front matter and text."""
    text = (HUB / package / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def run_as_installed(code: Path | str, tmp_path: Path) -> str:
    """Run a user's program; what it would download from the registry is in OptunaHub's cache."""
    cache = tmp_path / "github.com" / "optuna" / "optunahub-registry" / "main"
    cache.mkdir(parents=True)
    (cache / "package").symlink_to(HUB)
    words = [str(code)] if isinstance(code, Path) else ["-c", code]
    environment = {**os.environ, "OPTUNAHUB_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_packages_are_tested() -> None:
    found = {str(path.parent.relative_to(HUB)) for path in HUB.glob("*/*/__init__.py")}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_front_matter_is_what_the_registry_checks(package: str) -> None:
    header, _ = readme(package)
    assert set(header) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    for field in ("author", "title", "description"):
        assert isinstance(header[field], str), field
    for field in ("tags", "optuna_versions"):
        assert all(isinstance(entry, str) for entry in header[field]), field
    assert package.split("/", maxsplit=1)[0].removesuffix("s") in header["tags"]
    assert optuna.__version__ in header["optuna_versions"], "the version this was tested with"
    assert header["license"] == "MIT License"
    assert (HUB / package / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) ")


@pytest.mark.parametrize("package", PACKAGES)
def test_readme_keeps_to_the_registry(package: str) -> None:
    _, body = readme(package)
    sections = re.findall(r"^## (.+)$", body, flags=re.MULTILINE)
    assert sections == ["Abstract", "APIs", "Installation", "Example", "Others"]
    assert not re.search(r"</?[a-z]+[ >/]", body), "HTML is removed there"
    shown = re.findall(r"!\[.*?\]\((.*?)\)", body)
    assert all(path.startswith("images/") for path in shown)
    assert sum((HUB / package / path).stat().st_size for path in shown) < 100_000
    for name in load(package).__all__:
        assert f"`{name}" in body, f"{name} is not described"


@pytest.mark.parametrize("package", PACKAGES)
def test_package_gives_the_parts_of_optuna_pop(package: str) -> None:
    module = load(package)
    for name in module.__all__:
        assert getattr(module, name) is getattr(optuna_pop, name)
    assert (HUB / package / "requirements.txt").read_text().split() == ["optuna-pop"]


def test_loaded_sampler_searches() -> None:
    hub = load(PACKAGES[0])
    space = hub.OrderedSpace({"width": [1, 2, 4, 8], "depth": [1, 2, 3]})

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        found = space.suggest(trial)
        # Depth brings nothing: all that is deeper can be pruned.
        return 90.0 - 30.0 / found["width"], float(found["width"] * found["depth"])

    sampler = hub.POPSampler(space, cost=lambda a: a["width"] * a["depth"], tolerance=0.0, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=50)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    assert len({tuple(trial.params.items()) for trial in complete}) == len(complete) < len(space)
    assert sampler.is_exhausted(study), "the rest is pruned, not forgotten"
    assert {tuple(trial.params.values()) for trial in study.best_trials} == {
        (width, 1) for width in (1, 2, 4, 8)
    }


def test_loaded_pruner_stops_trainings_with_two_objectives() -> None:
    hub = load(PACKAGES[1])
    space = hub.OrderedSpace({"width": range(1, 7), "depth": range(1, 7)})

    def cost(architecture: optuna_pop.OrderedArchitecture) -> float:
        return float(architecture["width"] * architecture["depth"])

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        curved = hub.CurveTrial(trial)
        found = space.suggest(curved)
        for epoch in range(1, 11):
            accuracy = (80.0 + 2.0 * found["width"] + 0.2 * found["depth"]) * (1 - 0.5**epoch)
            curved.report(accuracy, epoch)
            if curved.should_prune():
                raise optuna.TrialPruned
        return accuracy, cost(found)

    sampler = hub.POPSampler(space, cost=cost, seed=0)
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=sampler, pruner=hub.POPPruner()
    )
    study.optimize(objective, n_trials=30)
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    assert any("learning curve" in t.user_attrs["optuna_pop:pruned_because"] for t in pruned)
    assert all(trial.params["depth"] > 1 for trial in pruned), "none of the boundary's own"


@pytest.mark.parametrize("package", PACKAGES)
def test_example_runs_as_a_user_of_the_registry_runs_it(package: str, tmp_path: Path) -> None:
    shown = run_as_installed(HUB / package / "example.py", tmp_path)
    assert len(shown.splitlines()) >= 4, "a boundary, or trainings that were stopped"


@pytest.mark.parametrize("package", PACKAGES)
def test_example_of_the_readme_runs(package: str, tmp_path: Path) -> None:
    _, body = readme(package)
    (code,) = re.findall(r"```python\n(.*?)```", body, flags=re.DOTALL)
    assert "FrozenTrial" in run_as_installed(code, tmp_path)
