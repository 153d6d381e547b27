"""What was searched, on what and how, as a report's head shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna_pop.findings import Findings
from optuna_pop.ledger import HELD_OUT_ATTR
from optuna_pop.tracking.report.reproduce import Made

_DAY = "%Y-%m-%d %H:%M"


def head(findings: Findings, made: Made) -> dict[str, str]:
    """Space, device, engine, data, recipe and dates, as far as a study says."""
    found: dict[str, str] = {}
    if findings.space is not None:
        found["space"] = str(findings.space)
    if findings.tables:
        found["device"] = "; ".join(t.conditions.device_name for t in findings.tables)
        found["engine"] = "; ".join(
            f"{t.conditions.engine}, {t.conditions.precision}" for t in findings.tables
        )
    if "data" in made:
        found["data"] = _spec(made["data"])
    if "recipe" in made:
        found["recipe"] = _spec(made["recipe"])
    trials = findings.study.get_trials(deepcopy=False)
    begun = [t.datetime_start for t in trials if t.datetime_start is not None]
    ended = [t.datetime_complete for t in trials if t.datetime_complete is not None]
    if begun:
        last = f" to {max(ended):{_DAY}}" if ended else ""
        found["trials"] = f"{min(begun):{_DAY}}{last}"
    return found


def accuracies(findings: Findings, made: Made) -> str:
    """How accuracies were measured, in a sentence or two."""
    name = findings.accuracy_name
    if "data" not in made:
        return f"{name} is what the study's objective returned; the study does not say how."
    trials = findings.study.get_trials(deepcopy=False)
    held_out = {t.user_attrs[HELD_OUT_ATTR] for t in trials if HELD_OUT_ATTR in t.user_attrs}
    words = f"{name} on data {made['data']['name']!r} that no training saw"
    if len(held_out) == 1:
        words += f", {held_out.pop():,.0f} samples"
    if found := findings.order_check:
        words += f"; two standard errors of a difference of two are {found[0].noise:.2f} points"
    epochs = made.get("recipe", {}).get("epochs")
    trained = "" if epochs is None else f" Each network was trained for {_epochs(epochs)}"
    seed = made.get("settings", {}).get("seed")
    if trained:
        trained += "." if seed is None else f" once, with seed {seed}."
    return f"{words}.{trained}"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def costs(findings: Findings) -> str | None:
    """Where costs come from, if not from a latency table."""
    if findings.tables:
        return None
    names = " and ".join(findings.cost_names)
    return f"{names}: what the study's objective returned; the study carries no latency table."


def _spec(part: Mapping[str, Any]) -> str:
    """``digits (size=48, copies=10)``: a part's name and what it is made of."""
    left_out = ("fingerprint", "name", "settings")
    values = [f"{key}={value}" for key, value in part.items() if key not in left_out]
    return f"{part['name']} ({', '.join(values)})" if values else str(part["name"])
