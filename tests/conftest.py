"""Options and fixtures that every folder of tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tables",
        type=Path,
        default=None,
        help="folder with NAME.csv.gz + NAME.json tables of really trained architectures",
    )
