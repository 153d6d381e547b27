"""Two devices, one search: networks that are fast on either, from one set of trainings.

A product often runs on more than one device, and each ranks networks in its own way. With a latency
table of each the study has the directions maximize, minimize, minimize: a network is pruned only if
what beats it is at least as fast on both. Here two engines on this machine's processor stand for
two devices: ONNX Runtime and OpenVINO. For real ones run `optuna-pop profile` on each, and load
their tables with `LatencyTable.load`.

Run it with: python examples/two_devices.py
It takes a minute and a half on two cores and needs:
pip install 'optuna-pop[train,profiling,openvino,figures]'
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from scipy.stats import spearmanr

from optuna_pop import BackboneArchitecture, BackboneSpace, POPSampler
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained, trained
from optuna_pop.profiling import LatencyTable, build_table
from optuna_pop.profiling.session import Plan
from optuna_pop.tracking.figures import boundary_figure, save_figure
from optuna_pop.trainables.data.digits import Digits
from optuna_pop.trainables.export import export_onnx
from optuna_pop.trainables.recipes import recipe
from optuna_pop.trainables.training import train

DEVICES: Final = {"onnxruntime": "CPU with ONNX Runtime", "openvino": "CPU with OpenVINO"}
DATA = Digits(copies=5)
SPACE = BackboneSpace(
    widths=(8, 16, 32, 64), max_depths=(2, 2, 2), input_shape=DATA.input_shape, classes=DATA.classes
)
RECIPE = recipe("digits-demo").with_values({"epochs": 3})


def latencies(table: LatencyTable) -> np.ndarray:
    """Return the latency of every network of the space, shape (n,), milliseconds."""
    return np.array([table.latency(SPACE.blocks(SPACE.at(row))) for row in range(len(SPACE))])


def boundary_on(found: list[Trained], device: int) -> list[Trained]:
    """Return the trained networks that hold the boundary of one device, fastest first."""
    alone = [Trained(t.number, t.architecture, t.accuracy, (t.costs[device],)) for t in found]
    return boundary_rows(alone)


def main() -> None:
    """Measure both devices, search once, and show the boundary of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8.0, help="of measuring each device")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the figures")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tables = {
        engine: build_table(SPACE, export_onnx, Plan(engine, seconds=options.seconds), networks=8)
        for engine in DEVICES
    }
    first, second = map(latencies, tables.values())
    print(
        f"{len(SPACE)} networks; their latencies on the two devices correlate by rank with "
        f"{spearmanr(first, second).statistic:.3f}."
    )

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        network: BackboneArchitecture = SPACE.suggest(trial)
        blocks = SPACE.blocks(network)
        accuracy = train(blocks, DATA, RECIPE, seed=0).accuracy
        one, other = (table.latency(blocks) for table in tables.values())
        return accuracy, one, other

    sampler = POPSampler(SPACE, cost=list(tables.values()), seed=0)
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=options.trainings)

    found = trained(study)
    held = [boundary_on(found, device) for device in range(len(DEVICES))]
    both = {entry.number for entry in held[0]} & {entry.number for entry in held[1]}
    for device, (engine, name) in enumerate(DEVICES.items()):
        print(f"\nBoundary of the {name}, of {len(found)} networks trained:")
        for entry in held[device]:
            mark = "both" if entry.number in both else ""
            (latency,) = entry.costs
            print(f"  {latency:.4f} ms  {entry.accuracy:5.1f} %  {entry.architecture:24} {mark}")
        figure = boundary_figure(
            found,
            title=f"{name}: {len(held[device])} of {len(found)} networks hold the boundary",
            cost=device,
            cost_label="latency (ms), one thread, batch 1",
        )
        save_figure(figure, options.out / f"two_devices_{engine}.png")
    print(f"\nFigures: {', '.join(f'two_devices_{engine}.png' for engine in DEVICES)}.")


if __name__ == "__main__":
    main()
