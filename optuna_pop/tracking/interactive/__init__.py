"""Interactive figures of what a study has found, for dashboards and reports (extra ``report``).

Each takes a ``Findings`` and which of several costs is drawn, from 0, and raises an ``InputError``
(often a ``StudyError``) where the study cannot show it.
"""

from __future__ import annotations

from optuna_pop.tracking.interactive.gallery import FIGURES, Drawn, InteractiveFigure, draw_figures

__all__ = ["FIGURES", "Drawn", "InteractiveFigure", "draw_figures"]
