"""Importing torchvision, also where torch is a CPU build and torchvision one for CUDA."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from optuna_pop.errors import needs_extra

_kept: list[object] = []


def torchvision() -> Any:
    """Import torchvision.

    PyPI's torchvision is built for CUDA; beside a CPU build of torch its compiled operators cannot
    be loaded, and the import fails on the first of them ("operator torchvision::nms does not
    exist", pytorch/vision issues 9077 and 9085). Models, data sets and transforms need none of
    them, so their schemas are declared and the import is tried again; calling such an operator
    still fails. A sound installation is left as it is.

    Raises:
        MissingExtraError: if torchvision is not installed.
    """
    with needs_extra("train"):
        import torch
    try:
        with needs_extra("train"):
            return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # halves of modules
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)  # it is undone when it is collected
    return importlib.import_module("torchvision")
