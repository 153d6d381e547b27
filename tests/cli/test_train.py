"""Training, exporting and searching decoders from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from optuna.trial import TrialState

from optuna_pop.spaces import DecoderSpace
from optuna_pop.spaces.df import backbone_of, df_blocks
from optuna_pop.trainables.data.streets import Streets
from optuna_pop.trainables.recipes import recipe
from optuna_pop.trainables.training import train
from optuna_pop.trainables.weights import load_weights
from tests.cli.conftest import made_up_table
from tests.cli.test_search import SEARCH, opened

Run = Callable[..., tuple[int, str, str]]
DATA = ["--data", "streets", "--data-set", "height=32", "--data-set", "width=64",
        "--data-set", "train_images=8", "--data-set", "held_out_images=4"]  # fmt: skip
SHORT = ["--recipe", "streets-demo", "--set", "epochs=1", "--set", "batch_size=4"]


def test_from_backbone_to_decoder_to_onnx(folder: Path, run: Run) -> None:
    code, out, err = run("train", "df1-seg", *DATA, *SHORT, "--out", "w.safetensors")
    assert code == 0, err
    assert "mIoU held-out" in out
    assert load_weights(Path("w.safetensors")).about["data"] == "streets"

    # A table for every block of the space, by formula, so that nothing is measured here.
    keys = [block.key for block in backbone_of(load_weights(Path("w.safetensors")).blocks)]
    space = DecoderSpace(8, (4, 6), backbone=keys, input_shape=(3, 32, 64))
    Path("space.json").write_text(json.dumps(space.spec()))
    made_up_table(folder).save(Path("decoder.json"))
    frozen = ["--weights", "w.safetensors", "--set", "backbone_lr=0"]
    words = ["search", "decoder", "--space", "space.json", *DATA, *SHORT, *frozen]
    words += ["--table", "decoder.json", "--storage", "sqlite:///study.db", "--trials", "2"]
    code, out, err = run(*words)
    assert code == 0, err
    assert "mIoU (%)" in out
    with opened(folder) as study:
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        assert len(complete) == 2
        assert all(0 < trial.values[0] < 100 for trial in complete)
        number = complete[0].number
    code, _, err = run(*words[:-1], 3, "--weights", "missing.safetensors")
    assert code != 0
    assert "missing.safetensors" in err
    where = ["--study", "pop", "--trial", number, "--storage", "sqlite:///study.db"]
    assert run("train", *where, *DATA, *SHORT, "--out", "best.safetensors")[0] == 0

    code, out, err = run("export", "best.safetensors", "--out", "best.onnx")
    assert code == 0, err
    assert "differ from torch's by at most" in out
    session = onnxruntime.InferenceSession("best.onnx")
    x = np.random.default_rng(0).normal(size=(1, 3, 32, 64)).astype(np.float32)
    (scores,) = session.run(None, {"input": x})
    with torch.no_grad():
        wanted = load_weights(Path("best.safetensors")).network()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(scores, wanted, rtol=1e-3, atol=1e-3)
    assert run("export", "best.safetensors", "--out", "b.onnx", "--input-size", "64x96")[0] == 0
    assert onnxruntime.InferenceSession("b.onnx").get_inputs()[0].shape == [1, 3, 64, 96]


def test_what_cannot_be_trained_or_searched(folder: Path, run: Run) -> None:
    for words, said in (
        (["train", "--out", "w"], "say which network to train"),
        (["train", "df1", "--data", "digits"], "--out NAME.safetensors"),
        (["train", "df9", *DATA, "--out", "w"], "unknown network 'df9'"),
        (["train", "df1-seg", *DATA, *SHORT, "--set", "peak_lr", "--out", "w"], "NAME=VALUE"),
        (["export", "none.safetensors", "--out", "x"], "cannot read weights none.safetensors"),
        ([*SEARCH, "--backbone", "df1"], "--backbone is for"),
        (["search", "decoder", "--space", "demo"], "is none of kind 'decoder'"),
    ):
        code, _, err = run(*words)
        assert code != 0
        assert said in " ".join(err.split()), err


def test_what_a_training_refuses_is_one_line(folder: Path, run: Run) -> None:
    words = ["train", "df1-seg", *DATA, *SHORT, "--out", "w.safetensors"]
    for more, said in (
        (["--set", "batch_size=9"], "batch_size 9 is larger than the 8 training samples"),
        (["--set", "precision=fp16"], "fp16 cannot be trained in on cpu"),
        (["--set", "warmup_epochs=0", "--set", "peak_lr=1e30"], "diverged at step 2 of epoch 1"),
    ):
        if "fp16" in said and torch.cuda.is_available():
            continue
        code, out, err = run(*words, *more)
        assert code == 2
        assert said in " ".join(err.split()), err
        assert "Traceback" not in out + err
        assert not Path("w.safetensors").exists()


def test_an_unfinished_training_of_another_network_is_kept(folder: Path) -> None:
    """Weights of one name, begun for two networks: the first's state is put aside."""
    path = Path("w.safetensors.partial")
    state = {"identity": "of another network", "parts": {}}
    torch.save(state, path)
    data = Streets(height=32, width=64, train_images=8, held_out_images=4)
    blocks = df_blocks("df1-seg", input_shape=data.input_shape, classes=data.classes)
    how = recipe("streets-demo").with_values({"epochs": 1, "batch_size": 4})
    with pytest.warns(UserWarning, match=r"of another architecture.*is now .*\.partial\.other"):
        train(blocks, data, how, seed=0, checkpoint=path)
    assert torch.load("w.safetensors.partial.other")["identity"] == "of another network"
    assert not path.exists()
