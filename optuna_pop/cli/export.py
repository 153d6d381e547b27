"""``optuna-pop export``: trained weights as an ONNX model, or a TensorRT engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_pop.cli.options import console
from optuna_pop.cli.profile import Precision, PrecisionOption
from optuna_pop.errors import InputError
from optuna_pop.files import write_whole

EXAMPLE = "**Example:** optuna-pop export df1-seg.safetensors --out df1-seg.onnx"


def command(
    weights: Annotated[Path, typer.Argument(help="Written by `optuna-pop train`.")],
    out: Annotated[Path, typer.Option(help="Where to write the ONNX model.")],
    input_size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH; that of the training by default.")
    ] = None,
    engine: Annotated[
        Path | None, typer.Option(help="Where to write a TensorRT engine, too.")
    ] = None,
    precision: PrecisionOption = Precision.float32,
) -> None:
    """Export a trained network with batch norm folded, and check that it computes the same."""
    from optuna_pop.trainables.export import check_parity, to_onnx
    from optuna_pop.trainables.weights import load_weights

    found = load_weights(weights)
    shape = None
    if input_size is not None:
        height, _, width = input_size.partition("x")
        if not (height.isdigit() and width.isdigit()):
            raise InputError(f"--input-size {input_size!r} must be HEIGHTxWIDTH, e.g. 360x640")
        shape = (found.blocks[0].c_in, int(height), int(width))
    network = found.network(shape)
    model = to_onnx(network)
    largest = check_parity(network, model)
    write_whole(out, model)
    console().print(
        f"Wrote {out} ({len(model) / 2**20:.1f} MiB): scores differ from torch's by at most "
        f"{largest:.2g} of their range."
    )
    if engine is not None:
        from optuna_pop.experiment.finishing import build_engine
        from optuna_pop.profiling.engines import EngineOptions

        options = EngineOptions(precision=Precision(precision).value)
        write_whole(engine, build_engine(model, options, out.name))
        console().print(f"Wrote {engine}: TensorRT {options.precision}, for this GPU alone.")
