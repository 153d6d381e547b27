"""``optuna-pop worker``: join a search, on this machine or any other that reaches its storage."""

from __future__ import annotations

from typing import Annotated

import typer

from optuna_pop.cli import joining, running
from optuna_pop.cli.options import (
    DEFAULT_OUTAGE_LIMIT,
    DEFAULT_STORAGE,
    OutageOption,
    ProcessesOption,
    StorageOption,
)

EXAMPLE = "**Example:** optuna-pop worker --storage postgresql+psycopg://pop@host/pop --study night"


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
    ] = None,
    processes_per_trial: ProcessesOption = 1,
    outage_limit: OutageOption = DEFAULT_OUTAGE_LIMIT,
) -> None:
    """Join a search that `optuna-pop search` began: the study says what to train, on what and how.

    It is left untouched if this installation's code or data cannot serve it.
    """
    running.prepare()
    opened, sampler = joining.join(storage_url, study, outage_limit)
    running.run(opened, sampler, outage_limit_s=outage_limit, processes=processes_per_trial)
