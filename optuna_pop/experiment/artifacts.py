"""Files that say what a study searched, on what and how, and what it found."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.study import Study

from optuna_pop.errors import OptunaPopError
from optuna_pop.experiment import identity
from optuna_pop.files import numbered, write_whole
from optuna_pop.findings import Findings
from optuna_pop.tracking.tables import write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PARTS = ("space", "data", "recipe", "weights", "settings")
_logger = logging.getLogger(__name__)


def write_files(study: Study, folder: Path) -> None:
    """Write what a study carries, and what it has found as far as that can be shown yet.

    ``space.json``, ``data.json``, ``recipe.json``, ``weights.json``, ``settings.json``,
    ``latency.json``, ``boundary.csv``, ``boundary.png``, ``certificate.png``, ``pairs.png``,
    ``precedents.png``; of several costs the second has ``-2`` in its names, and so on. What the
    study does not carry is left out, and figures that cannot be drawn.

    Args:
        study: Any.
        folder: Where to.

    Raises:
        StorageError: if the folder cannot be written.
    """
    for name in _PARTS:
        part = identity.found_part(study, name)
        if part is not None:
            write_whole(folder / f"{name}.json", json.dumps(part, indent=1) + "\n")
    try:
        findings = identity.findings_of(study)
    except OptunaPopError as error:  # without a boundary, or of another optuna-pop
        _logger.info("optuna-pop: nothing to show of what was found: %s", error)
        return
    for at, table in enumerate(findings.tables):
        table.save(numbered(folder / "latency.json", at))
    write_csv(folder / "boundary.csv", findings.trained)
    _draw_all(findings, folder)


def _draw_all(findings: Findings, folder: Path) -> None:
    try:
        from optuna_pop.tracking import study_figures
        from optuna_pop.tracking.figures import save_figure
    except OptunaPopError as error:  # Matplotlib is missing
        _logger.info("optuna-pop: no figures: %s", error)
        return

    def draw(name: str, at: int, figure: Callable[[], Figure]) -> None:
        try:
            save_figure(figure(), numbered(folder / name, at))
        except OptunaPopError as error:  # too few trainings, say
            _logger.info("optuna-pop: %s is left out: %s", name, error)
        except Exception:  # whatever it is, it is worth less than the trainings
            _logger.warning("optuna-pop: %s could not be drawn", name, exc_info=True)

    by_cost: dict[str, Any] = {
        "boundary.png": study_figures.boundary,
        "certificate.png": study_figures.certificate,
        "pairs.png": study_figures.pairs,
    }
    for at in range(len(findings.cost_names)):
        for name, figure in by_cost.items():
            draw(name, at, partial(figure, findings, at))
    draw("precedents.png", 0, partial(study_figures.precedents, findings))
