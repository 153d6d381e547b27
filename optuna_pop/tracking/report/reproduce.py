"""How to make a study, its figures and its networks again, as a report shows it."""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna_pop.errors import InputError
from optuna_pop.findings import Findings
from optuna_pop.tracking.dashboard import dashboard_command, without_password

Made = Mapping[str, Mapping[str, Any]]
"""What a study says of how it was made; see ``optuna_pop.experiment.identity.parts_of``."""

_SPACE = "space.json"


@dataclass(frozen=True)
class Command:
    """A command of the shell, and what it is for."""

    words: str
    purpose: str


@dataclass(frozen=True)
class Attachment:
    """A file that the page carries."""

    name: str
    content: str

    @property
    def address(self) -> str:
        """As a link holds it."""
        return f"data:application/json;base64,{base64.b64encode(self.content.encode()).decode()}"


def attachments(findings: Findings, made: Made) -> list[Attachment]:
    """Files that the commands need: the space and the latency tables."""
    found = []
    if "space" in made:
        spec = {key: value for key, value in made["space"].items() if key != "fingerprint"}
        found.append(Attachment(_SPACE, json.dumps(spec, indent=1)))
    for table, name in zip(findings.tables, _table_names(findings), strict=True):
        found.append(Attachment(name, table.model_dump_json(by_alias=True, indent=1)))
    return found


def commands(findings: Findings, made: Made, storage_url: str) -> list[Command]:
    """Say how to make it all again.

    Args:
        findings: Of the study.
        made: How it was made.
        storage_url: Where it is; a password in it is not shown.
    """
    study = f"--storage {shlex.quote(without_password(storage_url))}"
    study += f" --study {shlex.quote(findings.study.study_name)}"
    found = [
        Command(
            f"optuna-pop boundary {study} --csv boundary.csv --png boundary.png", "the boundary"
        ),
        Command(f"optuna-pop report {study} --out report.html", "this page"),
        Command(dashboard_command(storage_url), "every trial, in the browser"),
    ]
    if not made.keys() >= {"space", "data", "recipe", "settings"}:
        return found
    if findings.boundary:
        register = f"optuna-pop register {study} --name MODEL"
        found += [
            Command(
                f"{register} --trial {findings.knee().number}", "the knee in MLflow's registry"
            ),
            Command(f"{register} --all-boundary", "the whole boundary there"),
        ]
    return [Command(_search(findings, made), "the search, with the files below"), *found]


def _search(findings: Findings, made: Made) -> str:
    """The search with every setting that is not the default of the command."""
    data, recipe, settings = made["data"], made["recipe"], made["settings"]
    words = ["optuna-pop search", f"--space {_SPACE}", f"--data {_word(data['name'])}"]
    words += [f"--data-set {_pair(*item)}" for item in data.get("settings", {}).items()]
    words += [f"--table {name}" for name in _table_names(findings)]
    words += [f"--recipe {_word(recipe['name'])}"]
    words += [f"--set {_pair(*item)}" for item in _changed(recipe).items()]
    for low, high in settings.get("cost_range") or ():
        bounds = ["" if bound is None else f"{bound:g}" for bound in (low, high)]
        words.append(f"--cost-range {':'.join(bounds)}")
    weights = made.get("weights", {}).get("path")
    if weights is not None:
        words.append(f"--weights {_word(weights)}")
    for option in ("tolerance", "patience", "stop_gain", "selection", "trials", "seed"):
        if settings.get(option) is not None:
            words.append(f"--{option.replace('_', '-')} {_word(settings[option])}")
    if settings.get("prune") is False:
        words.append("--no-prune")
    words += ["--storage sqlite:///again.db", "--study again"]
    return " \\\n    ".join(words)


def _changed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a recipe that differ from those that its name stands for."""
    from optuna_pop.trainables.recipes import recipe as named

    known: dict[str, Any] = {}
    with contextlib.suppress(InputError):  # a recipe of the user's own
        known = named(recipe["name"]).spec()
    return {
        key: value
        for key, value in recipe.items()
        if key not in ("fingerprint", "name") and value is not None and known.get(key) != value
    }


def _table_names(findings: Findings) -> list[str]:
    if len(findings.tables) == 1:
        return ["latency.json"]
    return [f"latency-{number}.json" for number in range(1, len(findings.tables) + 1)]


def _pair(name: str, value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list | tuple) else str(value)
    return _word(f"{name}={text}")


def _word(value: Any) -> str:
    return shlex.quote(str(value))
