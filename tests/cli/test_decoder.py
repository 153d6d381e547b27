"""Decoder searches: from a table measured for their data beforehand, and on two devices at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from optuna_pop.cli.networks import measured_space
from optuna_pop.experiment import identity
from optuna_pop.profiling import LatencyTable
from optuna_pop.spaces import BackboneSpace, BlockConfig, DecoderSpace
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.df import segmentation_blocks
from optuna_pop.spaces.presets import load_space
from optuna_pop.trainables.networks import build_network
from optuna_pop.trainables.weights import save_weights
from tests.cli.conftest import made_up_table
from tests.cli.test_search import URL, opened
from tests.cli.test_train import DATA, SHORT

Run = Callable[..., tuple[int, str, str]]
SHAPE = (3, 32, 64)
CLASSES = 8
TINY_BACKBONES: dict[str, Any] = {
    "widths": (4, 8, 12), "max_depths": (1, 1, 1), "input_shape": (1, 48, 48), "classes": 10
}  # fmt: skip


def tiny() -> list[BlockConfig]:
    """A backbone that is measured and trained in a moment."""
    found, before = [], SHAPE
    for kind, width in (("conv", 4), ("conv", 8), ("basic", 8), ("basic", 8), ("basic", 16)):
        block = BlockConfig(kind, *before, width, before[1] // 2, before[2] // 2)
        found.append(block)
        before = block.output_shape
    return found


def small_space(*widths: int) -> DecoderSpace:
    """Decoders on the tiny backbone, written to ``space.json``."""
    keys = [block.key for block in tiny()]
    space = DecoderSpace(CLASSES, widths, backbone=keys, input_shape=SHAPE)
    Path("space.json").write_text(json.dumps(space.spec()))
    return space


def test_a_table_measured_for_the_data_serves_its_search(folder: Path, run: Run) -> None:
    space = small_space(4)
    made_for = (*DATA, "--space", "space.json")
    words = ("profile", *made_for, "--seconds", "0", "--networks", "0", "--out", "own.json")
    code, _, err = run(*words)
    assert code == 0, err
    before = Path("own.json").read_bytes()
    assert set(LatencyTable.load(Path("own.json")).blocks) == {
        block.key for block in space.block_configs()
    }
    search = ("search", "decoder", *made_for, *SHORT, "--table", "own.json", "--storage", URL)
    code, out, err = run(*search, "--trials", 1)
    assert code == 0, err
    assert "measuring" not in out
    assert Path("own.json").read_bytes() == before


def test_decoders_on_a_backbone_from_a_file(folder: Path) -> None:
    network = build_network(segmentation_blocks(tiny(), (8, 8, 8), CLASSES, SHAPE))
    save_weights(folder / "w.safetensors", network, {"data": "streets"})
    found = measured_space(None, "w.safetensors", "streets", ["height=32", "width=64"], None)
    keys = [block.key for block in tiny()]
    wanted = DecoderSpace(CLASSES, backbone=keys, input_shape=SHAPE)
    assert found.fingerprint == wanted.fingerprint


@pytest.mark.parametrize(
    ("name", "backbone", "data", "wanted"),
    [
        (None, None, "streets", DecoderSpace(CLASSES, backbone="df1", input_shape=SHAPE)),
        (None, "df2", "streets", DecoderSpace(CLASSES, backbone="df2", input_shape=SHAPE)),
        (None, None, "cifar10", BackboneSpace(input_shape=(3, 32, 32), classes=10)),
        ("space.json", None, "digits", BackboneSpace(**TINY_BACKBONES)),
        (None, None, None, BackboneSpace()),
    ],
)
def test_what_is_measured_is_what_a_search_on_the_data_has(
    folder: Path, name: str | None, backbone: str | None, data: str | None, wanted: Space[Any]
) -> None:
    settings = ["height=32", "width=64"] if data == "streets" else None
    found = measured_space(name, backbone, data, settings, None)
    assert found.fingerprint == wanted.fingerprint
    assert found.block_configs() == wanted.block_configs()


def test_models_for_a_device_without_python(folder: Path, run: Run) -> None:
    space = small_space(4)
    words = ("profile", "export", "tx2", *DATA, "--space", "space.json", "--networks", "0")
    code, _, err = run(*words)
    assert code == 0, err
    assert len(list((folder / "tx2").rglob("*.onnx"))) >= len(space.block_configs())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--backbone", "df1"], "--backbone needs --data"),
        (["--data-set", "height=64"], "--data-set needs --data"),
        (["--data", "digits", "--space", "space.json", "--backbone", "df1"], "without --space"),
        (["--data", "digits", "--backbone", "df1"], "'digits' is for classification"),
        ([*DATA, "--space", "space.json"], "choose others that fit"),
        (["--data", "imagenet"], "data set imagenet is not at"),
    ],
)
def test_what_cannot_be_measured_for_data(
    folder: Path, run: Run, words: list[str], said: str
) -> None:
    for command in (["profile", "--out", "x.json"], ["profile", "export", "tx2"]):
        code, _, err = run(*command, *words)
        assert code == 2
        assert said in " ".join(err.split()), err
    assert not Path("x.json").exists()


def test_decoders_on_two_devices_at_once(folder: Path, run: Run) -> None:
    """Section 4.3 of the paper: one search, the boundary of accuracy and both latencies."""
    space = small_space(4, 6)
    slow, fast = made_up_table(folder, 3.0), made_up_table(folder)
    # On the second device one block is slow, so that the two do not order networks alike.
    odd = next(block.key for block in space.block_configs() if block.kind == "score")
    late = fast.blocks[odd].model_copy(update={"minimum": 9.0, "median": 9.0})
    fast = fast.model_copy(update={"blocks": {**fast.blocks, odd: late}})
    slow.save(Path("slow.json"))
    fast.save(Path("fast.json"))
    words = ["search", "decoder", "--space", "space.json", *DATA, *SHORT, "--storage", URL]
    tables = ["--table", "slow.json", "--table", "fast.json"]
    code, out, err = run(*words, *tables, "--trials", 2, "--no-prune")
    assert code == 0, err
    assert "mIoU (%)" in out
    code, out, err = run(*words, *tables, "--trials", 4, "--no-prune")
    assert code == 0, err
    assert "2 of 4 trainings done" in out

    with opened(folder) as study:
        assert study.directions == [
            StudyDirection.MAXIMIZE,
            StudyDirection.MINIMIZE,
            StudyDirection.MINIMIZE,
        ]
        assert study.metric_names is not None
        assert study.metric_names[0] == "mIoU (%)"
        assert len(set(study.metric_names)) == 3
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        assert len(complete) == 4
        assert len({str(trial.params) for trial in complete}) == 4
        searched = load_space("space.json")
        for trial in complete:
            blocks = searched.blocks(searched.from_params(trial.params))
            assert trial.values[1:] == pytest.approx([slow.latency(blocks), fast.latency(blocks)])
            assert trial.user_attrs["latency_2_ms"] == pytest.approx(trial.values[2])
        ratios = np.array([trial.values[2] / trial.values[1] for trial in complete])
        assert np.ptp(ratios) > 1e-3, "the second latency is not the first in other units"
        sampler = identity.sampler_of(study)
        assert sampler is not None
        assert sampler.certificate(study).trained == 4

    code, _, err = run(*words, "--table", "slow.json", "--trials", 5)
    assert code == 2
    assert "objective" in err
    code, out, err = run("boundary", "--storage", URL, "--png", "b.png", "--pairs", "p.png")
    assert code == 0, err
    for name in ("b.png", "b-2.png", "p.png", "p-2.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
