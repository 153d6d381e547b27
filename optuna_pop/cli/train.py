"""``optuna-pop train``: train one network, by name or as a study found it."""

from __future__ import annotations

import math
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from optuna_pop.cli.options import (
    DEFAULT_STORAGE,
    DataOption,
    DataRootOption,
    DataSettingOption,
    ProcessesOption,
    RecipeOption,
    SeedOption,
    SettingOption,
    StorageOption,
    console,
    data_set_of,
    pairs,
)
from optuna_pop.errors import InputError, StudyError
from optuna_pop.experiment import identity
from optuna_pop.experiment.storage import load_study, require_space
from optuna_pop.spaces import df

EXAMPLE = (
    "**Example:** optuna-pop train df1-seg --data camvid --recipe camvid-short "
    "--out df1-seg.safetensors"
)


def command(
    network: Annotated[
        str | None, typer.Argument(help=f"{', '.join(df.NAMES)}; or give --study and --trial.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Study that found the network.")] = None,
    trial: Annotated[int | None, typer.Option(min=0, help="Trial of the study.")] = None,
    storage_url: StorageOption = DEFAULT_STORAGE,
    data: DataOption = "digits",
    data_setting: DataSettingOption = None,
    data_root: DataRootOption = None,
    recipe: RecipeOption = "digits-demo",
    setting: SettingOption = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights that the backbone begins with.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the weights.")] = None,
    processes: ProcessesOption = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of torch on the CPU.")] = 1,
    seed: SeedOption = 0,
) -> None:
    """Train one network and write its weights (safetensors). The same command resumes it."""
    from optuna_pop.trainables import recipes
    from optuna_pop.trainables.loading import all_of
    from optuna_pop.trainables.parallel import train_parallel
    from optuna_pop.trainables.tasks import TASKS
    from optuna_pop.trainables.training import EpochMetrics, train
    from optuna_pop.trainables.weights import load_weights, save_weights

    if (network is None) == (study is None):
        raise InputError("say which network to train: one of the names, or --study and --trial")
    if out is None:
        raise InputError("say where to write the weights: --out NAME.safetensors")
    require_space(out.absolute().parent)
    images = data_set_of(data, pairs(data_setting, "--data-set"), data_root)
    how = recipes.recipe(recipe).with_values(pairs(setting, "--set"))
    if network is not None:
        blocks = df.df_blocks(network, input_shape=images.input_shape, classes=images.classes)
    else:
        blocks = _of_trial(storage_url, study, trial)
    task = TASKS[images.task]
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    steps = bar.add_task("steps", total=None)
    begun, first = time.monotonic(), 0

    def step(done: int, total: int) -> None:
        nonlocal first
        first = first or done
        speed = (done - first) * how.batch_size / max(1e-9, time.monotonic() - begun)
        bar.update(steps, completed=done, total=total, description=f"{speed:.0f} images/s")

    def epoch_done(epoch: int, metrics: EpochMetrics) -> None:
        console().print(
            f"epoch {epoch:3} of {how.epochs}  loss {metrics.loss:.4f}  "
            f"{task.accuracy} {metrics.accuracy:.2f} %"
        )

    with bar:
        run = partial(train_parallel, processes=processes) if processes > 1 else train
        result = run(
            blocks,
            images,
            how,
            seed=seed,
            threads=threads,
            on_epoch=epoch_done,
            progress=step,
            checkpoint=Path(f"{out}.partial"),
            weights=None if weights is None else load_weights(weights),
        )
    if math.isnan(result.accuracy):
        raise InputError(
            f"the training diverged at {result.diverged or 'validation'}: lower the learning rate, "
            f"e.g. --set peak_lr={how.peak_lr / 4:g}"
        )
    about = {"data": data, "recipe": recipe, "held_out": result.accuracy, "measure": task.accuracy}
    said = f"held-out {result.accuracy:.2f} %"
    test = images.load().test
    if test is not None:
        batches = all_of(test, images.input_shape, images.workers, classes=images.classes)
        about["test"] = task.measure(result.network, batches, images.classes)
        said += f", test {about['test']:.2f} %"
    save_weights(out, result.network, about)
    console().print(
        f"Wrote {out}: {task.accuracy} {said}; {result.images_per_second:.0f} images/s, "
        f"{result.seconds:.0f} s, {result.macs / 1e6:.1f} M multiply-accumulates."
    )


def _of_trial(storage_url: str, name: str | None, number: int | None) -> df.Blocks:
    study = load_study(storage_url, name)
    space = identity.space_of(study)
    if space is None or number is None or not 0 <= number < len(study.trials):
        raise StudyError(
            f"study {study.study_name!r} has {len(study.trials)} trials of "
            f"{'no known space' if space is None else str(space)}: give --trial, one of them"
        )
    return tuple(space.blocks(space.from_params(study.trials[number].params)))
