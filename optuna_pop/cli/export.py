"""``optuna-pop export``: trained weights as an ONNX model, and as a TensorRT engine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optuna_pop.cli.options import console
from optuna_pop.cli.profile import Precision
from optuna_pop.errors import InputError
from optuna_pop.experiment.storage import require_space
from optuna_pop.files import write_whole

if TYPE_CHECKING:
    from optuna_pop.trainables.networks import Network

EXAMPLE = (
    "**Example:** optuna-pop export df1-seg.safetensors --out df1-seg.onnx "
    "--engine df1-seg.engine --precision float16"
)
_FLOAT16_TOLERANCE = 0.05  # of the range of scores


class Flavour(StrEnum):
    """What builds an engine."""

    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt-rtx"


def command(
    weights: Annotated[Path, typer.Argument(help="Written by `optuna-pop train`.")],
    out: Annotated[Path, typer.Option(help="Where to write the ONNX model.")],
    input_size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH; that of the training by default.")
    ] = None,
    engine: Annotated[
        Path | None, typer.Option(help="Where to write a TensorRT engine, too.")
    ] = None,
    flavour: Annotated[
        Flavour | None,
        typer.Option("--with", help="What builds the engine; by default what is installed."),
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Of the engine: float32 (default), tf32 or float16.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Compute capability that TensorRT for RTX builds for, e.g. SM86; by default none "
            "in particular."
        ),
    ] = None,
) -> None:
    """Export a trained network with batch norm folded, and check that it computes the same."""
    from optuna_pop.trainables.export import check_parity, to_onnx
    from optuna_pop.trainables.weights import load_weights

    trt = _builder(engine, flavour, precision, target, out)
    found = load_weights(weights)
    shape = None
    if input_size is not None:
        height, _, width = input_size.partition("x")
        if not (height.isdigit() and width.isdigit()):
            raise InputError(f"--input-size {input_size!r} must be HEIGHTxWIDTH, e.g. 360x640")
        shape = (found.blocks[0].c_in, int(height), int(width))
    for path in (out, engine):
        if path is not None:
            require_space(path.absolute().parent)
    network = found.network(shape)
    model = to_onnx(network)
    largest = check_parity(network, model)
    write_whole(out, model)
    console().print(
        f"Wrote {out} ({len(model) / 2**20:.1f} MiB): scores differ from torch's by at most "
        f"{largest:.2g} of their range."
    )
    if engine is not None:
        kind = Precision.float32 if precision is None else precision
        _build(trt, network, model, engine, kind, target)


def _builder(
    engine: Path | None,
    flavour: Flavour | None,
    precision: Precision | None,
    target: str | None,
    out: Path,
) -> Any:
    """Load what builds the engine, if one is wanted, before anything is written."""
    if engine is None:
        for name, value in (("with", flavour), ("precision", precision), ("target", target)):
            if value is not None:
                raise InputError(f"--{name} is of a TensorRT engine: say where, --engine FILE")
        return None
    if engine.absolute() == out.absolute():
        raise InputError(f"--out and --engine are both {out}: they are two files")
    if precision is Precision.int8:
        raise InputError(
            "--precision int8 needs the ranges of a trained network's activations, which are not "
            "measured here: choose float32, tf32 or float16, or quantize the ONNX model"
        )
    from optuna_pop.profiling.trt import library

    return library.load_any() if flavour is None else library.load(flavour.value)


def _build(
    trt: Any, network: Network, model: bytes, engine: Path, precision: Precision, target: str | None
) -> None:
    from optuna_pop.profiling.engines import EngineOptions
    from optuna_pop.profiling.precision import in_precision
    from optuna_pop.profiling.trt import building, library
    from optuna_pop.trainables.export import check_parity

    close = ""
    if precision is Precision.float16:
        lower = in_precision(model, precision.value, engine.name)
        largest = check_parity(network, lower, _FLOAT16_TOLERANCE)
        close = f"; scores in float16 differ from torch's by at most {largest:.2g} of their range"
    options = EngineOptions(precision=precision.value)
    content = building.build(trt, model, options, label=engine.name, target=target)
    write_whole(engine, content)
    rtx = library.is_rtx(trt)
    name = "TensorRT for RTX" if rtx else "TensorRT"
    fits = (
        f"for {target}" if target else "for no card in particular" if rtx else "for this GPU alone"
    )
    console().print(
        f"Wrote {engine} ({len(content) / 2**20:.1f} MiB): {name} {trt.__version__}, "
        f"{precision.value}, {fits}{close}. It was not run here."
    )
