"""Loading TensorRT, or TensorRT for RTX, which has the same interface."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any, Final, Literal

from optuna_pop.errors import EngineError, MissingExtraError, needs_extra

Flavour = Literal["tensorrt", "tensorrt-rtx"]
FLAVOURS: Final[tuple[Flavour, ...]] = ("tensorrt", "tensorrt-rtx")
OLDEST = (8, 6)
STRONGLY_TYPED_FROM = 11
_RTX_LIBRARIES = ("libtensorrt_rtx.so.*", "libtensorrt_onnxparser_rtx.so.*")
_RTX_WHEEL = "onnxruntime_ep_nv_tensorrt_rtx"


def load(flavour: Flavour) -> Any:
    """Import TensorRT's Python module.

    TensorRT for RTX comes as bindings without libraries where only a package registry is at hand;
    then the libraries inside ONNX Runtime's plug-in for it are loaded first.

    Raises:
        MissingExtraError: if it is not installed.
        EngineError: if its libraries cannot be loaded, or it is too old for named tensors.
    """
    if flavour == "tensorrt":
        with needs_extra("tensorrt"):
            module = _imported("tensorrt")
        if version(module) < OLDEST:
            raise EngineError(
                f"TensorRT {module.__version__} is older than {OLDEST[0]}.{OLDEST[1]}: measure "
                "with `optuna-pop profile export` and trtexec on this device"
            )
        return module
    if importlib.util.find_spec("tensorrt_rtx") is not None:
        return _imported("tensorrt_rtx")
    _preload()
    with needs_extra("tensorrt-rtx"):
        return _imported("tensorrt_rtx_bindings")


def load_any() -> Any:
    """Import TensorRT's Python module, or that of TensorRT for RTX if only that is installed.

    Raises:
        MissingExtraError: if neither is installed.
        EngineError: as ``load``.
    """
    for flavour in FLAVOURS:
        try:
            return load(flavour)
        except MissingExtraError:
            continue
    raise MissingExtraError(
        "no TensorRT is installed; get it with: pip install 'optuna-pop[tensorrt]', or for "
        "GeForce RTX cards: pip install 'optuna-pop[tensorrt-rtx]'"
    )


def version(module: Any) -> tuple[int, int]:
    """Return (major, minor) of TensorRT; 11 for TensorRT for RTX, whose interface that is."""
    if is_rtx(module):
        return (11, 0)
    major, minor = re.findall(r"\d+", str(module.__version__))[:2]
    return int(major), int(minor)


def is_rtx(module: Any) -> bool:
    """Whether it is TensorRT for RTX."""
    return "rtx" in str(module.__name__)


def strongly_typed(module: Any) -> bool:
    """Whether networks compute in the types their model has, and precision flags are gone."""
    return version(module)[0] >= STRONGLY_TYPED_FROM


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise
    except (OSError, ImportError) as error:  # a shared library is missing, or of another system
        raise EngineError(f"{name} is installed but cannot be loaded: {error}") from error


def _preload() -> None:
    found = importlib.util.find_spec(_RTX_WHEEL)
    if found is None or found.origin is None:
        return
    folder = Path(found.origin).parent
    for pattern in _RTX_LIBRARIES:
        for library in sorted(folder.glob(pattern)):
            try:
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                raise EngineError(f"{library.name} cannot be loaded: {error}") from error
