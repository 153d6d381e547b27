"""Options that several subcommands share."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

SpaceOption = Annotated[
    str, typer.Option("--space", help="Preset (`df`, `demo`) or a JSON file that describes one.")
]
StorageOption = Annotated[
    str, typer.Option("--storage", help="Database of the study, as an SQLAlchemy URL.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of every random choice.")]

DEFAULT_STORAGE = "sqlite:///optuna-pop.db"
DEFAULT_ENGINE = "onnxruntime"


def console() -> Console:
    """Return a console for results, on standard output; lines are left whole."""
    return Console(highlight=False, soft_wrap=True)
