"""Counting ONNX models, and comparing whole networks in one session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from optuna_pop.errors import InputError, StorageError, UnknownNameError
from optuna_pop.profiling.compare import Comparison, compare
from optuna_pop.profiling.onnx_stats import model_size
from optuna_pop.profiling.session import Plan
from optuna_pop.spaces.df import df_blocks
from optuna_pop.trainables.export import to_onnx
from optuna_pop.trainables.models import load_model
from optuna_pop.trainables.networks import network_size

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("name", "mmacs", "millions"),
    [("resnet18", 1814.1, 11.68), ("resnet50", 4089.2, 25.51), ("mobilenet_v2", 300.8, 3.48)],
)
def test_known_networks_have_their_known_size(name: str, mmacs: float, millions: float) -> None:
    """torchvision's own figures; of a folded batch norm one of two parameters is left."""
    size = model_size(load_model(f"torchvision:{name}").onnx)
    assert size.macs / 1e6 == pytest.approx(mmacs, abs=0.05)
    assert size.parameters / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize("name", ["df1", "df1-seg-d8"])
def test_both_ways_of_counting_agree(name: str) -> None:
    shape = (3, 64, 96)
    size = model_size(load_model(name, shape).onnx)
    assert size.macs == network_size(df_blocks(name, input_shape=shape)).macs


def test_memory_by_hand() -> None:
    """Input 2x8x8, conv to 4x8x8, conv to 1x8x8, and the first kept for a sum."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.a(x)
            return first + self.b(first)

    size = model_size(to_onnx(Branches(), [(2, 8, 8)]))
    pixels = 4 * 64
    assert size.macs == 64 * (2 * 4 + 4 * 4)
    assert size.parameters == 2 * 4 + 4 + 4 * 4 + 4
    assert size.activation_bytes == 3 * 4 * pixels  # the first, the second, and their sum


def test_dynamic_shapes_say_which_input_and_how_to_mend() -> None:
    model = onnx.load_from_string(load_model("df1", (3, 32, 32)).onnx)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(InputError, match=r"'input' has the dynamic shape .*'height'.*make_dynamic"):
        model_size(model.SerializeToString())


def test_what_is_no_model() -> None:
    with pytest.raises(InputError, match="mine is no valid ONNX model"):
        model_size(b"nonsense", "mine")


def test_networks_are_compared_and_bad_ones_named() -> None:
    good = {name: load_model(name, (3, 32, 32)).onnx for name in ("df1", "df2")}
    found = compare(
        {**good, "bad": b"nonsense"}, Plan(seconds=0), published={"df1": (69.8, "ImageNet")}
    )
    assert [network.name for network in found.networks] == ["df1", "df2"]
    assert found.networks[0].accuracy == 69.8
    assert found.networks[1].accuracy is None
    assert list(found.rejected) == ["bad"]
    assert found.latency(found.networks[0]) < found.latency(found.networks[1])
    text = found.model_dump_json(by_alias=True)
    assert Comparison.model_validate_json(text) == found
    with pytest.raises(InputError, match="no network can be measured"):
        compare({"bad": b"nonsense"}, Plan(seconds=0))


class TestModels:
    def test_unknown_names_say_what_there_is(self) -> None:
        with pytest.raises(UnknownNameError, match="df1-seg"):
            load_model("df3")
        with pytest.raises(UnknownNameError, match="resnet18"):
            load_model("torchvision:resnet19")
        with pytest.raises(UnknownNameError, match="torchvision"):
            load_model("keras:resnet50")

    def test_published_accuracy(self) -> None:
        df1 = load_model("df1", (3, 32, 32)).published
        assert df1 is not None
        assert (df1.percent, df1.of) == (69.8, "ImageNet top-1")
        assert load_model("torchvision:squeezenet1_1", (3, 64, 64)).published

    def test_timm(self) -> None:
        model = load_model("timm:resnet10t", (3, 64, 64))
        assert model_size(model.onnx).parameters > 5_000_000

    def test_a_segmentation_network_of_torchvision(self) -> None:
        size = model_size(load_model("torchvision:lraspp_mobilenet_v3_large", (3, 64, 64)).onnx)
        assert size.parameters == pytest.approx(3.2e6, rel=0.02)

    def test_an_input_it_cannot_take(self) -> None:
        with pytest.raises(InputError, match=r"alexnet cannot be exported .* 3x8x8"):
            load_model("torchvision:alexnet", (3, 8, 8))

    def test_files(self, tmp_path: Path) -> None:
        (tmp_path / "mine.onnx").write_bytes(load_model("df1", (3, 32, 32)).onnx)
        name = str(tmp_path / "mine.onnx")
        assert load_model(name).published is None
        with pytest.raises(InputError, match="takes 3x32x32, not the asked 3x64x64"):
            load_model(name, (3, 64, 64))
        with pytest.raises(StorageError, match=r"other\.onnx"):
            load_model(str(tmp_path / "other.onnx"))
