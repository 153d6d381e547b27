"""A registry behind a real server: in a real browser, and when it goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.cli.registered import call, make_studies
from tests.tracking.conftest import BIN, free_port, serving

CHROMIUM = "/usr/bin/chromium"
# MLflow asks its server for what only one with users has.
NO_USERS = "ajax-api/2.0/mlflow/users/current"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    make_studies(folder)
    return folder


@contextmanager
def registry(folder: Path, port: int) -> Iterator[str]:
    """An MLflow server that keeps all in a folder; the same port finds it again."""
    address = f"http://127.0.0.1:{port}"
    words = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{folder}/registry.db", "--workers", "1"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    with serving(words, f"{address}/health", folder / "server.log"):
        yield address


def register(folder: Path, address: str, *words: Any) -> Any:
    where = ["--storage", "sqlite:///study.db", "--study", "digits", "--tracking-uri", address]
    return call(folder, "register", *where, "--name", "Digits", "--seconds", "0.2", *words)


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a real Chromium."""
    if not Path(CHROMIUM).exists():
        words = f"{CHROMIUM} is missing; get it with: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    from playwright.sync_api import sync_playwright

    switches = "--no-sandbox --disable-gpu --disable-quic --no-first-run"
    switches += " --disable-background-networking --disable-component-update --disable-sync"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches.split())
        yield browser.new_page(viewport={"width": 1600, "height": 1400})
        browser.close()


@pytest.mark.browser
def test_registry_page_shows_versions_aliases_and_tags(
    finished: Path, page: Any, tmp_path: Path
) -> None:
    errors: list[str] = []
    page.on(
        "console",
        lambda line: errors.append(f"{line.text} {line.location}") if line.type == "error" else 0,
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    with registry(tmp_path, free_port()) as address:
        result = register(finished, address, "--all-boundary")
        assert result.code == 0, result.err
        client = MlflowClient(address)
        named = client.get_registered_model("Digits").aliases
        best = client.get_model_version("Digits", named["most-accurate"])
        page.goto(f"{address}/#/models", timeout=60_000)
        page.click("button:has-text('Try it now')", timeout=60_000)  # MLflow's own announcement
        page.wait_for_selector("a:has-text('Digits')", timeout=60_000)
        page.goto(f"{address}/#/models/Digits", timeout=60_000)
        page.wait_for_selector("text=@ fastest", timeout=60_000)
        model = page.inner_text("body")
        page.screenshot(path=tmp_path / "model.png")
        page.goto(f"{address}/#/models/Digits/versions/{best.version}", timeout=60_000)
        page.wait_for_selector("text=How latency is known", timeout=60_000)
        version = page.inner_text("body")
        page.screenshot(path=tmp_path / "version.png")
    for alias in ("fastest", "knee", "most-accurate"):
        assert f"@ {alias}" in model
    for number in range(1, len(client_versions(named)) + 1):
        assert f"Version {number}" in model
    for tag in ("latency_ms", "device", "engine", "top-1", "macs", "latency_table", "study"):
        assert f"{tag}\n: {best.tags[tag]}" in model
    assert "@ most-accurate" in version
    assert best.tags["architecture"] in version
    assert 'mlflow.pyfunc.load_model("models:/Digits@ALIAS")' in version
    assert [error for error in errors if NO_USERS not in error] == []


def client_versions(named: dict[str, str]) -> set[str]:
    return set(named.values())


def test_a_registry_that_goes_away_meanwhile_loses_nothing(finished: Path, tmp_path: Path) -> None:
    port = free_port()
    networks = tmp_path / "networks"
    address = f"http://127.0.0.1:{port}"
    words = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/registry.db", "--workers", "1"]
    words += ["--artifacts-destination", str(tmp_path / "artifacts")]
