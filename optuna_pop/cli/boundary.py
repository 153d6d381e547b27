"""``optuna-pop boundary``: what a study has found so far."""

from __future__ import annotations

from math import inf, isfinite
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure
from rich.table import Table

from optuna_pop.cli.options import DEFAULT_STORAGE, StorageOption, console
from optuna_pop.experiment import identity
from optuna_pop.experiment.storage import load_study
from optuna_pop.files import numbered
from optuna_pop.findings import Choice, Findings
from optuna_pop.tracking import study_figures
from optuna_pop.tracking.figures import save_figure
from optuna_pop.tracking.tables import write_csv
from optuna_pop.tracking.words import certificate_words, split_unit

EXAMPLE = (
    "**Example:** optuna-pop boundary --storage sqlite:///study.db --study demo "
    "--csv boundary.csv --png boundary.png --budget-ms 0.2"
)


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
    ] = None,
    budget: Annotated[
        list[float] | None,
        typer.Option(
            "--budget-ms",
            help="Name the most accurate network within this latency; with several costs give one "
            "for each, in their sequence.",
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            "--accuracy", help="Name the fastest network of this accuracy or more, in its unit."
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all trained networks here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the boundary here.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Draw what is settled and what is still open here.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Draw here what comparable pairs differ by (Figure 3(b)).")
    ] = None,
    precedents: Annotated[
        Path | None,
        typer.Option(help="Draw accuracy against the number of precedents here (Figure 8(b))."),
    ] = None,
) -> None:
    """Show the boundary of a study in the terminal, as a table file and as a figure."""
    findings = identity.findings_of(load_study(storage_url, study))
    report(findings)
    if budget:
        say_best_under(findings, budget)
    if accuracy is not None:
        say_fastest_above(findings, accuracy)
    if csv:
        write_csv(csv, findings.trained)
        console().print(f"Wrote {csv}")
    for at in range(len(findings.cost_names)):  # a figure for each cost
        if png:
            _save(study_figures.boundary(findings, at), numbered(png, at))
        if certificate:
            _save(study_figures.certificate(findings, at), numbered(certificate, at))
        if pairs:
            _save(study_figures.pairs(findings, at), numbered(pairs, at))
    if precedents:
        _save(study_figures.precedents(findings), precedents)


def report(findings: Findings) -> None:
    """Print the boundary, and how well the trained networks follow the order."""
    name, show = findings.study.study_name, console().print
    if not findings.trained:
        show(f"Study {name!r} has no completed training yet.")
        return
    table = Table(title=f"Boundary of study {name!r}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("architecture")
    table.add_column(findings.accuracy_name, justify="right")
    for cost in findings.cost_names:
        table.add_column(cost, justify="right")
    for entry in findings.boundary:
        table.add_row(
            str(entry.number),
            entry.architecture,
            f"{entry.accuracy:.2f}",
            *(f"{cost:.4f}" for cost in entry.costs),
        )
    show(table)
    show(f"{len(findings.boundary)} networks on the boundary, of {len(findings.trained)} trained.")
    _report_order(findings)
    _report_certificate(findings)


def say_best_under(findings: Findings, budget: list[float]) -> None:
    """Print the most accurate network within a budget, and what may still be better.

    Raises:
        InputError: if the budget is none.
        StudyError: if nothing trained is within it.
    """
    choice = findings.best_under(*budget)
    within = " and ".join(
        _after(f"{limit:g}", cost) for limit, cost in zip(budget, findings.cost_names, strict=False)
    )
    text = f"Best within {within}: {_words(findings, choice)}."
    if choice.bound is not None:
        if choice.bound == -inf:
            text += " Nothing within it is untrained."
        elif isfinite(choice.bound) and isfinite(choice.tolerance):
            text += f" By the order nothing untrained within it exceeds {choice.bound:.2f}."
        else:
            text += " The order does not bound yet what is untrained within it."
    console().print(text)


def say_fastest_above(findings: Findings, accuracy: float) -> None:
    """Print the fastest network of an accuracy, and what may still be faster.

    Raises:
        StudyError: if nothing trained is so accurate.
    """
    choice = findings.fastest_above(accuracy)
    name = findings.accuracy_name
    least = _after(f"{accuracy:g}", name)
    text = f"Fastest with {split_unit(name)[0]} of {least} or more: {_words(findings, choice)}."
    if choice.bound is not None:
        if not isfinite(choice.tolerance):
            text += " The order does not say yet what untrained ones can reach."
        elif isfinite(choice.bound):
            bound = _after(f"{choice.bound:.4f}", findings.cost_names[0])
            text += f" By the order nothing untrained reaches that in less than {bound}."
        else:
            text += " By the order nothing untrained reaches that."
    console().print(text)


def _words(findings: Findings, choice: Choice) -> str:
    name = findings.accuracy_name
    accuracy = _after(f"{choice.accuracy:.2f}", name)
    costs = zip(choice.costs, findings.cost_names, strict=True)
    at = ", ".join(_after(f"{cost:.4f}", named) for cost, named in costs)
    return (
        f"trial {choice.number}, {choice.architecture}, with {split_unit(name)[0]} {accuracy} "
        f"at {at}"
    )


def _after(number: str, named: str) -> str:
    """Write a number with the unit of its name, if that has one."""
    return f"{number} {split_unit(named)[1]}".rstrip()


def _save(figure: Figure, path: Path) -> None:
    save_figure(figure, path)
    console().print(f"Wrote {path}")


def _report_order(findings: Findings) -> None:
    """Print how many comparable pairs of trained networks contradict the order."""
    found = findings.order_check
    if found is None:
        return
    check, held_out = found
    console().print(
        f"Order: {check.pairs} comparable pairs, {check.violations} violations "
        f"(largest {check.largest:.2f} points), {check.beyond_noise} beyond the noise of "
        f"{held_out} held-out samples (±{check.noise:.2f}): "
        f"{100 * check.share_followed:.1f}% follow the order."
    )


def _report_certificate(findings: Findings) -> None:
    """Print how much of the space is settled."""
    found = findings.certificate
    if found is None:
        return
    console().print(f"Space: {certificate_words(found)}")
