"""ONNX models of networks and of single blocks, as the latency of section 3.2 is measured."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from optuna_pop.errors import InputError, needs_extra
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.trainables.blocks import input_shapes
from optuna_pop.trainables.networks import Network, build_network

with needs_extra("train"):
    import torch
    from torch import nn

INPUT_NAME = "input"
OUTPUT_NAME = "output"
_OPSET = 17
_DEPRECATED = (
    "You are using the legacy TorchScript-based ONNX export",
    "The feature will be removed",  # the same exporter, of a part of itself
)


def export_onnx(blocks: Sequence[BlockConfig], *, seed: int = 0) -> bytes:
    """Return the network of these blocks as an ONNX model with fresh weights.

    Args:
        blocks: Block configurations in order; any sub-sequence of a network, also a single one.
        seed: Seed of the weights; batch norm gets small random biases too.

    Returns:
        A serialised model, see ``to_onnx``.

    Raises:
        ArchitectureError: if there is no block, or shapes do not chain.
        UnknownNameError: if no block is registered for a kind.
        MissingExtraError: if onnx or torch is not installed.
    """
    network = build_network(blocks, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # As after training, no two layers get the same bias; the exporter would share equal
            # ones through Identity nodes, which a trained network does not have.
            nn.init.normal_(module.bias, std=0.1, generator=generator)
    if len(blocks) == 1:  # which may have several inputs
        return to_onnx(network[0], input_shapes(blocks[0]))
    return to_onnx(network, (blocks[0].input_shape,))


def to_onnx(network: nn.Module, input_shapes: Sequence[tuple[int, ...]] | None = None) -> bytes:
    """Return a module as an ONNX model: batch 1, static shapes, batch norm folded.

    Args:
        network: The module, in any mode; its mode and weights are left as they are.
        input_shapes: Of each input without the batch, (channels, height, width); those of its first
            block's by default, if it is a ``Network``.

    Returns:
        A serialised model from ``input`` (1, c, h, w) float32 to ``output``; further inputs are
        called ``input_2`` and so on.

    Raises:
        InputError: if ``input_shapes`` is missing.
        MissingExtraError: if onnx is not installed.
    """
    if input_shapes is None:
        if not isinstance(network, Network):
            raise InputError(f"to_onnx needs input_shapes for a {type(network).__name__}")
        input_shapes = (network.configs[0].input_shape,)
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    examples = tuple(torch.zeros(1, *shape, device=device) for shape in input_shapes)
    names = [INPUT_NAME, *(f"{INPUT_NAME}_{i}" for i in range(2, len(examples) + 1))]
    return export_module(network, examples, names, [OUTPUT_NAME])


def export_module(
    module: nn.Module,
    examples: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> bytes:
    """Return any module as an ONNX model with the shapes of examples.

    Args:
        module: In any mode; its mode and weights are left as they are.
        examples: Of each input.
        inputs: Their names.
        outputs: Names of what it gives.

    Raises:
        MissingExtraError: if onnx is not installed.
    """
    with needs_extra("profiling"):
        import onnx  # noqa: F401 - torch's exporter needs it and would not say how to get it
    was_training = module.training
    module.eval()
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            # The TorchScript exporter is deprecated but takes a tenth of the new one's time,
            # which counts for the hundreds of blocks of a latency table.
            for message in _DEPRECATED:
                warnings.filterwarnings("ignore", message, DeprecationWarning)
            file = Path(folder, "network.onnx")
            torch.onnx.export(
                module,
                examples,
                file,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=_OPSET,
                do_constant_folding=True,
                dynamo=False,
            )
            return file.read_bytes()
    finally:
        module.train(was_training)


def check_parity(network: nn.Module, model: bytes, tolerance: float = 1e-3) -> float:
    """Compare what ONNX Runtime and torch compute for a random image.

    Args:
        network: In evaluation mode.
        model: That it was exported to.
        tolerance: Largest difference, as a share of the range of the scores.

    Returns:
        The largest difference, as such a share.

    Raises:
        InputError: if it is above the tolerance.
        MissingExtraError: if onnxruntime is not installed.
    """
    with needs_extra("profiling"):
        import onnxruntime
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    x = torch.randn(given.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = network(x)
    found = torch.from_numpy(session.run(None, {given.name: x.numpy()})[0])
    spread = float(wanted.max() - wanted.min())
    largest = float((found - wanted).abs().max()) / max(spread, 1e-12)
    if not largest <= tolerance:
        raise InputError(
            f"the ONNX model's scores differ from torch's by {largest:.2g} of their range, more "
            f"than {tolerance:g}"
        )
    return largest
