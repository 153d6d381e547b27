"""``optuna-pop worker``: join a search, on this machine or any other that reaches its storage."""

from __future__ import annotations

from typing import Annotated

import typer

from optuna_pop.cli import running
from optuna_pop.cli.options import DEFAULT_STORAGE
from optuna_pop.errors import StudyError
from optuna_pop.experiment import identity, storage

EXAMPLE = "**Example:** optuna-pop worker --storage postgresql+psycopg://pop@host/pop --study night"


def command(
    storage_url: Annotated[
        str,
        typer.Option(
            "--storage",
            envvar=running.STORAGE_VARIABLE,
            help="Database of the study, as an SQLAlchemy URL.",
        ),
    ] = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
    ] = None,
) -> None:
    """Join a search that `optuna-pop search` began: the study says what to train, on what and how.

    It is left untouched if this installation's code or data cannot serve it.
    """
    running.quiet()
    opened = storage.load_study(storage_url, study)
    sampler = identity.sampler_of(opened)
    if sampler is None:
        raise StudyError(
            f"study {opened.study_name!r} does not say what it searches: begin it with "
            "`optuna-pop search`"
        )
    opened.sampler = sampler
    opened.pruner = running.pruner(prune=identity.settings_of(opened)["prune"])
    running.run(opened, sampler)
