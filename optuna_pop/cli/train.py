"""``optuna-pop train``: train one network, by name or as a study found it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    named_recipe,
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
    from optuna_pop.cli.training_progress import training_progress
    from optuna_pop.experiment.finishing import FinalTraining, train_to_file
    from optuna_pop.trainables import recipes
    from optuna_pop.trainables.weights import load_weights

    if (network is None) == (study is None):
        raise InputError("say which network to train: one of the names, or --study and --trial")
    if out is None:
        raise InputError("say where to write the weights: --out NAME.safetensors")
    require_space(out.absolute().parent)
    images = data_set_of(data, pairs(data_setting, "--data-set"), data_root)
    changes = pairs(setting, "--set")
    how = FinalTraining(
        data=images,
        recipe=recipes.recipe(recipe).with_values(changes),
        named=named_recipe(recipe, changes),
        seed=seed,
        begun=None if weights is None else load_weights(weights),
        threads=threads,
        processes=processes,
    )
    if network is not None:
        blocks = df.df_blocks(network, input_shape=images.input_shape, classes=images.classes)
    else:
        blocks = _of_trial(storage_url, study, trial)
    with training_progress(how) as (on_epoch, progress):
        result, about = train_to_file(blocks, how, out, on_epoch=on_epoch, progress=progress)
    said = f"held-out {result.accuracy:.2f} %"
    if "test" in about:
        said += f", test {about['test']:.2f} %"
    console().print(
        f"Wrote {out}: {about['measure']} {said}; {result.images_per_second:.0f} images/s, "
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
