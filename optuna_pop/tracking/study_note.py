"""A study's note in optuna-dashboard: what was searched, what was found, how to use it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from math import isfinite

from optuna.trial import TrialState

from optuna_pop.findings import Findings
from optuna_pop.ledger import Trained
from optuna_pop.tracking.markdown import cell, code, table
from optuna_pop.tracking.words import certificate_words

_MOST_ROWS = 40
_BELOW = (
    "\n\n---\n\n*optuna-pop writes what is above this line again and again; what you write below "
    "it stays.*\n"
)
_HOW_TO_READ = """## How to read it

Each trial trains one network; its architecture is in the trial's note and user attributes. In the
Pareto front the marked trials are the boundary: no other one is both faster and more accurate.
Networks that could not lift it were never trained, so they are no trials. A failed trial's network
may come again as a later trial."""


def study_note(
    findings: Findings, *, searched: Mapping[str, str] | None = None, storage: str | None = None
) -> str:
    """Say in Markdown what a study searched and found, and how to use and to read it.

    Args:
        findings: Of the study.
        searched: What was searched, on what and how, e.g. ``{"space": "377 DF backbones",
            "device": "...", "data": "..."}``.
        storage: Its URL without a password, for commands; left out of them if None.
    """
    names = (findings.accuracy_name, *findings.cost_names)
    parts = [
        f"{heading(findings.study.study_name)} the best trade-off of {' against '.join(names)}. "
        f"{_progress(findings)}",
    ]
    if searched:
        parts.append("\n".join(f"- **{name}**: {words}" for name, words in searched.items()))
    proof = findings.certificate
    if proof is not None:
        parts.append(f"## What is certain\n\n{certificate_words(proof)}")
    if findings.boundary:
        parts.append(f"## Boundary\n\n{_boundary(findings)}")
        if findings.tables:
            parts.append(_use(findings.study.study_name, storage))
    return "\n\n".join([*parts, _HOW_TO_READ])


def heading(study_name: str) -> str:
    """Return what a note begins with."""
    return f"# {study_name}\n\nPartial Order Pruning:"


def with_what_people_wrote(body: str, current: str, study_name: str) -> str:
    """Return a note that replaces the current one but for what people wrote into it.

    Args:
        body: Of ``study_note``.
        current: The note that the study has.
        study_name: Of the study.
    """
    _, line, below = current.partition(_BELOW)
    # Without the line it is a note of somebody else, unless two workers wrote at the same moment.
    kept = below if line or current.startswith(heading(study_name)) else current
    return body + _BELOW + kept


def _progress(findings: Findings) -> str:
    trials = findings.study.get_trials(deepcopy=False)
    counts = {
        "trained": TrialState.COMPLETE,
        "stopped early": TrialState.PRUNED,
        "failed": TrialState.FAIL,
        "in training": TrialState.RUNNING,
    }
    said = [
        f"{number} {words}"
        for words, state in counts.items()
        if (number := sum(trial.state == state for trial in trials)) or words == "trained"
    ]
    return f"{', '.join(said)}; {len(findings.boundary)} on the boundary."


def _boundary(findings: Findings) -> str:
    choices: dict[int, list[str]] = {}
    for words, choice in (
        ("fastest", findings.fastest()),
        ("knee", findings.knee()),
        ("most accurate", findings.most_accurate()),
    ):
        choices.setdefault(choice.number, []).append(words)
    held = findings.boundary
    shown = [e for at, e in enumerate(held) if at < _MOST_ROWS or e.number in choices]
    rows = [_row(findings, entry, choices.get(entry.number, ())) for entry in shown]
    head = ["trial", "architecture", findings.accuracy_name, *findings.cost_names, "choice"]
    text = table(head, rows, numbers=range(2, len(head) - 1))
    if len(shown) < len(held):
        text += f"\n\n... and {len(held) - len(shown)} more: `optuna-pop boundary` lists them all."
    bounds = [] if findings.certificate is None else _bounds(findings)
    return "\n\n".join(
        [text, "The **knee** is where more cost begins to buy less accuracy.", *bounds]
    )


def _row(findings: Findings, entry: Trained, choices: Sequence[str]) -> list[str]:
    page = f"/dashboard/studies/{findings.study._study_id}/trials?numbers={entry.number}"
    return [
        f"[{entry.number}]({page})",
        cell(code(entry.architecture)),
        f"{entry.accuracy:.2f}",
        *(f"{cost:.4g}" for cost in entry.costs),
        f"**{', '.join(choices)}**" if choices else "",
    ]


def _bounds(findings: Findings) -> list[str]:
    """What something untrained could still reach at the knee's cost."""
    knee = findings.knee()
    if knee.bound is None or not isfinite(knee.bound) or not isfinite(knee.tolerance):
        return []
    return [
        f"At the knee's cost nothing untrained exceeds {knee.bound:.2f} by the order, which is "
        f"trusted to {knee.tolerance:.2g} points."
    ]


def _use(study_name: str, storage: str | None) -> str:
    words = ["optuna-pop", "register", *(("--storage", storage) if storage else ())]
    words += ["--study", study_name, "--all-boundary", "--name", study_name]
    return (
        "## Use a network\n\nRegister the boundary in MLflow once, then load a network by name: "
        f"`fastest`, `knee` or `most-accurate`.\n\n```sh\n{shlex.join(words)}\n```\n\n"
        "```python\nimport mlflow\n\n"
        f'network = mlflow.pyfunc.load_model("models:/{study_name}@knee")\n'
        "found = network.predict(image)\n```"
    )
