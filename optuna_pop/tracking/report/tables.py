"""Tables of networks, as a report shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from optuna_pop.findings import Findings
from optuna_pop.ledger import Trained
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.decoder import DecoderSpace

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        title: What it shows.
        columns: Names.
        rows: A cell for each column.
        words: Columns that hold words, not numbers.
        note: How to read it.
        tall: Whether it is so long that it scrolls within the page.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    words: frozenset[str] = frozenset()
    note: str = ""
    tall: bool = False


@dataclass(frozen=True)
class Networks:
    """Networks of a study, each with its trial."""

    findings: Findings

    def tables(self) -> list[Table]:
        """Boundary, architectures and decoders, then all that was trained."""
        held = self.findings.boundary
        if not held:
            return []
        space = self.findings.space
        stages = [self._stages(space, held)] if isinstance(space, BackboneSpace) else []
        return [self._boundary(held), *stages, self._all()]

    def _boundary(self, held: Sequence[Trained]) -> Table:
        """The paper's tables of networks: accuracy, latency, multiply-adds."""
        decoders = isinstance(self.findings.space, DecoderSpace)
        first = "C3, C4, C5" if decoders else "architecture"
        frames = _in_ms(self.findings.cost_names[0])
        columns = ["trial", first, self.findings.accuracy_name, *self.findings.cost_names]
        columns += (["FPS"] if frames else []) + ["MMACs", "parameters", "trained in"]
        rows = []
        for entry in held:
            attrs = self._trials[entry.number].user_attrs
            rows.append(
                [
                    str(entry.number),
                    self._name(entry),
                    score(entry.accuracy, self.findings.accuracy_name),
                    *(price(cost) for cost in entry.costs),
                    *([rate(entry.costs[0])] if frames else []),
                    millions(attrs.get("macs")),
                    count(attrs.get("parameters")),
                    duration(attrs.get("seconds")),
                ]
            )
        what = "Decoders" if decoders else "Networks"
        return without_empty(
            Table(
                f"{what} on the boundary",
                tuple(columns),
                rows,
                frozenset({first}),
                "FPS: frames per second, 1000 over the latency in ms of one image." * frames,
            )
        )

    def _stages(self, space: BackboneSpace, held: Sequence[Trained]) -> Table:
        """The paper's table of architectures: widths of the blocks, stage by stage."""
        rows = []
        for entry in held:
            found = space.from_params(self._trials[entry.number].params)
            stages = [part.strip() for part in str(found).split("|")]
            widths = found.widths
            rows.append([str(entry.number), *stages, str(len(widths)), f"{max(widths)}"])
        names = [f"stage {number}" for number in range(3, 3 + len(space.max_depths))]
        return Table(
            "Widths and depths, stage by stage",
            ("trial", *names, "blocks", "widest"),
            rows,
            frozenset(names),
            f"64x3 means three blocks of width 64. Before them stand two convolutions of "
            f"{space.stem[0]} and {space.stem[1]} channels, each halving the resolution.",
        )

    def _all(self) -> Table:
        """Every trial, also those that failed or were ended early."""
        held = {entry.number for entry in self.findings.boundary}
        costs = self.findings.cost_names
        rows = []
        for number, trial in sorted(self._trials.items()):
            values = trial.values or [math.nan] * (1 + len(costs))
            state = "on the boundary" if number in held else trial.state.name.lower()
            if reason := trial.user_attrs.get("error"):
                state += f": {reason}"
            rows.append(
                [
                    str(number),
                    str(trial.user_attrs.get("architecture", NOTHING)),
                    score(values[0], self.findings.accuracy_name),
                    *(price(value) for value in values[1:]),
                    state,
                ]
            )
        return Table(
            f"All {len(rows)} trials",
            ("trial", "architecture", self.findings.accuracy_name, *costs, "state"),
            rows,
            frozenset({"architecture", "state"}),
            tall=True,
        )

    def _name(self, entry: Trained) -> str:
        space = self.findings.space
        if isinstance(space, DecoderSpace):
            found = space.from_params(self._trials[entry.number].params)
            return ", ".join(map(str, found.widths))
        return entry.architecture

    @property
    def _trials(self) -> dict[int, FrozenTrial]:
        return {trial.number: trial for trial in self.findings.study.get_trials(deepcopy=False)}


def score(value: float, name: str) -> str:
    """Write an accuracy: two decimals of percent, four of anything else."""
    if not math.isfinite(value):
        return NOTHING
    return f"{value:.2f}" if "%" in name else f"{value:.4f}"


def price(value: float) -> str:
    """Write a cost with four digits, or all of its whole part."""
    if not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def rate(ms: float) -> str:
    """Frames per second at a latency in ms."""
    return price(1000 / ms) if ms > 0 else NOTHING


def millions(value: float | None) -> str:
    """Write a number in millions."""
    return NOTHING if value is None else price(value / 1e6)


def count(value: float | None) -> str:
    """Write a whole number."""
    return NOTHING if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Write a length of time in the unit that suits it."""
    if seconds is None:
        return NOTHING
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _in_ms(cost_name: str) -> bool:
    return cost_name.endswith("(ms)")


def without_empty(table: Table) -> Table:
    """Leave out columns that say nothing in any row."""
    kept = [i for i in range(len(table.columns)) if any(row[i] != NOTHING for row in table.rows)]
    return Table(
        table.title,
        tuple(_pick(table.columns, kept)),
        [list(_pick(row, kept)) for row in table.rows],
        table.words,
        table.note,
        table.tall,
    )


def _pick(row: Sequence[str], kept: Iterable[int]) -> Iterable[str]:
    return (row[i] for i in kept)
