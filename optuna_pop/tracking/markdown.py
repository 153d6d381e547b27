"""Markdown as optuna-dashboard renders it: GitHub's tables, no HTML."""

from __future__ import annotations

from collections.abc import Sequence


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()
) -> str:
    """Return a table.

    Args:
        head: Of each column; may be empty texts.
        rows: Cells in Markdown, see ``cell`` and ``code``.
        numbers: Columns that are aligned to the right.
    """
    # The dashboard puts no space between columns.
    names = [
        f"{name}&emsp;" if at not in numbers else f"&emsp;{name}" for at, name in enumerate(head)
    ]
    rule = ["---:" if at in numbers else "---" for at in range(len(head))]
    padded = [
        [f"{text}&emsp;" if at not in numbers else f"&emsp;{text}" for at, text in enumerate(row)]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, rule, *padded))


def cell(words: str) -> str:
    """Escape plain words for a cell."""
    return " ".join(str(words).replace("|", "\\|").split())


def code(words: str) -> str:
    """Show words as they are, in a cell too."""
    return f"`{cell(words).replace('`', chr(39))}`"
