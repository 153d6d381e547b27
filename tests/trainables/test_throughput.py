"""The benchmark of training speed: that both sides train, and train the same network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from benchmarks import training_throughput
from benchmarks.resnet import resnet18_blocks
from benchmarks.training_throughput import Case, Reference, Sizes, blocks_of, module_of, speed
from optuna_pop.trainables.networks import build_network, network_size

SHAPE = (3, 64, 64)


def test_resnet18_of_blocks_is_torchvisions() -> None:
    ours, theirs = build_network(resnet18_blocks(SHAPE, 1000)), module_of("resnet18", SHAPE)
    shapes = [[tuple(p.shape) for p in net.parameters()] for net in (ours, theirs)]
    assert sorted(shapes[0]) == sorted(shapes[1])
    assert network_size(blocks_of("resnet18", (3, 224, 224))).macs == 1_814_073_344
    # The same weights give the same scores; both list parameters in the order of execution but for
    # shortcuts, so they are matched block by block.
    found = dict(theirs.named_parameters())
    names = {"conv1.conv": "conv1", "conv1.bn": "bn1", "conv2.conv": "conv2", "conv2.bn": "bn2"}
    names |= {"shortcut.conv": "downsample.0", "shortcut.bn": "downsample.1"}
    with torch.no_grad():
        for place, block in enumerate(ours):
            for name, parameter in block.named_parameters():
                inner, _, kind = name.rpartition(".")
                if place == 0:
                    source = f"{['conv1', 'bn1'][int(inner)]}.{kind}"
                elif place == len(ours) - 1:
                    source = f"fc.{kind}"
                else:
                    source = f"layer{(place + 1) // 2}.{(place - 1) % 2}.{names[inner]}.{kind}"
                parameter.copy_(found[source])
        x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-4)


def test_speed_is_of_the_steps_after_the_first() -> None:
    assert speed([10.0, 12.0, 14.0], 8) == 4.0


def test_the_reference_learns() -> None:
    case = Case("df1", "bf16", compile=False)
    sizes = Sizes(image=32, batch=8)
    data = training_throughput.Noise(sizes)
    reference = Reference(case, data.input_shape, torch.device("cpu"), channels_last=True)
    for group in reference._optimizer.param_groups:
        group["lr"] = 0.05
    batch = data.load().train.take(torch.arange(8))
    losses = list(reference.epoch(iter([batch] * 8)))
    assert losses[-1] < losses[0]


def test_it_runs_on_a_cpu_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["--network", "df1", "--image", "32", "--batch", "2", "--steps", "3", "--rounds", "1"]
    app = training_throughput.typer.Typer()
    app.command()(training_throughput.main)
    done = CliRunner().invoke(app, [*words, "--json", str(tmp_path / "t.json")])
    assert done.exit_code == 0, done.output
    assert "says nothing of GPUs" in " ".join(done.output.split())
    result = json.loads((tmp_path / "t.json").read_text())
    assert result["kind"] == "cpu"
    assert [row["case"]["precision"] for row in result["rows"]] == ["float32", "bf16"]
    for row in result["rows"]:
        assert row["engine"] > 0
        assert row["script"] > 0
        assert row["rounds"] == [row["ratio"]]
    lines = training_throughput.markdown(result)
    assert sum(line.startswith("| df1 |") for line in lines) == 2
