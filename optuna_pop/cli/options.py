"""Options that several subcommands share."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

SpaceOption = Annotated[
    str, typer.Option("--space", help="Preset (`df`, `demo`) or a JSON file that describes one.")
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
