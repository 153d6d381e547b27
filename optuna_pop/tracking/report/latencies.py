"""How latencies were measured, and those of the single blocks, as a report shows them."""

from __future__ import annotations

import numpy as np

from optuna_pop.findings import Findings
from optuna_pop.profiling.records import Conditions, Errors
from optuna_pop.profiling.table import LatencyTable
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking.report.tables import NOTHING, Table

_MOST_BLOCKS = 1000  # of one table that are listed


def latency_tables(findings: Findings) -> list[Table]:
    """For each latency table how it was measured, how well it predicts, and its blocks."""
    found = []
    for table, name in zip(findings.tables, findings.cost_names, strict=False):
        of = f" of {name}" if len(findings.tables) > 1 else ""
        found += [_conditions(table, of), *_verification(table, of), _blocks(table, of)]
    return found


def _conditions(table: LatencyTable, of: str) -> Table:
    where = table.conditions
    spreads = np.array([100 * r.spread / table.of(r) for r in table.blocks.values()])
    samples = [record.samples for record in table.blocks.values()]
    noted = [note for record in table.blocks.values() for note in record.notes]
    device = where.device
    facts = {
        "device": where.device_name,
        "computer": f"{device.name}, {device.cores} cores, {device.memory_gib:.3g} GiB, "
        f"{device.system} {device.machine}",
        "engine": f"{where.engine}, {where.precision}, batch {where.batch}, "
        + (f"{where.threads} threads" if where.threads > 1 else "1 thread"),
        "versions": ", ".join(f"{name} {version}" for name, version in where.versions.items()),
        "a latency is": f"the {table.statistic} of {_range(samples)} timed runs at batch "
        f"{where.batch}, timed by {where.clock}",
        "warm-up": _warm_up(where),
        "spread": f"first against second half of the runs: median {np.median(spreads):.2g}%, "
        f"largest {spreads.max():.2g}%",
        "drift of the device": f"{where.drift:.3g}x between the 5% quickest and the 5% slowest "
        "runs of a reference convolution",
        "blocks": f"{len(table.blocks)}, " + _SOURCES[table.source],
        "a network is": "the sum of its blocks" + _correction(table),
        "measured": f"{where.date:%Y-%m-%d %H:%M} UTC",
        "digest of the table": table.fingerprint,
    }
    if noted:
        facts["warnings"] = ", ".join(f"{note}: {noted.count(note)}" for note in sorted(set(noted)))
    if where.accelerator is not None:
        facts["driver"] = where.accelerator.driver
    rows = [[name, words] for name, words in facts.items() if words]
    return Table(f"How latencies were measured{of}", ("", " "), rows, frozenset({"", " "}))


def _warm_up(where: Conditions) -> str:
    if where.engine == "trtexec":
        return "that of trtexec"
    visits = f"in each of {where.cycles} visits to every network, in shuffled sequence"
    if where.accelerator is not None:
        return f"by time, {visits}"
    return f"one untimed run before the timed one, {visits}"


_SOURCES = {
    "blocks": "each measured as a network of its own",
    "layers": "added up from the engine's times of single layers inside whole networks",
}


def _correction(table: LatencyTable) -> str:
    if table.correction is None:
        return ""
    a, b = table.correction.a, table.correction.b
    return f", corrected: {a:.4g} × sum {'-' if b < 0 else '+'} {abs(b):.3g} ms × number of blocks"


def _verification(table: LatencyTable, of: str) -> list[Table]:
    check = table.verification
    if check is None:
        return []
    kinds = [("plain sums", check.sums)]
    if check.corrected is not None:
        kinds.append(("corrected sums", check.corrected))
    return [
        Table(
            f"How well blocks predict {check.n} whole networks{of}",
            ("estimate", "mean error", "bias", "within 5%", "within 10%", "Spearman", "Pearson"),
            [[name, *_errors(errors)] for name, errors in kinds],
            frozenset({"estimate"}),
            "Mean absolute error (MAPE) and bias in percent of the measured latency. "
            "Each network is left out of the correction that estimates it.",
        )
    ]


def _errors(errors: Errors) -> list[str]:
    return [
        f"{errors.mape:.1f}%",
        f"{errors.bias:+.1f}%",
        f"{errors.within_5:.0%}",
        f"{errors.within_10:.0%}",
        *(NOTHING if r is None else f"{r:.3f}" for r in (errors.spearman, errors.pearson)),
    ]


def _blocks(table: LatencyTable, of: str) -> Table:
    """The paper's look-up table: Latency(c_in, h_in, w_in, c_out, h_out, w_out)."""
    rows = []
    keys = sorted(table.blocks, key=BlockConfig.from_key)
    for key in keys[:_MOST_BLOCKS]:
        block, record = BlockConfig.from_key(key), table.blocks[key]
        options = ", ".join(f"{name} {value}" for name, value in block.options)
        rows.append(
            [
                f"{block.kind} {options}".strip(),
                " × ".join(map(str, block.input_shape)),
                " × ".join(map(str, block.output_shape)),
                f"{record.minimum:.4g}",
                f"{record.median:.4g}",
                f"{100 * record.spread / table.of(record):.2g}%",
                str(record.samples),
            ]
        )
    left = len(keys) - len(rows)
    return Table(
        f"Latency of the blocks{of} (the look-up table)",
        ("block", "input", "output", "minimum (ms)", "median (ms)", "spread", "runs"),
        rows,
        frozenset({"block", "input", "output"}),
        "Shapes are channels × height × width."
        + (f" {left:,} more blocks are not listed." if left else ""),
        tall=len(rows) > 16,
    )


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
