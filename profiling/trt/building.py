"""From an ONNX model to a serialized TensorRT engine, on TensorRT 8.6, 10, 11 and for RTX.

What changed between them: 8.6 wants the EXPLICIT_BATCH flag; since 11 (and for RTX) every network
is strongly typed, so that float16 is written into the model and not a flag any more. int8 is
quantize/dequantize pairs in the model everywhere; calibrators are used nowhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from optuna_pop.errors import EngineError, InputError, UnknownNameError
from optuna_pop.files import write_whole
from optuna_pop.profiling.engines.base import EngineOptions, require_static
from optuna_pop.profiling.precision import in_precision
from optuna_pop.profiling.trt.library import is_rtx, strongly_typed, version

_TIMING_CACHE = "timing.cache"
_SHOWN = 3  # messages of TensorRT in an error


def build(
    trt: Any,
    model: bytes,
    options: EngineOptions,
    *,
    label: str = "model",
    device: str = "",
    target: str | None = None,
) -> bytes:
    """Build a serialized engine, or read it where the cache has it.

    Args:
        trt: TensorRT's module, see ``library.load``.
        model: A serialized float32 ONNX model, batch 1, static shapes.
        options: Precision, and the folder of engines and timing cache.
        label: What the model is, for messages.
        device: Name of the GPU; engines of another are not read.
        target: Compute capability to build for, e.g. "SM86"; only TensorRT for RTX can. None
            builds for the GPU here; with TensorRT for RTX, which needs none to build, for none in
            particular.

    Raises:
        InputError: if TensorRT rejects the model, where it names the node it does not like; or it
            cannot build for the target.
        EngineError: if TensorRT cannot build here, as where there is no GPU.
    """
    digest = hashlib.sha256(model)
    digest.update(repr((trt.__version__, options.precision, device, target)).encode())
    kept = options.cache / f"{digest.hexdigest()[:24]}.plan" if options.cache else None
    if kept is not None and kept.exists():
        return kept.read_bytes()
    engine = _build(trt, model, options, label, target)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, engine)
    return engine


def listening_logger(trt: Any) -> Any:
    """Return a logger that keeps what TensorRT complains of, in ``complaints``."""

    class Listener(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.complaints: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.complaints.append(message)

    return Listener()


def _build(trt: Any, model: bytes, options: EngineOptions, label: str, target: str | None) -> bytes:
    typed = strongly_typed(trt)
    if options.precision == "int8" or (typed and options.precision == "float16"):
        model = in_precision(model, options.precision, label)
    logger = listening_logger(trt)
    try:
        builder = trt.Builder(logger)
    except (RuntimeError, TypeError) as error:  # the latter: it is given nothing by the library
        said = logger.complaints[-1] if logger.complaints else error
        raise EngineError(f"TensorRT cannot build here, it needs an NVIDIA GPU: {said}") from error
    network = builder.create_network(_network_flags(trt))
    _parse(trt, network, logger, model, label)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.max_aux_streams = 0  # one stream: layer times add up, events see everything
    _set_precision(trt, config, options.precision, typed=typed)
    if target is not None:
        _set_target(trt, config, target)
    cache = None if is_rtx(trt) else _timing_cache(config, options.cache)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise InputError(f"TensorRT rejects the model of {label!r}: {_complaints(logger)}")
    if cache is not None:
        write_whole(cache, bytes(config.get_timing_cache().serialize()))
    return bytes(serialized)


def _network_flags(trt: Any) -> int:
    if version(trt)[0] >= 10:
        return 0
    return 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def _parse(trt: Any, network: Any, logger: Any, model: bytes, label: str) -> None:
    parser = trt.OnnxParser(network, logger)
    # Some versions accept bytes that are no model at all, with an empty network.
    if not parser.parse(model) or network.num_outputs == 0:
        problems = [_problem(parser.get_error(i)) for i in range(parser.num_errors)]
        said = "; ".join(problems[:_SHOWN]) or _complaints(logger)
        raise InputError(f"TensorRT rejects the model of {label!r}: {said}")
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shape = tuple(tensor.shape)
        require_static(label, tensor.name, shape, dynamic=min(shape, default=1) < 0)


def _problem(error: Any) -> str:
    name = error.node_name() if hasattr(error, "node_name") else ""
    kind = error.node_operator() if hasattr(error, "node_operator") else ""
    where = f"node {name!r} ({kind}): " if name else f"node {error.node()}: "
    return f"{where}{error.desc()}"


def _set_precision(trt: Any, config: Any, precision: str, *, typed: bool) -> None:
    flag = trt.BuilderFlag
    if precision == "tf32":
        config.set_flag(flag.TF32)
    else:
        config.clear_flag(flag.TF32)
    if not typed and precision == "float16":
        config.set_flag(flag.FP16)
    if not typed and precision == "int8":
        config.set_flag(flag.INT8)


def _set_target(trt: Any, config: Any, target: str) -> None:
    if not is_rtx(trt):
        raise InputError(
            f"TensorRT builds for the GPU of this machine, not for {target}: only TensorRT for RTX "
            "builds for others"
        )
    known = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    if target not in known:
        raise UnknownNameError("compute capability", target, known)
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, target), 0)


def _timing_cache(config: Any, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _TIMING_CACHE
    cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
    config.set_timing_cache(cache, False)
    return path


def _complaints(logger: Any) -> str:
    return "; ".join(logger.complaints[-_SHOWN:]) or "it does not say why"
