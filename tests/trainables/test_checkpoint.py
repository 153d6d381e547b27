from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from optuna_pop.trainables.training import EpochMetrics, TrainingResult, train
from tests.trainables.test_training import BLOCKS, RECIPE, Stripes

WORKER = """
import sys, time
from pathlib import Path
from optuna_pop.trainables.training import train
from tests.trainables.test_training import BLOCKS, RECIPE, Stripes
def slow(epoch, metrics):
    print(epoch, flush=True)
    time.sleep(60 if epoch == 2 else 0)
train(BLOCKS, Stripes(), RECIPE, seed=0, checkpoint=Path(sys.argv[1]), on_epoch=slow)
"""


def same(a: TrainingResult, b: TrainingResult) -> bool:
    weights = zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True)
    return a.curve == b.curve and all(torch.equal(x, y) for x, y in weights)


@pytest.fixture(scope="module")
def whole() -> TrainingResult:
    """A training that nothing interrupted."""
    return train(BLOCKS, Stripes(), RECIPE, seed=0)


@pytest.mark.parametrize("epoch", [1, 2])
def test_interrupted_training_ends_with_the_same_weights(
    tmp_path: Path, whole: TrainingResult, epoch: int
) -> None:
    path = tmp_path / "folder" / "state.pt"

    def interrupt(done: int, _: EpochMetrics) -> None:
        if done == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(BLOCKS, Stripes(), RECIPE, seed=0, checkpoint=path, on_epoch=interrupt)
    assert path.exists()
    seen: list[tuple[int, EpochMetrics]] = []
    steps: list[int] = []
    again = train(
        BLOCKS,
        Stripes(),
        RECIPE,
        seed=0,
        checkpoint=path,
        on_epoch=lambda done, metrics: seen.append((done, metrics)),
        progress=lambda done, _: steps.append(done),
    )
    assert same(again, whole)
    assert seen == list(enumerate(whole.curve, start=1)), "told of the epochs behind once more"
    per_epoch = 100 // RECIPE.batch_size
    assert steps == list(range(epoch * per_epoch + 1, 3 * per_epoch + 1)), "and not trained them"
    assert not path.exists(), "a finished training leaves nothing"


def test_killed_training_ends_with_the_same_weights(tmp_path: Path, whole: TrainingResult) -> None:
    path = tmp_path / "state.pt"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert [worker.stdout.readline().strip() for _ in range(2)] == ["1", "2"]
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert same(train(BLOCKS, Stripes(), RECIPE, seed=0, checkpoint=path), whole)


def left_behind(path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(BLOCKS, Stripes(), RECIPE, seed=0, checkpoint=path, on_epoch=interrupt)


def test_state_of_another_training_is_not_used(tmp_path: Path, whole: TrainingResult) -> None:
    path = tmp_path / "state.pt"
    left_behind(path)
    other = replace(RECIPE, peak_lr=0.05)
    with pytest.warns(UserWarning, match="another architecture, recipe"):
        found = train(BLOCKS, Stripes(), other, seed=0, checkpoint=path)
    assert same(found, train(BLOCKS, Stripes(), other, seed=0))
    left_behind(path)
    with pytest.warns(UserWarning, match="begins anew"):
        found = train(BLOCKS, Stripes(), RECIPE, seed=1, checkpoint=path)
    assert not same(found, whole)


def test_damaged_state_is_not_used_and_costs_only_time(
    tmp_path: Path, whole: TrainingResult
) -> None:
    path = tmp_path / "state.pt"
    left_behind(path)
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"no checkpoint"):
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"state\.pt is not used"):
            assert same(train(BLOCKS, Stripes(), RECIPE, seed=0, checkpoint=path), whole)


class Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (self.path,))


def test_no_code_is_run_from_a_checkpoint(tmp_path: Path, whole: TrainingResult) -> None:
    path, trap = tmp_path / "state.pt", tmp_path / "trap"
    for write in (
        lambda: path.write_bytes(pickle.dumps(Trap(str(trap)), protocol=2)),
        lambda: torch.save(Trap(str(trap)), path),
    ):
        write()
        with pytest.warns(UserWarning, match="not used"):
            assert same(train(BLOCKS, Stripes(), RECIPE, seed=0, checkpoint=path), whole)
        assert not trap.exists()


def test_diverged_training_keeps_no_state(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    result = train(BLOCKS, Stripes(), replace(RECIPE, peak_lr=1e30), seed=0, checkpoint=path)
    assert result.accuracy != result.accuracy
    assert not path.exists()
