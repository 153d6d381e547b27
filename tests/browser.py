"""A real Chromium, what its console says, and a place for pictures of what it showed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = "OPTUNA_POP_SCREENSHOTS"
"""Environment variable: the folder of screenshots, ``runs/screenshots`` by default."""

_SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a real Chromium."""
    if not Path(CHROMIUM).exists():
        words = f"{CHROMIUM} is missing; get it with: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_SWITCHES.split())
        yield browser.new_page(viewport={"width": 1400, "height": 1600})
        browser.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder where browser tests leave pictures of what they saw, for people to look at."""
    root = Path(__file__).parents[1]  # tests change the working folder
    folder = root / os.environ.get(SCREENSHOTS, "runs/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def console_errors(page: Any) -> list[str]:
    """Return a list that grows with every error on a page's console from now on."""
    errors: list[str] = []

    def hear(line: Any) -> None:
        if line.type == "error":
            errors.append(f"{line.text} {line.location.get('url', '')}".strip())

    page.on("console", hear)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors
