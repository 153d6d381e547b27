"""A study as optuna-dashboard shows it: real server, real browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import create_trial

from optuna_pop import OrderedSpace
from optuna_pop.errors import InputError, MissingExtraError
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import trained
from optuna_pop.spaces.base import ARCHITECTURE_ATTR
from optuna_pop.tracking import dashboard
from optuna_pop.tracking.dashboard_figures import fitted, thinned
from tests.browser import console_errors
from tests.tracking.conftest import BIN, free_port, serving

SPACE = OrderedSpace({"width": [8, 16, 32, 64], "depth": [1, 2, 3, 4, 5]})
SEARCHED = {"space": "20 networks: width | depth", "device": "this machine"}


def make_study(url: str | None = None) -> optuna.Study:
    """20 trained networks, one failed and one pruned."""
    study = optuna.create_study(
        study_name="looks", storage=url, directions=["maximize", "minimize"]
    )
    for row in range(len(SPACE)):
        architecture = SPACE.at(row)
        vector = SPACE.vector(architecture)
        study.add_trial(
            create_trial(
                params=SPACE.params(architecture),
                distributions=SPACE.distributions(),
                user_attrs={ARCHITECTURE_ATTR: str(architecture)},
                values=(60.0 + 5 * vector[0] + vector[1] - row % 3, 0.1 * sum(vector) + 0.1),
            )
        )
    for state in (optuna.trial.TrialState.FAIL, optuna.trial.TrialState.PRUNED):
        study.add_trial(create_trial(state=state))
    return study


def test_metric_names_and_note() -> None:
    study = make_study()
    assert dashboard.describe_study(study, searched=SEARCHED)
    assert study.metric_names == ["accuracy (%)", "latency (ms)"]
    from optuna_dashboard import get_note

    note = get_note(study)
    assert note.startswith("# looks\n")
    assert "accuracy (%) against latency (ms)" in note
    assert "- **space**: 20 networks: width | depth" in note
    attributes = study._storage.get_study_system_attrs(study._study_id)
    assert dashboard.describe_study(study, searched=SEARCHED)
    assert attributes == study._storage.get_study_system_attrs(study._study_id)


def test_wrong_number_of_names() -> None:
    with pytest.raises(InputError, match="'looks' has 2 objectives but the metric names are"):
        dashboard.describe_study(make_study(), metrics=["accuracy"])


def test_without_the_dashboard_only_the_metrics_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = dashboard.importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "optuna_dashboard" else found(name, package)

    study = make_study()
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", missing)
    assert not dashboard.describe_study(study)
    assert study.metric_names == ["accuracy (%)", "latency (ms)"]
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'optuna-pop\[dashboard\]'"):
        dashboard.write_note(study, "note")


def test_figures_are_thinned_and_fit_a_card() -> None:
    import plotly.graph_objects as go

    count = 5000
    figure = go.Figure(
        go.Scatter(
            x=list(range(count)),
            y=[2 * i for i in range(count)],
            mode="markers",
            name="trained",
            customdata=[[i, "words"] for i in range(count)],
            marker={"color": list(range(count)), "size": 4},
        )
    )
    trace = thinned(figure).data[0]
    assert trace.name == "trained (2,000 of 5,000)"
    assert len(trace.x) == len(trace.y) == len(trace.customdata) == len(trace.marker.color) == 2000
    assert (trace.x[0], trace.x[-1]) == (0, count - 1)
    assert all(
        y == 2 * x == 2 * about[0]
        for x, y, about in zip(trace.x, trace.y, trace.customdata, strict=True)
    )
    assert len(figure.data[0].x) == count
    figure.update_layout(title={"text": f"<b>{'long ' * 30}</b>"}, height=700)
    lines = fitted(figure).layout.title.text.split("<br>")
    assert len(lines) == 3
    assert all(line.startswith("<b>") and line.endswith("</b>") for line in lines)
    assert fitted(figure).layout.height < 500


def test_command() -> None:
    command = dashboard.dashboard_command
    assert command("sqlite:///study.db") == "optuna-pop dashboard --storage sqlite:///study.db"
    assert command("sqlite:///my study.db").endswith("--storage 'sqlite:///my study.db'")
    assert "s3cret" not in command("postgresql+psycopg://me:s3cret@host/name")


@pytest.mark.browser
def test_study_page_shows_metrics_note_and_pareto_front(
    page: Any, tmp_path: Path, screenshots: Path
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = make_study(url)
    dashboard.describe_study(study, searched=SEARCHED)
    port = free_port()
    address = f"http://127.0.0.1:{port}/dashboard"
    errors = console_errors(page)
    with serving(
        [str(BIN / "optuna-dashboard"), url, "--port", str(port)],
        address,
        tmp_path / "dashboard.log",
    ):
        page.goto(f"{address}/studies/1", timeout=60_000)
        page.wait_for_selector("#graph-pareto-front .points", state="attached", timeout=60_000)
        plot = "document.querySelector('#graph-pareto-front').data"
        traces = page.evaluate(f"{plot}.map(t => Array.from(t.x, (x, i) => [x, t.y[i]]))")
        text = page.inner_text("body")
        page.screenshot(path=screenshots / "dashboard-study.png")
        page.goto(f"{address}/studies/1/note", timeout=60_000)
        page.wait_for_selector("text=How to read it", timeout=60_000)
        note = page.inner_text("body")
    assert "Objective X:\naccuracy (%)" in text
    assert "Objective Y:\nlatency (ms)" in text
    found = trained(study)
    points = sorted([entry.accuracy, entry.costs[0]] for entry in found)
    on_boundary = sorted([entry.accuracy, entry.costs[0]] for entry in boundary_rows(found))
    assert 1 < len(on_boundary) < len(points) == 20
    *_, others, best = ([p for p in sorted(trace) if None not in p] for trace in traces)
    assert sorted(others + best) == points
    assert best == on_boundary
    assert "20 networks: width | depth" in note
    assert errors == []
