"""From a backbone to a registered segmentation network: every step of the paper, made small.

Backbones are searched on handwritten digits. The most accurate within a budget of latency gets a
decoder, which is searched on drawn street scenes. The most accurate network of that boundary is
trained longer, checked, measured and registered in MLflow, then loaded by name and asked what a
scene shows. Each command is printed before it runs: with other data it is what you would type.

Run it with: python examples/backbone_to_registry.py
All files, MLflow's database too, go into the folder backbone_to_registry/; run again, it goes on
there. It takes two minutes on two cores and needs: pip install 'optuna-pop[all]'
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from optuna_pop import DecoderSpace, best_under
from optuna_pop.experiment.identity import findings_of, space_of
from optuna_pop.experiment.storage import load_study
from optuna_pop.spaces.df import backbone_of
from optuna_pop.trainables.data.base import VOID
from optuna_pop.trainables.data.streets import CLASSES, Streets

STORAGE = "sqlite:///studies.db"
DATA = Streets(height=64, width=128, train_images=128)
MODEL = "models:/Streets@most-accurate"
STREETS = "--data streets --data-set height=64 --data-set width=128 --data-set train_images=128"
WIDTHS = (16, 32, 64, 128)  # of the decoder, besides the number of classes
COLOURS = ("#9ecae1", "#b07d62", "#4d4d4d", "#c7b9a5", "#4daf4a", "#ffd92f", "#e41a1c", "#984ea3")


def run(command: str) -> None:
    """Print a command of ours, and run it."""
    print(f"\n$ {command}", flush=True)
    words = shlex.split(command.removeprefix("optuna-pop "))
    done = subprocess.run([sys.executable, "-m", "optuna_pop.cli", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def profile(space: str, table: str, seconds: float) -> None:
    """Measure the blocks of a space, unless it was done before."""
    if not Path(table).exists():
        run(f"optuna-pop profile --space {space} --out {table} --networks 6 --seconds {seconds:g}")


def write_decoder_space(path: Path) -> None:
    """Choose the backbone within half the latency of the slowest; write its decoders' space."""
    study = load_study(STORAGE, "backbones")
    space = space_of(study)
    chosen = best_under(study, ms=findings_of(study).boundary[-1].costs[0] / 2)
    if space is None:
        raise SystemExit("study 'backbones' does not say what it searched")
    print(
        f"\nThe backbone: {chosen.architecture} (trial {chosen.number}), with {chosen.accuracy:.1f}"
        f" % of digits in {chosen.costs[0]:.4f} ms."
    )
    found = space.from_params(study.trials[chosen.number].params)
    first, *others = backbone_of(space.blocks(found))
    # Digits are grey, scenes have colours.
    blocks = [replace(first, c_in=DATA.input_shape[0]), *others]
    decoders = DecoderSpace(
        DATA.classes,
        WIDTHS,
        backbone=[block.key for block in blocks],
        input_shape=DATA.input_shape,
    )
    path.write_text(json.dumps(decoders.spec(), indent=1))


def look(path: Path) -> float:
    """Ask the registered network about scenes it was not trained on, and draw the first.

    Returns:
        Share of pixels that it names rightly.
    """
    model = mlflow.pyfunc.load_model(MODEL)
    held_out: Any = DATA.load().held_out
    scenes = held_out.x.numpy().transpose(0, 2, 3, 1)  # (n, height, width, 3), 0 to 255
    truth = held_out.y.numpy()
    seen = np.stack([model.predict(scene) for scene in scenes])
    panels = {"a scene": scenes[0], "what is there": truth[0], "what the network sees": seen[0]}
    figure = Figure(figsize=(12, 2.5), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        shown = image if image.ndim == 3 else np.ma.masked_equal(image, VOID)
        axes.imshow(shown, cmap=ListedColormap(COLOURS), vmin=0, vmax=len(CLASSES) - 1)
        axes.set_title(title)
        axes.set_axis_off()
    figure.savefig(path, dpi=100)
    return float((seen == truth)[truth != VOID].mean())


def main() -> None:
    """Go all the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", type=int, default=6, help="trainings of backbones")
    parser.add_argument("--decoders", type=int, default=5, help="trainings of decoders")
    parser.add_argument("--epochs", type=int, default=8, help="of the final training")
    parser.add_argument("--seconds", type=float, default=5.0, help="of measuring, each time")
    parser.add_argument("--out", type=Path, default=Path("backbone_to_registry"), help="folder")
    parser.add_argument(
        "--force",
        action="store_true",
        help="register even if this machine is slower now than when its table was made",
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.chdir(options.out)
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")

    profile("demo", "backbones.latency.json", options.seconds)
    run(
        "optuna-pop search --space demo --data digits --table backbones.latency.json "
        f"--trials {options.backbones} --storage {STORAGE} --study backbones"
    )
    if not Path("decoders.json").exists():
        write_decoder_space(Path("decoders.json"))
    profile("decoders.json", "decoders.latency.json", options.seconds)
    run(
        f"optuna-pop search decoder --space decoders.json {STREETS} --recipe streets-demo "
        f"--table decoders.latency.json --trials {options.decoders} "
        f"--storage {STORAGE} --study decoders"
    )
    best = findings_of(load_study(STORAGE, "decoders")).most_accurate()
    force = " --force" if options.force else ""
    run(
        f"optuna-pop register --storage {STORAGE} --study decoders --trial {best.number} "
        f"--set epochs={options.epochs} --name Streets{force}"
    )
    right = look(Path("scene.png"))
    print(
        f"\nLoaded as {MODEL}, it names {100 * right:.1f} % of the pixels of scenes "
        f"rightly that it was not trained on; {options.out / 'scene.png'} shows one."
    )


if __name__ == "__main__":
    main()
