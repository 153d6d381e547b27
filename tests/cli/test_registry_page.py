"""A registry behind a real server: in a real browser, and when it goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.browser import console_errors
from tests.cli.registered import Result, call
from tests.tracking.conftest import BIN, free_port, serving

NO_USERS = "/ajax-api/2.0/mlflow/users/current"
"""What MLflow's page asks any server, and one without users does not know."""


@contextmanager
def registry(folder: Path, port: int) -> Iterator[str]:
    """An MLflow server that keeps all in a folder, so that the next one finds it again."""
    address = f"http://127.0.0.1:{port}"
    words = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{folder}/registry.db", "--workers", "1"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    with serving(words, f"{address}/health", folder / f"server-{time.time_ns()}.log"):
        yield address


def register(folder: Path, address: str, *words: Any) -> Result:
    where = ["--storage", "sqlite:///study.db", "--study", "digits", "--tracking-uri", address]
    return call(folder, "register", *where, "--name", "Digits", "--seconds", "0.2", *words)


@pytest.mark.browser
def test_registry_page_shows_versions_aliases_and_tags(
    finished: Path, page: Any, screenshots: Path, tmp_path: Path
) -> None:
    errors = console_errors(page)
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
        model = _text(page)
        page.screenshot(path=screenshots / "mlflow-registered-model.png")
        page.goto(f"{address}/#/models/Digits/versions/{best.version}", timeout=60_000)
        page.wait_for_selector("text=How latency is known", timeout=60_000)
        version = _text(page)
        page.screenshot(path=screenshots / "mlflow-model-version.png")
    for alias, number in named.items():
        assert f"@ {alias}" in model
        assert f"Version {number}" in model
    for tag in ("latency_ms", "device", "engine", "top-1", "macs", "latency_table", "study"):
        assert f"{tag} : {best.tags[tag]}" in model
    assert "@ most-accurate" in version
    assert best.tags["architecture"] in version
    assert 'mlflow.pyfunc.load_model("models:/Digits@ALIAS")' in version
    assert [error for error in errors if NO_USERS not in error] == []


def _text(page: Any) -> str:
    return " ".join(page.inner_text("body").split())


def test_a_registry_that_goes_away_meanwhile_loses_nothing(finished: Path, tmp_path: Path) -> None:
    networks, port = tmp_path / "networks", free_port()
    words = ["--trial", "0", "--out", networks]
    with ExitStack() as running:
        address = running.enter_context(registry(tmp_path, port))

        def end_once_trained() -> None:
            while not any(networks.glob("*.safetensors")):
                time.sleep(0.01)
            running.close()

        thread = threading.Thread(target=end_once_trained)
        thread.start()
        result = register(finished, address, *words)
        thread.join()
    assert result.code == 2
    (weights,) = networks.iterdir()
    assert f"MLflow at {address} cannot be used" in result.err
    assert f"trained weights are kept ({weights}): the same command goes on" in result.err
    with registry(tmp_path, port):
        result = register(finished, address, *words)
        assert result.code == 0, result.err
        assert f"Trial 0 is trained already: {weights}" in result.out
        assert "Trial 0: version 1 of Digits." in result.out
        (version,) = MlflowClient(address).search_model_versions("name='Digits'")
        assert version.tags["trial"] == "0"
