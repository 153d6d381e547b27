"""Options and fixtures that every folder of tests may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from tests.browser import page, screenshots

__all__ = ["page", "screenshots"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tables",
        type=Path,
        default=None,
        help="folder with NAME.csv.gz + NAME.json tables of really trained architectures",
    )


@pytest.fixture(autouse=True)
def quiet_optuna() -> Iterator[None]:
    """Keep hundreds of per-trial lines out of a failing test's report."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)
