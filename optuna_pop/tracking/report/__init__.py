"""The report of a study as one HTML page (extra ``report``)."""

from __future__ import annotations

from optuna_pop.tracking.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
