"""Record learning curves of really trained networks, for benchmarks of pruning.

Architectures of the demo space, drawn at random, are trained on the digits in more and shorter
epochs than the demo's. Each line of the file is one training: row, vector, cost (multiply-
accumulates in millions) and the accuracy after each epoch. A file that exists is gone on with.

    python -m benchmarks.record_curves --out curves.jsonl --architectures 96
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track

from optuna_pop.spaces.presets import load_space
from optuna_pop.trainables.data.digits import Digits
from optuna_pop.trainables.recipes import recipe
from optuna_pop.trainables.training import train


def main(
    out: Annotated[Path, typer.Option(help="One JSON object a line; gone on with if it exists.")],
    architectures: Annotated[int, typer.Option(min=1)] = 96,
    epochs: Annotated[int, typer.Option(min=2)] = 16,
    seed: Annotated[int, typer.Option(help="Draws the architectures.")] = 0,
) -> None:
    """Train and write."""
    space, data = load_space("demo"), Digits(copies=2)
    how = replace(recipe("digits-demo"), epochs=epochs, warmup_epochs=0.5)
    rows = np.random.default_rng(seed).permutation(len(space))[:architectures].tolist()
    lines = out.read_text().splitlines() if out.exists() else []
    done = {json.loads(line)["row"] for line in lines}
    for row in track([row for row in rows if row not in done], "training"):
        found = train(space.blocks(space.at(row)), data, how, seed=0)
        line = {
            "row": row,
            "vector": space.vectors_at(np.array([row]))[0].tolist(),
            "cost": round(found.macs / 1e6, 6),
            "curve": [round(metrics.accuracy, 4) for metrics in found.curve],
        }
        with out.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    typer.run(main)
