"""The report, opened offline in a real Chromium as its reader would."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_pop import POPSampler
from optuna_pop.errors import StorageError
from optuna_pop.findings import Findings
from optuna_pop.spaces.decoder import DecoderSpace
from optuna_pop.tracking.dashboard import name_metrics
from optuna_pop.tracking.interactive import FIGURES
from optuna_pop.tracking.interactive.marks import HELD, OTHERS
from optuna_pop.tracking.report import report_html, write_report
from tests.browser import console_errors
from tests.tracking.studies import SPACE, searched, verified_table

NASTY = "<script>window.harmed = true</script></title><img src=x onerror='window.harmed = true'>"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


class Reader:
    """A page that shows reports offline, and what went wrong meanwhile."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self._file = page, folder / "report.html"
        self.errors = console_errors(page)
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.context.set_offline(True)

    def open(self, findings: Findings, size: dict[str, int] = DESKTOP, **told: Any) -> None:
        write_report(findings, self._file, **told)
        self.page.set_viewport_size(size)
        self.page.goto(f"file://{self._file}")
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
        assert self.errors == []
        elsewhere = [u for u in self.requests if not u.startswith(("data:", "blob:"))]
        assert set(elsewhere) == {f"file://{self._file}"}
        assert self.page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]

    def table(self, title: str) -> list[list[str]]:
        """Rows of the table of a title."""
        found = self.page.locator("figure.table", has=self.page.get_by_text(title, exact=True))
        rows = found.locator("tbody tr")
        return [row.locator("td").all_inner_texts() for row in rows.all()]

    def points(self, plot: str, name: str) -> list[tuple[float, float]]:
        """What a trace of a figure shows."""
        script = f"""() => {{
            const plot = document.getElementById({plot!r});
            const trace = plot._fullData.find(one => one.name === {name!r});
            return trace ? Array.from(trace.x, (x, i) => [x, trace.y[i]]) : [];
        }}"""
        return [tuple(point) for point in self.page.evaluate(script)]


@pytest.fixture
def reader(page: Any, tmp_path: Path) -> Reader:
    return Reader(page, tmp_path)


@pytest.mark.browser
def test_a_study_as_its_reader_sees_it(reader: Reader, screenshots: Path) -> None:
    findings = Findings.of(searched(), tables=[verified_table()])
    reader.open(findings, budgets=[1.0, 1e-9])
    page = reader.page
    assert page.title().startswith("s: ")
    numbers = dict(zip(reader.texts(".numbers span"), reader.texts(".numbers strong"), strict=True))
    proof = findings.certificate
    assert proof is not None
    assert numbers["networks trained"] == str(len(findings.trained))
    assert numbers["on the boundary"] == str(len(findings.boundary))
    assert numbers["pruned without training"] == str(proof.pruned)

    plots = [plot.get_attribute("id") for plot in page.locator(".plot").all()]
    assert set(plots) == {figure.id for figure in FIGURES} - {"decoders"}
    assert page.locator(".plot.js-plotly-plot").count() == len(plots)
    held = [(e.costs[0], e.accuracy) for e in findings.boundary]
    assert reader.points("boundary", HELD) == held
    drawn = held + reader.points("boundary", OTHERS)
    assert sorted(drawn) == sorted((e.costs[0], e.accuracy) for e in findings.trained)

    cards = dict(zip(reader.texts(".card h3"), reader.texts(".card .architecture"), strict=True))
    assert cards["Fastest"] == findings.fastest().architecture
    assert cards["Most accurate"] == findings.most_accurate().architecture
    best = findings.best_under(1.0)
    assert cards["Best with latency (ms) ≤ 1"] == best.architecture
    assert cards["Best with latency (ms) ≤ 1e-09"] == "none"
    assert f"trial {best.number}" in reader.texts(".card")[3]

    rows = reader.table("Networks on the boundary")
    assert [row[:2] for row in rows] == [[str(e.number), e.architecture] for e in findings.boundary]
    assert [float(row[2]) for row in rows] == [round(e.accuracy, 2) for e in findings.boundary]
    took = dict(reader.table("What the search took"))
    assert took["covered (trained or pruned)"] == str(proof.trained + proof.pruned)
    blocks = reader.table("Latency of the blocks (the look-up table)")
    assert len(blocks) == len(findings.tables[0].blocks)
    measured = dict(reader.table("How latencies were measured"))
    assert measured["a latency is"].startswith("the minimum of 15 timed runs at batch 1")
    (sums, corrected) = reader.table("How well blocks predict 6 whole networks")
    assert sums[:2] == ["plain sums", "11.1%"]
    assert corrected[:2] == ["corrected sums", "0.0%"]
    check = findings.order_check
    assert check is not None
    assert check[0].violations == 0
    said = f"None of {check[0].pairs} comparable pairs contradicts the order."
    assert reader.texts("#order p")[0] == said
    page.screenshot(path=screenshots / "report.png", full_page=True)


@pytest.mark.browser
def test_the_pointer_names_the_network(reader: Reader) -> None:
    findings = Findings.of(searched())
    reader.open(findings)
    dots = reader.page.locator("#boundary .trace.scatter").last.locator("path.point")
    assert dots.count() == len(findings.boundary)
    dots.first.scroll_into_view_if_needed()
    dots.first.hover(force=True)
    words = reader.page.locator("#boundary .hoverlayer .hovertext").first.text_content(timeout=5000)
    fastest = findings.boundary[0]
    for part in fastest.architecture.split(", "):
        assert part in words
    assert f"trial {fastest.number}" in words
    assert f"{fastest.accuracy:.4g}" in words
    assert f"{fastest.costs[0]:.4g}" in words
    ink = reader.page.locator("#boundary .hoverlayer text").first
    assert ink.evaluate("text => getComputedStyle(text).fill") == "rgb(31, 35, 40)"


@pytest.mark.browser
def test_on_a_phone_and_on_paper(page: Any, tmp_path: Path, screenshots: Path) -> None:
    phone = page.context.browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True)
    page = phone.new_page()
    Reader(page, tmp_path).open(Findings.of(searched(), tables=[verified_table()]), PHONE)
    for plot in page.locator(".plot").all():
        box = plot.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    page.screenshot(path=screenshots / "report-phone.png", full_page=True)
    shown = "() => document.getElementById('boundary')._fullLayout.yaxis.range"
    before = page.evaluate(shown)
    dot = page.locator("#boundary path.point").last
    dot.scroll_into_view_if_needed()
    for _ in range(2):  # taps name a network, and zoom or change nothing
        dot.tap(force=True)
    assert "trial" in page.locator("#boundary .hovertext").first.text_content(timeout=5000)
    page.wait_for_timeout(400)  # longer than a double click takes
    assert page.evaluate(shown) == before
    page.emulate_media(media="print")
    plots = page.locator(".plot").count()
    assert page.locator(".still:visible").count() == plots > 5
    assert page.locator(".plot:visible").count() == 0
    assert page.locator("nav:visible").count() == 0
    assert page.pdf(path=screenshots / "report.pdf", format="A4").startswith(b"%PDF")
    wide = page.evaluate("[...document.querySelectorAll('.still')].map(one => one.naturalWidth)")
    assert all(width > 0 for width in wide)


@pytest.mark.browser
def test_words_of_users_do_no_harm(reader: Reader) -> None:
    study = optuna.create_study(study_name=NASTY, directions=["maximize", "minimize"])
    name_metrics(study, [f"accuracy {NASTY}", f"cost {NASTY}"])

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("architecture", NASTY)
        return x, x + 0.1

    study.optimize(objective, n_trials=3)
    made = {"data": {"name": NASTY}, "recipe": {"name": NASTY}}
    reader.open(Findings.of(study), made=made, storage_url="mysql://me:secret@host/db")
    assert reader.page.evaluate("window.harmed") is None
    assert reader.page.locator("h1").inner_text() == NASTY
    assert NASTY in reader.texts(".card .architecture")[0]
    assert reader.page.locator("img:not(.still)").count() == 0
    html = reader.page.content()
    assert "secret" not in html
    assert "***" in html


@pytest.mark.browser
@pytest.mark.parametrize("trials", [0, 1, 3])
def test_few_trainings(reader: Reader, trials: int) -> None:
    findings = Findings.of(searched(trials))
    reader.open(findings)
    assert len(reader.table(f"All {trials} trials")) == trials
    if not trials:
        assert "No training of this study has completed yet" in reader.page.inner_text("main")
        assert reader.page.locator(".plot").count() == 0
    lacking = reader.texts("#lacking li")
    assert any("did not search decoders" in reason for reason in lacking)


def text_of(html: str) -> str:
    return re.sub(r"<[^>]*>", " ", html[: html.rindex("<script>")])


def test_decoders_as_the_paper_lists_them() -> None:
    space = DecoderSpace(2, widths=[4])
    sampler: POPSampler[Any] = POPSampler(space, cost=lambda a: float(sum(a.widths)), seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        widths = space.suggest(trial).widths
        trial.set_user_attr("macs", 2.5e9)
        return float(sum(widths)), float(sum(widths))

    study.optimize(objective, n_trials=1)
    (only,) = Findings.of(study).trained
    found = table_of(report_html(Findings.of(study)), "Decoders on the boundary")
    c3, c4, c5 = re.findall(r"\d+(?=,|$)", re.sub(r"C\d=", "", only.architecture))
    cost = only.costs[0]
    assert found["C3, C4, C5"] == f"{c3}, {c4}, {c5}"
    assert found["FPS"] == f"{1000 / cost:.4g}"
    assert found["MMACs"] == "2,500"
    assert "DF1-Seg-d8" in report_html(Findings.of(study))


def table_of(html: str, title: str) -> dict[str, str]:
    """The first row of a table."""
    part = html[html.index(f"<figcaption>{title}</figcaption>") :]
    part = part[: part.index("</tr>", part.index("<tbody>"))]
    names, cells = (re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", part) for tag in ("th", "td"))
    return dict(zip(names, cells, strict=True))


def test_contradictions_of_the_order_are_named() -> None:
    harmful = searched(9, accuracy=lambda a: a["width (channels)"] - 5 * (a["depth"] == 3))
    findings = Findings.of(harmful)
    assert findings.order_check is not None
    check, _ = findings.order_check
    html = report_html(findings)
    assert f"{check.violations} of {check.pairs} comparable pairs contradict the order" in html
    worst = table_of(html, "Pairs that contradict the order most")
    assert check.worst is not None
    smaller, larger = (findings.trained[row] for row in check.worst)
    assert worst["by"] == f"{smaller.accuracy - larger.accuracy:.3g}" == f"{check.largest:.3g}"


def test_several_costs() -> None:
    findings = Findings.of(searched(8, costs=2))
    html = report_html(findings)
    assert 'id="boundary-2"' in html
    assert '<th scope="col">cost 2</th>' in html


def test_failed_and_pruned_trials_are_listed_and_no_more() -> None:
    study = searched(3)
    for state, number in ((TrialState.FAIL, 3), (TrialState.PRUNED, 4)):
        trial = study.ask()
        assert trial.number == number
        trial.suggest_categorical("width (channels)", [8, 16, 32])
        if state == TrialState.FAIL:
            trial.set_user_attr("error", "RuntimeError: it <broke>")
        study.tell(trial, state=state)
    study.ask()
    html = report_html(Findings.of(study))
    words = text_of(html)
    assert "All 6 trials" in words
    assert "fail: RuntimeError: it &lt;broke&gt;" in words
    for said in ("pruned", "running"):
        assert f'<td class="words">{said}</td>' in html
    assert len(Findings.of(study).trained) == 3


def test_a_training_without_a_finite_accuracy_counts_for_nothing() -> None:
    study = searched(2)
    trial = study.ask()
    SPACE.suggest(trial)
    study.tell(trial, [math.inf, 1.0])
    findings = Findings.of(study)
    assert len(findings.trained) == 2
    assert findings.certificate is not None
    assert findings.history[-1][1].trained == findings.certificate.trained == 2
    html = report_html(findings)
    assert "Infinity" not in html.partition("<script>")[0]
    assert "All 3 trials" in html


def test_nothing_is_fetched_from_anywhere() -> None:
    html = report_html(Findings.of(searched(3)))
    assert "default-src 'none'" in html
    page = html[: html.index("</main>")]
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_report(Findings.of(searched(1)), tmp_path / "file" / "report.html")
