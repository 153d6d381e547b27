"""Training speed of our engine beside torchvision's reference loop, in one run, as ratios.

    python -m benchmarks.training_throughput --json throughput.json

DF1 and ResNet-18 are trained twice: by ``optuna_pop.trainables.training.train``, and by the loop of
torchvision's ``references/classification/train.py`` (``reference_epoch`` follows it line by line)
on the same network with the same options: channels last, mixed precision, ``torch.compile``. The
last column is the loop as the script has it, channels first in float32. Rounds of one and the other
alternate, the first of each is not counted, and the ratio is the median of the rounds' ratios.

Samples lie ready in memory, so that the training step is what is measured. It runs on the GPU that
torch finds; on a CPU sizes are small, the process's CPU time counts, as other work on the machine
would decide the ratios else, and figures say nothing of GPUs.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.resnet import resnet18_blocks
from optuna_pop.profiling.device import describe
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import df_blocks
from optuna_pop.trainables.data import DataSet, Samples, Split
from optuna_pop.trainables.loading import batches
from optuna_pop.trainables.networks import build_network
from optuna_pop.trainables.recipes import TrainingRecipe
from optuna_pop.trainables.training import EpochMetrics, train
from optuna_pop.trainables.vision import torchvision

CLASSES = 1000
NETWORKS = ("df1", "resnet18")
Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class Sizes:
    """How much is trained.

    Attributes:
        image: Height and width, pixels.
        batch: Images a step.
        steps: A round; the first is not timed.
        rounds: That count.
        threads: Of torch on the CPU.
    """

    image: int = 224
    batch: int = 256
    steps: int = 20
    rounds: int = 5
    threads: int = 1


ON_CPU = Sizes(image=64, batch=16, steps=5, rounds=5)


@dataclass(frozen=True)
class Case:
    """What is trained, and how."""

    network: str
    precision: Precision
    compile: bool


@dataclass(frozen=True)
class Row:
    """Images a second, medians over rounds.

    Attributes:
        case: What was trained.
        engine: Of our engine.
        reference: Of the reference loop with the same options.
        ratio: Median of the rounds' ratios, ours over the reference's.
        rounds: The ratio of each round.
        script: Of the reference loop as the script has it.
    """

    case: Case
    engine: float
    reference: float
    ratio: float
    rounds: tuple[float, ...]
    script: float


class Ready(Samples):
    """The same images and labels for every batch, without a copy."""

    def __init__(self, x: Tensor, y: Tensor, count: int) -> None:
        self._x, self._y, self._count = x, y, count

    def __len__(self) -> int:
        return self._count

    def take(self, indices: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return as many as are asked for."""
        return self._x[: len(indices)], self._y[: len(indices)]


class Noise(DataSet):
    """Random images in memory."""

    name: ClassVar[str] = "noise"

    def __init__(self, sizes: Sizes) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (3, sizes.image, sizes.image)
        x = torch.randn(sizes.batch, *shape, generator=generator)
        y = torch.randint(CLASSES, (sizes.batch,), generator=generator)
        self._shape = shape
        self._split = Split(Ready(x, y, sizes.batch * sizes.steps), Ready(x, y, 2))

    @property
    def classes(self) -> int:
        """As in ImageNet."""
        return CLASSES

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(3, image, image)."""
        return self._shape

    def load(self) -> Split:
        """Return the samples."""
        return self._split

    def spec(self) -> dict[str, Any]:
        """Describe the images."""
        return {"shape": list(self._shape)}

    def content_digest(self) -> str:
        """Say that they are noise."""
        return "noise"


def blocks_of(network: str, shape: tuple[int, int, int]) -> Sequence[BlockConfig]:
    """Return what our engine trains."""
    if network == "resnet18":
        return resnet18_blocks(shape, CLASSES)
    return df_blocks(network, input_shape=shape, classes=CLASSES)


def module_of(network: str, shape: tuple[int, int, int]) -> nn.Module:
    """Return what the reference loop trains: torchvision's ResNet-18, or a DF network of ours."""
    if network == "resnet18":
        torchvision()
        from torchvision.models import resnet18

        module: nn.Module = resnet18(weights=None)
        return module
    return build_network(blocks_of(network, shape))


def accuracy(output: Tensor, target: Tensor, topk: tuple[int, ...]) -> list[Tensor]:
    """Accuracy over the k top predictions, as the reference's ``utils.accuracy``."""
    with torch.inference_mode():
        _, predicted = output.topk(max(topk), 1, largest=True, sorted=True)
        correct = predicted.t().eq(target[None])
        return [
            correct[:k].flatten().sum(dtype=torch.float32) * (100.0 / len(target)) for k in topk
        ]


class Reference:
    """A training by the loop of torchvision's reference script.

    Args:
        case: Network, precision and whether it is compiled.
        shape: (channels, height, width) of images.
        channels_last: The script itself trains channels first.
        device: Where.
    """

    def __init__(
        self, case: Case, shape: tuple[int, int, int], device: torch.device, *, channels_last: bool
    ) -> None:
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._device = device
        self._half = case.precision == "bf16"
        model: Any = module_of(case.network, shape).to(device)
        model = model.to(memory_format=self._format)
        self._optimizer = torch.optim.SGD(
            model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4
        )
        self._model: Any = torch.compile(model) if case.compile else model
        self._criterion = nn.CrossEntropyLoss()

    def epoch(self, loader: Iterator[tuple[Tensor, Tensor]]) -> Iterator[float]:
        """Train; give the loss after each step."""
        self._model.train()
        for image, target in loader:
            image = image.to(self._device, memory_format=self._format)  # noqa: PLW2901 - theirs
            target = target.to(self._device)  # noqa: PLW2901
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                output = self._model(image)
                loss = self._criterion(output, target)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            acc1, acc5 = accuracy(output, target, topk=(1, 5))
            told = loss.item(), acc1.item(), acc5.item()  # what their logger keeps of a step
            yield told[0]


def speed(seconds: Sequence[float], batch: int) -> float:
    """Images a second from the times at which steps ended."""
    return batch * (len(seconds) - 1) / (seconds[-1] - seconds[0])


def measure(case: Case, sizes: Sizes, device: torch.device) -> Row:
    """Train by both, in turns."""
    data = Noise(sizes)
    shape = data.input_shape
    plain = replace(case, precision="float32", compile=False)
    peers = {
        "reference": Reference(case, shape, device, channels_last=True),
        "script": Reference(plain, shape, device, channels_last=False),
    }
    found: dict[str, list[float]] = {name: [] for name in ("engine", *peers)}
    ends: list[float] = []
    clock = time.perf_counter if device.type == "cuda" else time.process_time

    def step(_: int, __: int) -> None:
        ends.append(clock())

    def others(epoch: int, _: EpochMetrics) -> None:
        seen = {"engine": speed(ends, sizes.batch)}
        for name, peer in peers.items():
            wanted = [(torch.arange(sizes.batch), i) for i in range(sizes.steps)]
            loader = batches(
                data.load().train, wanted, workers=0, pinned=device.type == "cuda", classes=CLASSES
            )
            seen[name] = speed([clock() for _ in peer.epoch(loader)], sizes.batch)
        if epoch > 1:
            for name, value in seen.items():
                found[name].append(value)
        ends.clear()

    how = TrainingRecipe(
        epochs=sizes.rounds + 1,
        batch_size=sizes.batch,
        peak_lr=0.001,
        precision=case.precision,
        compile=case.compile,
    )
    blocks = blocks_of(case.network, shape)
    train(blocks, data, how, seed=0, threads=sizes.threads, on_epoch=others, progress=step)
    ratios = [a / b for a, b in zip(found["engine"], found["reference"], strict=True)]
    middle = {name: round(statistics.median(values), 1) for name, values in found.items()}
    return Row(
        case,
        middle["engine"],
        middle["reference"],
        round(statistics.median(ratios), 3),
        tuple(round(ratio, 3) for ratio in ratios),
        middle["script"],
    )


def run(
    cases: Sequence[Case], sizes: Sizes, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure all cases on the GPU of this machine, or on its CPU; in JSON types."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    rows = []
    for case in cases:
        say(f"{case.network}, {case.precision}{', compiled' if case.compile else ''}")
        rows.append(measure(case, sizes, device))
    return {
        "device": torch.cuda.get_device_name() if gpu else describe().name,
        "kind": device.type,
        "note": ""
        if gpu
        else "measured on a CPU with small sizes, by CPU time: it says nothing of GPUs",
        "torch": torch.__version__,
        "sizes": asdict(sizes),
        "rows": [asdict(row) for row in rows],
    }


def cases_of(networks: Sequence[str], *, compiled: bool) -> list[Case]:
    """Combine networks, precisions and, if wanted, compilation."""
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    options = (False, True) if compiled else (False,)
    return [Case(n, p, c) for n in networks for p in precisions for c in options]


COLUMNS = ("network", "precision", "compiled", "engine", "reference", "ratio", "script as it is")


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Words of a row, for ``COLUMNS``."""
    case = row["case"]
    return (
        case["network"],
        case["precision"],
        "yes" if case["compile"] else "no",
        f"{row['engine']:.1f}",
        f"{row['reference']:.1f}",
        f"{row['ratio']:.3f}",
        f"{row['script']:.1f}",
    )


def markdown(result: dict[str, Any]) -> list[str]:
    """Write a result as lines of Markdown."""
    sizes = result["sizes"]
    return [
        f"## Training, images a second: {result['device']}, torch {result['torch']}",
        "",
        f"{sizes['image']}x{sizes['image']} pixels, batch {sizes['batch']}, channels last, medians "
        f"of {sizes['rounds']} rounds of {sizes['steps']} steps. {result['note']}",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(cells(row))} |" for row in result["rows"]),
        "",
    ]


def main(
    network: Annotated[list[str] | None, typer.Option(help="df1, df2, df2a or resnet18.")] = None,
    image: Annotated[int | None, typer.Option(help="A multiple of 32.")] = None,
    batch: Annotated[int | None, typer.Option(min=2)] = None,
    steps: Annotated[int | None, typer.Option(min=3)] = None,
    rounds: Annotated[int | None, typer.Option(min=1)] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch on a CPU.")] = 1,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Also compiled; on GPUs yes.")
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
) -> None:
    """Measure, and print a table."""
    gpu = torch.cuda.is_available()
    own = {"image": image, "batch": batch, "steps": steps, "rounds": rounds, "threads": threads}
    given = {name: value for name, value in own.items() if value is not None}
    sizes = replace(Sizes() if gpu else ON_CPU, **given)
    cases = cases_of(network or NETWORKS, compiled=gpu if compiled is None else compiled)
    console = Console(soft_wrap=True)
    with console.status("") as status:
        result = run(cases, sizes, status.update)
    table = Table(*COLUMNS, title=f"Training on {result['device']}, images a second")
    for row in result["rows"]:
        table.add_row(*cells(row))
    console.print(table)
    console.print(result["note"])
    if json_path:
        json_path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
