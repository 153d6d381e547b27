"""``optuna-pop proxy``: let workers reach a database that only this machine can reach."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer
from optuna.exceptions import ExperimentalWarning
from optuna.storages import run_grpc_proxy_server

from optuna_pop.cli.options import (
    DEFAULT_OUTAGE_LIMIT,
    DEFAULT_STORAGE,
    OutageOption,
    StorageOption,
    console,
)
from optuna_pop.errors import needs_extra
from optuna_pop.experiment import storage

EXAMPLE = "**Example:** optuna-pop proxy --storage postgresql+psycopg://pop@db/pop --port 13000"


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Whoever reaches it can read and write every study: there "
            "is no password, so open it to a network you trust only."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 13000,
    outage_limit: OutageOption = DEFAULT_OUTAGE_LIMIT,
) -> None:
    """Serve a storage by gRPC, so that workers need no way to the database and no password.

    They join with `--storage grpc://HOST:PORT`. Ctrl-C ends it; workers wait until it is back.
    """
    with needs_extra("grpc"):
        import grpc  # noqa: F401
    opened = storage.open_storage(storage_url, outage_limit_s=outage_limit, signs=False)
    console().print(f"Serving grpc://{host}:{port}; Ctrl-C ends it.", markup=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        run_grpc_proxy_server(opened, host=host, port=port)
