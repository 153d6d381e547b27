"""Finished small studies of real trainings, to register networks of."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from optuna_pop.cli import main
from optuna_pop.profiling.device import describe
from optuna_pop.spaces import BackboneSpace, DecoderSpace
from optuna_pop.spaces.df import backbone_of
from optuna_pop.trainables.data.digits import Digits
from optuna_pop.trainables.data.streets import Streets
from tests.cli.conftest import SPACE, made_up_table

URL = "sqlite:///study.db"
STREETS = Streets(height=32, width=64, train_images=8, held_out_images=4)
DIGITS = Digits(copies=1, held_out_copies=1)
SMALL = ["--data-set", "copies=1", "--data-set", "held_out_copies=1"]


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


def call(folder: Path, *words: Any) -> Result:
    """Run the command line in this process and a folder."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["optuna-pop", *map(str, words)])
        patch.chdir(folder)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    code = ended.value.code
    return Result(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def uri(folder: Path) -> str:
    # With the whole path: MLflow keeps connections by address, whatever the working folder is.
    return f"sqlite:///{folder}/mlflow.db"


def client(folder: Path) -> MlflowClient:
    return MlflowClient(uri(folder))


def register(folder: Path, study: str, *words: Any, name: str = "Net") -> Result:
    where = ["--storage", URL, "--study", study, "--tracking-uri", uri(folder)]
    return call(folder, "register", *where, "--name", name, "--seconds", "0.2", *words)


def make_studies(folder: Path) -> None:
    """Search three backbones for digits, and two decoders for drawn streets.

    Tables are by formula: that of digits is of this device and says far more than is measured, that
    of streets is of another device.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri(folder))
        (folder / "space.json").write_text(json.dumps(SPACE))
        digits_table(folder, 1000.0)
        words = ["search", "--storage", URL, "--study", "digits", "--space", "space.json"]
        words += ["--table", "here.json", "--recipe", "digits-smoke", *SMALL, "--trials", "3"]
        done = call(folder, *words, "--no-prune")
        assert done.code == 0, done.err

        backbone = BackboneSpace(widths=(4, 8, 12), max_depths=(1, 1, 1), input_shape=(3, 32, 64))
        keys = [block.key for block in backbone_of(backbone.blocks(backbone.at(0)))]
        space = DecoderSpace(8, (4, 6), backbone=keys, input_shape=STREETS.input_shape)
        (folder / "space.json").write_text(json.dumps(space.spec()))
        made_up_table(folder).save(folder / "elsewhere.json")
        words = ["search", "--storage", URL, "--study", "streets", "--space", "space.json"]
        words += ["--table", "elsewhere.json", "--recipe", "streets-demo", "--trials", "2"]
        words += ["--set", "epochs=1", "--set", "batch_size=4", "--data", "streets", "--no-prune"]
        for name in ("height", "width", "train_images", "held_out_images"):
            words += ["--data-set", f"{name}={getattr(STREETS, name)}"]
        done = call(folder, *words)
        assert done.code == 0, done.err


def digits_table(folder: Path, factor: float) -> None:
    """Write a table of this device by a formula."""
    table = made_up_table(folder, factor)
    here = table.conditions.device.model_copy(update={"name": describe().name})
    conditions = table.conditions.model_copy(update={"device": here})
    table.model_copy(update={"conditions": conditions}).save(folder / "here.json")


def aliases(folder: Path, name: str = "Net") -> dict[str, int]:
    found = client(folder).get_registered_model(name).aliases
    return {alias: int(version) for alias, version in found.items()}


def versions(folder: Path, name: str = "Net") -> Sequence[Any]:
    found = client(folder).search_model_versions(f"name='{name}'")
    return sorted(found, key=lambda version: int(version.version))
