"""Options that several subcommands share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from optuna_pop.errors import InputError
from optuna_pop.trainables.data import DataSet, make_data_set
from optuna_pop.trainables.data.source import ROOT_VARIABLE

SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        help="Preset (`df`, `demo`) or a JSON file that describes one. Left out, with --data the "
        "space of a search on that, else `df`.",
    ),
]
MeasuredDataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data set of the search that the table is for: its image size and classes count.",
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(
        "--backbone", help="Of decoders: df1, df2, df2a, or weights of `optuna-pop train`."
    ),
]
StorageOption = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="OPTUNA_POP_STORAGE",
        help="Database of the study, as an SQLAlchemy URL, or grpc://host:port of a proxy.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of every random choice.")]

STORAGE_VARIABLE = "OPTUNA_POP_STORAGE"
"""Environment variable that names the study's database, where no argument does."""
OUTAGE_VARIABLE = "OPTUNA_POP_OUTAGE_LIMIT"

OutageOption = Annotated[
    float,
    typer.Option(
        "--outage-limit",
        min=0,
        envvar=OUTAGE_VARIABLE,
        help="Seconds for which the database or MLflow may be away before the command gives up.",
    ),
]
ProcessesOption = Annotated[
    int,
    typer.Option(min=1, help="Processes that train one network together, each on its own GPU."),
]
DEFAULT_OUTAGE_LIMIT = 600.0
DEFAULT_STORAGE = "sqlite:///optuna-pop.db"
DEFAULT_ENGINE = "onnxruntime"


def console() -> Console:
    """Return a console for results, on standard output; lines are left whole."""
    return Console(highlight=False, soft_wrap=True)


DataOption = Annotated[
    str,
    typer.Option(
        "--data", help="digits, streets (made here), cifar10, imagenet, camvid or cityscapes."
    ),
]
DataSettingOption = Annotated[
    list[str] | None,
    typer.Option("--data-set", help="NAME=VALUE: a setting of the data set, e.g. height=64."),
]
DataRootOption = Annotated[
    Path | None,
    typer.Option(
        "--data-root", help="Folder that holds data sets; OPTUNA_POP_DATA or ./data by default."
    ),
]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Training recipe.")]
SettingOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="NAME=VALUE: another value of the recipe, e.g. epochs=5."),
]


def data_set_of(name: str, settings: dict[str, Any], root: Path | None) -> DataSet:
    """Return the data set that a command names; its root counts for this command's workers, too."""
    use_data_root(root)
    return make_data_set(name, settings)


def use_data_root(root: Path | None) -> None:
    """Let data sets lie in a folder, for this command and its workers; None leaves it as it is."""
    if root is not None:
        os.environ[ROOT_VARIABLE] = str(root.absolute())


def named_recipe(name: str, changes: Mapping[str, Any]) -> str:
    """Return what a recipe is called in words, with what was changed of it."""
    if not changes:
        return name
    return f"{name} ({', '.join(f'{key}={value}' for key, value in changes.items())})"


def pairs(texts: list[str] | None, option: str) -> dict[str, Any]:
    """Read NAME=VALUE of an option; values that are JSON lists become lists.

    Raises:
        InputError: if a text is no such pair.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{option} {text!r} must be NAME=VALUE")
        found[name] = json.loads(value) if value.startswith("[") else value
    return found
