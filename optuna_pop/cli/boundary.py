"""``optuna-pop boundary``: what a study has found so far."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure
from optuna.study import Study
from rich.table import Table

from optuna_pop.cli.options import DEFAULT_STORAGE, StorageOption, console
from optuna_pop.errors import StudyError
from optuna_pop.experiment import identity
from optuna_pop.experiment.storage import load_study
from optuna_pop.ledger import Trained, trained
from optuna_pop.order import check_order
from optuna_pop.order.certificate import Certificate
from optuna_pop.order.consistency import binomial_noise
from optuna_pop.sampler import POPSampler
from optuna_pop.tracking import figures, order_figures
from optuna_pop.tracking.certificate_figure import certificate_figure
from optuna_pop.tracking.tables import boundary_rows, write_csv

EXAMPLE = (
    "**Example:** optuna-pop boundary --storage sqlite:///study.db --study demo "
    "--csv boundary.csv --png boundary.png"
)


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Name of the study; may be left out if it is the only one.")
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
    opened = load_study(storage_url, study)
    sampler = identity.sampler_of(opened)
    report(opened, sampler)
    write(opened, sampler, csv=csv, png=png, certificate=certificate)
    write_order(opened, sampler, pairs=pairs, precedents=precedents)


def report(study: Study, sampler: POPSampler[Any] | None) -> None:
    """Print the boundary, and how well the trained networks follow the order."""
    found = trained(study)
    show = console().print
    if not found:
        show(f"Study {study.study_name!r} has no completed training yet.")
        return
    table = Table(title=f"Boundary of study {study.study_name!r}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("architecture")
    table.add_column(_accuracy_name(study), justify="right")
    for name in _cost_names(study):
        table.add_column(name, justify="right")
    rows = boundary_rows(found)
    for entry in rows:
        table.add_row(
            str(entry.number),
            entry.architecture,
            f"{entry.accuracy:.2f}",
            *(f"{cost:.4f}" for cost in entry.costs),
        )
    show(table)
    show(f"{len(rows)} networks on the boundary, of {len(found)} trained.")
    _report_order(study)
    if sampler is not None:
        _report_certificate(study, sampler)


def write(
    study: Study,
    sampler: POPSampler[Any] | None,
    *,
    csv: Path | None = None,
    png: Path | None = None,
    certificate: Path | None = None,
) -> None:
    """Write the trained networks as a table file, boundary and certificate as figures, if asked.

    With several costs there is a figure for each, numbered from the second on.

    Raises:
        StudyError: if a certificate is asked of a study that does not hold its space and table.
    """
    found = trained(study)
    if csv:
        write_csv(csv, found)
        console().print(f"Wrote {csv}")
    if not png and not certificate:
        return
    proof = None if sampler is None else sampler.certificate(study)
    if certificate and proof is None:
        raise StudyError(
            f"study {study.study_name!r} does not hold the space and latency table that a "
            "certificate needs: it was not made by `optuna-pop search`"
        )
    for at, name in enumerate(_cost_names(study)):
        if png:
            pruned = None if proof is None else proof.unseen_costs[proof.unseen_pruned, at]
            figure = figures.boundary_figure(
                found,
                cost=at,
                cost_label=name,
                pruned=pruned,
                accuracy_label=_accuracy_label(study),
            )
            _save(figure, _numbered(png, at))
        if certificate and proof is not None:
            _save(_certificate_figure(found, proof, at, name), _numbered(certificate, at))


def write_order(
    study: Study,
    sampler: POPSampler[Any] | None,
    *,
    pairs: Path | None = None,
    precedents: Path | None = None,
) -> None:
    """Write the paper's checks of the order as figures, if asked.

    Raises:
        StudyError: if the study does not hold its space and table.
        InputError: if too few networks are trained.
    """
    if pairs is None and precedents is None:
        return
    space = identity.space_of(study)
    if space is None or sampler is None:
        raise StudyError(
            f"study {study.study_name!r} does not hold the space and latency table that order is "
            "judged by: it was not made by `optuna-pop search`"
        )
    complete = [t for t in study.get_trials(deepcopy=False) if t.values is not None]
    vectors = np.array([space.vector(space.from_params(trial.params)) for trial in complete])
    values = np.array([trial.values for trial in complete], dtype=np.float64)
    label = _accuracy_name(study)
    if pairs is not None:
        for at, name in enumerate(_cost_names(study)):
            figure = order_figures.pairs_figure(
                vectors, values[:, 0], values[:, 1 + at], accuracy_label=label, cost_label=name
            )
            _save(figure, _numbered(pairs, at))
    if precedents is not None:
        counts = sampler.precedents(vectors)
        _save(
            order_figures.precedents_figure(counts, values[:, 0], accuracy_label=label), precedents
        )


def _certificate_figure(found: list[Trained], proof: Certificate, at: int, name: str) -> Figure:
    title = None
    if isfinite(proof.tolerance):
        title = (
            f"{100 * proof.share_settled:.0f}% of {proof.architectures:,} architectures cannot "
            f"beat this boundary by more than {proof.tolerance:.2g} points"
        )
    return certificate_figure(
        found,
        proof.upper[at],
        tolerance=proof.tolerance,
        pruned=proof.unseen_costs[proof.unseen_pruned, at],
        still_open=proof.unseen_costs[~proof.unseen_pruned, at],
        title=title,
        cost=at,
        cost_label=name,
    )


def _numbered(path: Path, at: int) -> Path:
    return path if at == 0 else path.with_stem(f"{path.stem}-{at + 1}")


def _save(figure: Figure, path: Path) -> None:
    figures.save_figure(figure, path)
    console().print(f"Wrote {path}")


def _accuracy_label(study: Study) -> str:
    name = _accuracy_name(study)
    return f"top-1 {name}" if name == "accuracy (%)" else name


def _accuracy_name(study: Study) -> str:
    return "accuracy (%)" if study.metric_names is None else study.metric_names[0]


def _cost_names(study: Study) -> list[str]:
    costs = len(study.directions) - 1
    if study.metric_names is not None:
        return list(study.metric_names[1:])
    return ["latency (ms)"] if costs == 1 else [f"cost {i + 1}" for i in range(costs)]


def _report_order(study: Study) -> None:
    """Print how many comparable pairs of trained networks contradict the order."""
    space = identity.space_of(study)
    complete = [t for t in study.get_trials(deepcopy=False) if t.values is not None]
    if space is None or any(identity.HELD_OUT_ATTR not in t.user_attrs for t in complete):
        return
    held_out = int(min(trial.user_attrs[identity.HELD_OUT_ATTR] for trial in complete))
    accuracy = np.array([trial.values[0] for trial in complete])
    vectors = np.array([space.vector(space.from_params(trial.params)) for trial in complete])
    noise = binomial_noise(accuracy, held_out, percent=True)
    check = check_order(vectors, accuracy, noise)
    console().print(
        f"Order: {check.pairs} comparable pairs, {check.violations} violations "
        f"(largest {check.largest:.2f} points), {check.beyond_noise} beyond the noise of "
        f"{held_out} held-out samples (±{noise:.2f}): "
        f"{100 * check.share_followed:.1f}% follow the order."
    )


def _report_certificate(study: Study, sampler: POPSampler[Any]) -> None:
    """Print how much of the space is settled."""
    found = sampler.certificate(study)
    text = (
        f"Space: {found.architectures:,} architectures in the cost range: {found.trained} "
        f"trained, {found.pruned:,} pruned unseen, {found.open:,} open"
    )
    if isfinite(found.tolerance):
        text += (
            f"; by the order {100 * found.share_settled:.1f}% cannot beat this boundary by more "
            f"than the tolerance ({found.tolerance:.3g} points)"
        )
    console().print(text + ".")
