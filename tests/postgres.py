"""A real PostgreSQL server for one test session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from optuna_pop.testing import postgres
from optuna_pop.testing.postgres import Server

__all__ = ["Server", "running", "server"]


@contextmanager
def running() -> Iterator[Server]:
    """Run a server until the block is left; skip the test where there is none, but never in CI."""
    if postgres.installed() is None and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.running() as found:
        yield found


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield an SQLAlchemy URL of an empty database."""
    with running() as found:
        yield found.url
