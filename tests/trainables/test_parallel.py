"""One training by two processes on the CPU, which talk by gloo on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from optuna_pop.errors import InputError, StorageError
from optuna_pop.trainables.data.base import Split
from optuna_pop.trainables.parallel import train_parallel
from optuna_pop.trainables.training import EpochMetrics, TrainingResult, train
from tests.trainables.test_checkpoint import same
from tests.trainables.test_training import BLOCKS, RECIPE, Stripes


@pytest.fixture(scope="module")
def together() -> TrainingResult:
    return train_parallel(BLOCKS, Stripes(), RECIPE, seed=0, processes=2)


def test_two_processes_learn_what_one_does(together: TrainingResult) -> None:
    alone = train(BLOCKS, Stripes(), RECIPE, seed=0)
    assert together.accuracy > 90.0
    assert together.held_out == alone.held_out
    assert (together.macs, together.parameters) == (alone.macs, alone.parameters)
    # The same batches and weights; batch norm sees halves of a batch, so not bit for bit.
    assert together.curve[0].loss == pytest.approx(alone.curve[0].loss, rel=0.1)
    assert together.curve != alone.curve
    logits = together.network(Stripes().load().held_out.x)
    assert logits.shape == (together.held_out, 3)


def test_the_same_again(together: TrainingResult) -> None:
    steps: list[int] = []
    epochs: list[int] = []
    again = train_parallel(
        BLOCKS,
        Stripes(),
        RECIPE,
        seed=0,
        processes=2,
        on_epoch=lambda epoch, _: epochs.append(epoch),
        progress=lambda done, _: steps.append(done),
    )
    assert same(again, together)
    assert epochs == [1, 2, 3]
    assert steps == list(range(1, 3 * (100 // RECIPE.batch_size) + 1))


def test_interrupted_it_resumes_to_the_same_weights(
    together: TrainingResult, tmp_path: Path
) -> None:
    path = tmp_path / "state.pt"

    def interrupt(epoch: int, _: EpochMetrics) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_parallel(
            BLOCKS, Stripes(), RECIPE, seed=0, processes=2, checkpoint=path, on_epoch=interrupt
        )
    assert not _trainers()
    with pytest.warns(UserWarning, match="begins anew"):  # two processes are another training
        train(BLOCKS, Stripes(), replace(RECIPE, epochs=1), seed=0, checkpoint=_copy(path))
    again = train_parallel(BLOCKS, Stripes(), RECIPE, seed=0, processes=2, checkpoint=path)
    assert same(again, together)
    assert not path.exists()


def _copy(path: Path) -> Path:
    copy = path.with_name("copy.pt")
    copy.write_bytes(path.read_bytes())
    return copy


def _trainers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def test_a_killed_process_is_named_and_the_other_ends() -> None:
    def kill(epoch: int, _: EpochMetrics) -> None:
        # Begun in the order of their ranks.
        os.kill(sorted(_trainers(), key=lambda p: (p.create_time(), p.pid))[1].pid, signal.SIGKILL)

    with pytest.raises(RuntimeError, match="process 1 of 2 was ended by SIGKILL"):
        train_parallel(BLOCKS, Stripes(), RECIPE, seed=0, processes=2, on_epoch=kill)
    assert not _trainers()


class Broken(Stripes):
    """Cannot be read where it is trained on."""

    def load(self) -> Split:
        raise RuntimeError("CUDA out of memory")


def test_a_failing_process_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"process \d of 2: .*CUDA out of memory"):
        train_parallel(BLOCKS, Broken(), RECIPE, seed=0, processes=2)


def test_divergence_ends_it_with_nan() -> None:
    wild = replace(RECIPE, peak_lr=1e30, warmup_epochs=0)
    result = train_parallel(BLOCKS, Stripes(), wild, seed=0, processes=2)
    assert result.accuracy != result.accuracy  # NaN


def test_a_state_that_cannot_be_written_is_the_storage_s_fault(tmp_path: Path) -> None:
    not_a_folder = tmp_path / "file"
    not_a_folder.touch()
    path = not_a_folder / "state.pt"
    with pytest.raises(StorageError, match=str(path)):
        train_parallel(BLOCKS, Stripes(), RECIPE, seed=0, processes=2, checkpoint=path)


def test_batch_must_divide() -> None:
    with pytest.raises(InputError, match="does not divide among 2 processes"):
        train_parallel(BLOCKS, Stripes(), replace(RECIPE, batch_size=11), seed=0, processes=2)


PARENT = """
import time
from optuna_pop.trainables.parallel import train_parallel
from tests.trainables.test_training import BLOCKS, RECIPE, Stripes
def wait(epoch, metrics):
    print("epoch", flush=True)
    time.sleep(600)
if __name__ == "__main__":
    train_parallel(BLOCKS, Stripes(), RECIPE, seed=0, processes=2, on_epoch=wait)
"""


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "epoch\n"
    trainers = [
        p for p in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(p.cmdline())
    ]
    assert len(trainers) == 2
    listening = [c.laddr.ip for p in trainers for c in p.net_connections() if c.status == "LISTEN"]
    assert set(listening) <= {"127.0.0.1", "::1"}
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(trainers, timeout=60)
    assert not alive
