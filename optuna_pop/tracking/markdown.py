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
    rule = ["---:" if at in numbers else "---" for at in range(len(head))]
    lines = [_spaced(head), rule, *map(_spaced, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spaced(row: Sequence[str]) -> list[str]:
    """Keep columns apart, which the dashboard does not."""
    return [text if at == 0 else f"&emsp;{text}" for at, text in enumerate(row)]


def cell(words: str) -> str:
    """Escape plain words for a cell."""
    return " ".join(str(words).replace("|", "\\|").split())


def code(words: str) -> str:
    """Show words as they are; in a table this is still to be put through ``cell``."""
    return f"`{' '.join(words.split()).replace('`', chr(39))}`"
