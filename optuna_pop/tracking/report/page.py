"""The report of a study: one page that needs nothing else and opens offline (extra ``report``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from optuna_pop.errors import needs_extra
from optuna_pop.files import write_whole
from optuna_pop.findings import Findings
from optuna_pop.tracking.interactive import Drawn, draw_figures
from optuna_pop.tracking.report import facts, search
from optuna_pop.tracking.report.choices import cards
from optuna_pop.tracking.report.published import published
from optuna_pop.tracking.report.reproduce import Made, attachments, commands
from optuna_pop.tracking.report.tables import Networks, Table

with needs_extra("report"):
    import jinja2
    import plotly.graph_objects as go
    from markupsafe import Markup, escape
    from plotly.offline import get_plotlyjs

_HEAD = 12  # pixels over a figure whose heading stands in the page
_SECTIONS = (
    ("result", "Result", ("boundary",)),
    ("networks", "Networks", ("decoders",)),
    ("search", "Search", ("settled", "improvement", "progress", "sequence")),
    ("order", "Order", ("pairs", "precedents")),
    ("latency", "Measurement", ("estimates",)),
)
"""Id and name of each section, and the figures that it shows."""


@dataclass(frozen=True)
class Plot:
    """A figure in the page.

    Attributes:
        id: Unique in the page.
        title: What it shows.
        finding: What is to be seen in it.
        caption: How to read it.
        height: Pixels.
        json: Of plotly, safe within a script element.
    """

    id: str
    title: str
    finding: str
    caption: str
    height: int
    json: Markup


@dataclass(frozen=True)
class Section:
    """A part of the page; empty parts are left out."""

    id: str
    title: str
    words: Sequence[str]
    plots: Sequence[Plot]
    tables: Sequence[Table]


def write_report(
    findings: Findings,
    path: Path,
    *,
    made: Made | None = None,
    storage_url: str = "sqlite:///study.db",
    budgets: Sequence[float] = (),
) -> None:
    """Write the report of a study as one HTML file; see ``report_html``.

    Raises:
        StorageError: if the file cannot be written.
    """
    write_whole(path, report_html(findings, made=made, storage_url=storage_url, budgets=budgets))


def report_html(
    findings: Findings,
    *,
    made: Made | None = None,
    storage_url: str = "sqlite:///study.db",
    budgets: Sequence[float] = (),
) -> str:
    """Return the report of a study: figures, tables, how all was measured and how to repeat it.

    Args:
        findings: Of any study with a boundary, also one without trainings.
        made: How the study was made, see ``optuna_pop.experiment.identity.parts_of``.
        storage_url: Where the study is, for the commands; a password in it is not shown.
        budgets: Limits of the first cost to choose a network within, too.

    Returns:
        A page that makes no request: scripts, styles and files stand in it.
    """
    made = made or {}
    figures = draw_figures(findings)
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("optuna_pop.tracking.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["code"] = _code
    return templates.get_template("report.html.j2").render(
        name=findings.study.study_name,
        version=version("optuna-pop"),
        now=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        facts=facts.head(findings, made),
        numbers=search.key_numbers(findings),
        cards=cards(findings, budgets),
        sections=_sections(findings, made, figures),
        published=published(findings),
        commands=commands(findings, made, storage_url),
        attachments=attachments(findings, made),
        lacking={drawn.title: drawn.lacking for drawn in figures if drawn.lacking},
        style=Markup(_file("report.css")),
        script=Markup(_file("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def _sections(findings: Findings, made: Made, figures: Sequence[Drawn]) -> list[Section]:
    words: dict[str, list[str | None]] = {
        "order": [search.order_words(findings)],
        "latency": [facts.accuracies(findings, made), facts.costs(findings)],
    }
    tables: dict[str, list[Table]] = {
        "networks": Networks(findings).tables(),
        "search": search.efficiency(findings),
        "order": search.violations(findings),
        "latency": _measured(findings),
    }
    found = []
    for id_, title, shown in _SECTIONS:
        plots = [_plot(d, d.plot) for d in figures if d.figure.id in shown and d.plot is not None]
        said = [text for text in words.get(id_, ()) if text]
        if plots or said or tables.get(id_):
            found.append(Section(id_, title, said, plots, tables.get(id_, ())))
    return found


def _measured(findings: Findings) -> list[Table]:
    if not findings.tables:
        return []
    from optuna_pop.tracking.report.latencies import latency_tables  # with the profiling extra

    return latency_tables(findings)


def _plot(drawn: Drawn, plot: go.Figure) -> Plot:
    """Move a figure's heading into the page, where it wraps."""
    heading = plot.layout.title
    title, under = str(heading.text), str(heading.subtitle.text)
    plot.update_layout(title=None, margin={"t": _HEAD}, legend={"y": 1.02})
    height = int(plot.layout.height) - (plot.layout.margin.t or 0)
    content = json.dumps(json.loads(plot.to_json()), separators=(",", ":"))
    return Plot(
        id=drawn.id,
        title=drawn.title,
        finding=_text(title),
        caption=f"{_text(under)} {drawn.figure.caption}",
        height=height - 70,
        json=Markup(content.replace("&", "\\u0026").replace("<", "\\u003c")),
    )


def _text(plain: str) -> str:
    """Undo what ``interactive.style.plain`` and the bold heading do: the page escapes itself."""
    return Markup(plain.removeprefix("<b>").removesuffix("</b>")).unescape()


def _code(words: str) -> Markup:
    """Words in which commands stand between backticks."""
    parts = [escape(part) for part in words.split("`")]
    parts[1::2] = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    return Markup("").join(parts)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
