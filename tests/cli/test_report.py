"""``optuna-pop report`` on a study of real trainings."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from optuna_pop.spaces.presets import load_space

Run = Callable[..., tuple[int, str, str]]
URL = "sqlite:///study.db"


@pytest.mark.browser
def test_report_of_a_search(run: Run, folder: Path, page: Any, screenshots: Path) -> None:
    search = ["search", "--space", "space.json", "--table", "latency.json", "--trials", "2"]
    search += ["--recipe", "digits-smoke", "--set", "momentum=0.8", "--storage", URL]
    assert run(*search)[0] == 0
    code, out, _ = run("report", "--storage", URL, "--out", "report.html", "--budget-ms", "5")
    assert code == 0
    assert "Wrote report.html" in out
    html = (folder / "report.html").read_text()

    page.goto(f"file://{folder / 'report.html'}")
    page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    facts = page.inner_text(".facts")
    for fact in ("BackboneSpace(", "made up", "onnxruntime, float32", "digits", "momentum=0.8"):
        assert fact in facts
    for title in ("Networks on the boundary", "Widths and depths, stage by stage"):
        assert page.get_by_text(title, exact=True).count() == 1
    assert "Published by Li, Zhou, Pan and Feng" in page.inner_text("#published")
    assert "Each network was trained for" in page.inner_text("#latency")
    page.screenshot(path=screenshots / "report-search.png", full_page=True)

    # The files in the page and the command beside them make the same search again.
    for name, content in re.findall(r'download="([^"]+)" href="data:[^,]+,([^"]+)"', html):
        (folder / name).write_bytes(base64.b64decode(content))
    assert load_space("space.json").fingerprint
    assert json.loads((folder / "latency.json").read_text())["schema"]
    (command,) = re.findall(r"<code>(optuna-pop search.*?)</code>", html, re.DOTALL)
    words = shlex.split(unescape(command).replace("\\\n", " "))
    assert "momentum=0.8" in words
    assert "--tolerance" not in words
    words[words.index("--trials") + 1] = "1"
    code, out, err = run(*words[1:])
    assert code == 0, err
    assert "Boundary of study 'again'" in out


def test_a_page_of_another_name_is_refused(run: Run, folder: Path) -> None:
    code, _, err = run("report", "--storage", URL, "--out", "report.pdf")
    assert code != 0
    assert "must end in .html" in err
    assert "Traceback" not in err


def test_a_study_that_is_not_there(run: Run, folder: Path) -> None:
    code, _, err = run("report", "--storage", URL, "--study", "none")
    assert code != 0
    assert "Traceback" not in err
    assert not (folder / "report.html").exists()
