"""A trial's note in optuna-dashboard: its network drawn, and where the latency is spent."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_pop.profiling import LatencyTable
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking.markdown import cell, code, table
from optuna_pop.tracking.network_drawing import network_text
from optuna_pop.tracking.network_stages import all_stages


def trial_note(
    architecture: str,
    blocks: Sequence[BlockConfig],
    tables: Sequence[LatencyTable] = (),
    *,
    picture: str | None = None,
) -> str:
    """Show a network in Markdown.

    Args:
        architecture: In words.
        blocks: Of the network, in order of execution.
        tables: Latencies of its blocks, a table for each device.
        picture: Address of a drawing; None draws it in characters.

    Raises:
        MissingBlockError: if a table lacks a block.
    """
    drawn = f"```\n{network_text(blocks)}\n```" if picture is None else f"![network]({picture})"
    stages = all_stages(blocks)
    totals = [latencies.latency(blocks) for latencies in tables]
    names = _names(tables)
    rows = [
        [
            stage.name,
            stage.pixels,
            cell(stage.words),
            *(
                f"{latencies.latency(stage.blocks):.4g} "
                f"({100 * latencies.latency(stage.blocks) / total:.0f}%)"
                for latencies, total in zip(tables, totals, strict=True)
            ),
        ]
        for stage in stages
    ]
    if totals:
        rows.append(["**all**", "", "", *(f"**{total:.4g}**" for total in totals)])
    head = ["stage", "output", "width × depth", *names]
    return "\n\n".join(
        [f"**{code(architecture)}**", drawn, table(head, rows, numbers=range(3, len(head)))]
    )


def _names(tables: Sequence[LatencyTable]) -> list[str]:
    if len(tables) == 1:
        return ["latency (ms)"]
    return [f"ms on {cell(latencies.conditions.device_name)}" for latencies in tables]
