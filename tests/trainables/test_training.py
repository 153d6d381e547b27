import math
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from optuna_pop.errors import ArchitectureError, DataError, InputError
from optuna_pop.spaces import BackboneArchitecture, BackboneSpace
from optuna_pop.trainables import training
from optuna_pop.trainables.data import DataSet, Split
from optuna_pop.trainables.loading import all_of
from optuna_pop.trainables.networks import build_network, network_size
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.samples import TensorSamples
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.training import EpochMetrics, train

# Fewer than 8 channels: what oneDNN issue 6035 crashes on, see PointwiseConv.
SPACE = BackboneSpace((4, 8), (1, 1, 1), input_shape=(1, 32, 32), classes=3)
BLOCKS = SPACE.blocks(BackboneArchitecture(((4,), (4,), (8,))))
RECIPE = TrainingRecipe(
    epochs=3, batch_size=16, peak_lr=0.1, warmup_epochs=0.5, warmup_lr=0.02, label_smoothing=0.05
)


class Stripes(DataSet):
    """Images whose class is the direction or absence of stripes: learnt in a moment."""

    name: ClassVar[str] = "stripes"
    classes = 3
    input_shape = (1, 32, 32)

    def __init__(self, brightest: float = 1.0) -> None:
        self.brightest = brightest

    def load(self) -> Split:
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(3).repeat(50)
        wave = torch.sin(torch.arange(32) * 0.8)
        patterns = torch.stack(
            [wave.expand(32, 32), wave[:, None].expand(32, 32), 0 * wave.expand(32, 32)]
        )
        x = patterns[y][:, None] + 0.3 * torch.randn(150, 1, 32, 32, generator=generator)
        x[:100].mul_(self.brightest)
        return Split(TensorSamples(x[:100], y[:100]), TensorSamples(x[100:], y[100:]))

    def spec(self) -> dict[str, Any]:
        return {}

    def content_digest(self) -> str:
        return "stripes"


def _top1(network: torch.nn.Module, split: Split) -> float:
    return TASKS["classification"].measure(network, all_of(split.held_out, (1, 32, 32), 0), 3)


def test_learns_and_reports_what_it_did() -> None:
    seen: list[tuple[int, EpochMetrics]] = []
    steps: list[tuple[int, int]] = []
    result = train(
        BLOCKS,
        Stripes(),
        RECIPE,
        seed=0,
        on_epoch=lambda epoch, metrics: seen.append((epoch, metrics)),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert result.accuracy > 80
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert tuple(metrics for _, metrics in seen) == result.curve
    assert result.curve[-1].loss < result.curve[0].loss
    assert result.curve[-1].accuracy == result.accuracy
    assert result.curve[-1].learning_rate == RECIPE.learning_rate(17, 6)
    assert steps == [(done, 18) for done in range(1, 19)]  # 100 samples: 6 full batches of 16
    assert result.held_out == 50
    assert (result.macs, result.parameters) == (
        network_size(BLOCKS).macs,
        network_size(BLOCKS).parameters,
    )
    assert result.seconds > 0
    split = Stripes().load()
    assert _top1(result.network, split) == result.accuracy


def _weights(result: training.TrainingResult) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in result.network.state_dict().values()])


def test_the_seed_decides_everything() -> None:
    torch.manual_seed(5)
    first = train(BLOCKS, Stripes(), RECIPE, seed=1)
    torch.manual_seed(6)
    before, count = torch.get_rng_state(), torch.get_num_threads()
    again = train(BLOCKS, Stripes(), RECIPE, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == count
    assert torch.equal(_weights(first), _weights(again))
    assert first.curve == again.curve
    other = train(BLOCKS, Stripes(), RECIPE, seed=2)
    assert not torch.equal(_weights(first), _weights(other))


def test_infinite_loss_ends_the_training_with_nan() -> None:
    seen: list[float] = []
    steps: list[int] = []
    result = train(
        BLOCKS,
        Stripes(brightest=math.inf),
        RECIPE,
        seed=0,
        on_epoch=lambda _, metrics: seen.append(metrics.accuracy),
        progress=lambda done, _: steps.append(done),
    )
    assert math.isnan(result.accuracy)
    assert not math.isfinite(result.loss)
    assert len(result.curve) == 1
    assert steps == [1]
    assert all(map(math.isnan, seen))


def test_logits_that_are_not_finite_give_nan() -> None:
    network = build_network(BLOCKS)
    with torch.no_grad():
        network[-1].linear.bias[0] = math.nan
    split = Stripes().load()
    assert math.isnan(_top1(network, split))


def test_raising_in_a_callback_ends_the_training_and_restores_the_threads() -> None:
    class Stop(Exception):
        pass

    def stop(epoch: int, _: EpochMetrics) -> None:
        if epoch == 2:
            raise Stop

    torch.set_num_threads(3)
    with pytest.raises(Stop):
        train(BLOCKS, Stripes(), RECIPE, seed=0, on_epoch=stop)
    assert torch.get_num_threads() == 3


def test_weight_decay_spares_batch_norm_and_biases() -> None:
    network = build_network(BLOCKS)
    decaying, sparing = training.parameter_groups(network, 0.01)
    assert (decaying["weight_decay"], sparing["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = [{names[id(p)] for p in group["params"]} for group in (decaying, sparing)]
    assert found[0] | found[1] == set(names.values())
    assert all(name.endswith(("conv.weight", "linear.weight")) for name in found[0])
    assert all("bn." in name or name.endswith(".bias") for name in found[1])


def test_residual_blocks_may_start_as_their_shortcut() -> None:
    network = build_network(BLOCKS, residual_init=0.0).eval()
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    block = network[2]
    with torch.no_grad():
        torch.testing.assert_close(block(x), block.shortcut(x).relu())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"blocks": BLOCKS[:-1]}, DataError, "the last block is basic"),
        ({"blocks": BLOCKS[1:]}, DataError, r"input_shape=\(1, 32, 32\), classes=3"),
        ({"blocks": BLOCKS[:2] + BLOCKS[3:]}, ArchitectureError, "block 2 .* takes"),
        ({"blocks": ()}, ArchitectureError, "at least one block"),
        ({"recipe": replace(RECIPE, batch_size=101)}, InputError, "batch_size 101 .* the 100 tr"),
        ({"threads": 0}, InputError, "threads must be at least 1 but got 0"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"blocks": BLOCKS, "data": Stripes(), "recipe": RECIPE, **change}
    with pytest.raises(error, match=message):
        train(**arguments, seed=0)
