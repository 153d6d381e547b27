"""A study's page in optuna-dashboard, kept current by whoever works on the study."""

from __future__ import annotations

import time
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_pop.experiment import identity
from optuna_pop.experiment.durable import DurableStorage
from optuna_pop.experiment.harmless import harmless
from optuna_pop.findings import Findings
from optuna_pop.ledger import Ledger
from optuna_pop.tracking import dashboard
from optuna_pop.tracking.study_note import study_note
from optuna_pop.tracking.trial_note import trial_note

WRITTEN_ATTR = "optuna_pop:note_written"
"""System attribute of a study: when a worker last began to write its note, and how long it took.

``[seconds since 1970, seconds]``.
"""

DRAWN_ATTR = "optuna_pop:figures_drawn"
"""System attribute of a study: completed trainings that its figures show."""

_PAUSE_S = 30.0  # between two workers' notes
_SHARE = 0.05  # of a search's time that notes may take


class StudyPage:
    """A callback of ``study.optimize`` that keeps the study's note current.

    Workers take turns: one writes it at most every 30 seconds, and later where it takes long. The
    last one wins. What goes wrong is logged and costs no training.

    Args:
        study: That ``optuna-pop search`` began.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._due = 0.0  # by this process's clock
        self._is_installed = dashboard.is_installed()

    def __call__(self, _: Study, __: FrozenTrial) -> None:
        """Write the note if it is due."""
        if time.monotonic() >= self._due and self._is_installed:
            self.write(only_if_due=True)

    def write(self, *, only_if_due: bool = False) -> None:
        """Write the note.

        Args:
            only_if_due: Not if another worker has done so shortly before.
        """
        if not self._is_installed:
            return
        with harmless(f"the note of study {self._study.study_name!r} was not written"):
            self._write(only_if_due=only_if_due)

    def _write(self, *, only_if_due: bool) -> None:
        storage, key = self._study._storage, self._study._study_id
        written = storage.get_study_system_attrs(key).get(WRITTEN_ATTR, (0.0, 0.0))
        now = time.time()
        left = written[0] + _pause(written[1]) - now
        if only_if_due and left > 0:
            self._due = time.monotonic() + left
            return
        storage.set_study_system_attr(key, WRITTEN_ATTR, [now, written[1]])
        dashboard.write_note(self._study, note_of(self._study))
        took = time.time() - now
        storage.set_study_system_attr(key, WRITTEN_ATTR, [now, took])
        self._due = time.monotonic() + _pause(took)

    def draw(self) -> None:
        """Draw the study's figures, unless they show all its trainings already."""
        if not self._is_installed:
            return
        with harmless(f"the figures of study {self._study.study_name!r} were not drawn"):
            from optuna_pop.tracking.dashboard_figures import write_figures

            storage, key = self._study._storage, self._study._study_id
            findings = identity.findings_of(self._study)
            count = len(findings.trained)
            if storage.get_study_system_attrs(key).get(DRAWN_ATTR) != count:
                write_figures(findings)
                storage.set_study_system_attr(key, DRAWN_ATTR, count)

    def complete(self) -> None:
        """Write all that the dashboard shows of the study: its note, its trials', its figures."""
        self.write()
        if self._is_installed:
            with harmless(f"trials of study {self._study.study_name!r} got no notes"):
                add_missing_trial_notes(self._study)
        self.draw()


def _pause(took_s: float) -> float:
    """Seconds from one note to the next, where one takes so long."""
    return max(_PAUSE_S, took_s / _SHARE)


def note_of(study: Study) -> str:
    """Write a study's note from what the study carries.

    Raises:
        StudyError: if it has one objective, or cannot be read by this optuna-pop.
    """
    storage = study._storage
    where = storage.where if isinstance(storage, DurableStorage) else None
    findings = identity.findings_of(study)
    return study_note(findings, searched=searched(findings), storage=where)


def searched(findings: Findings) -> dict[str, str]:
    """Say what a study searched, on what and how; empty where it does not say."""
    if findings.sampler is None or not findings.tables:
        return {}
    study, sampler = findings.study, findings.sampler
    table = identity.part_of(study, "table")
    found = {
        "space": f"{sampler.space}, {sampler.region.size:,} of them in the cost range",
        "device": table["device"],
        "engine": table["engine"],
    }
    for name in ("data", "recipe"):
        found[name] = identity.part_of(study, name)["name"]
    return found


def add_missing_trial_notes(study: Study) -> int:
    """Give every trial that has no note one with its network drawn; return how many did not.

    Raises:
        MissingExtraError: if optuna-dashboard is not installed.
        StudyError: if the study cannot be read by this optuna-pop.
    """
    space, tables = identity.space_of(study), identity.findings_of(study).tables
    if space is None or not tables:
        return 0
    ledger: Ledger[Any] = Ledger(space)
    added = 0
    for trial in dashboard.trials_without_note(study):
        architecture = ledger.architecture(trial)
        if architecture is not None:
            blocks = space.blocks(architecture)
            dashboard.add_trial_note(study, trial, trial_note(str(architecture), blocks, tables))
            added += 1
    return added
