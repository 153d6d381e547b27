"""A PostgreSQL server that a test may stop and start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgres


@pytest.fixture(scope="session")
def database() -> Iterator[postgres.Server]:
    """A server of the whole session; whoever stops it starts it again."""
    with postgres.running() as server:
        yield server
