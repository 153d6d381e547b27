"""Spaces by name or from a file, for the command line and for studies that name their space."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optuna_pop.errors import InputError, UnknownNameError
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.decoder import DecoderSpace
from optuna_pop.spaces.grid import OrderedSpace


def _demo() -> BackboneSpace:
    return BackboneSpace(
        widths=(8, 16, 32, 64), max_depths=(2, 2, 2), input_shape=(1, 48, 48), classes=10
    )


PRESETS: dict[str, Callable[[], Space[Any]]] = {
    "df": BackboneSpace,  # the paper's: widths 64 to 1024, at most 4/6/4 blocks, 224x224
    "df1-seg": lambda: DecoderSpace(backbone="df1"),  # the paper's decoder search, 1024x2048
    "df2-seg": lambda: DecoderSpace(backbone="df2"),
    "demo": _demo,  # small enough to be searched on two cores in minutes
}


def space_from_spec(spec: Mapping[str, Any]) -> Space[Any]:
    """Build the space that ``Space.spec()`` described.

    Raises:
        InputError: if the description is incomplete or of an unknown kind, or the space cannot
            be described, like a pool or one with a user's own rule.
    """
    arguments = dict(spec)
    kind = arguments.pop("space", None)
    try:
        match kind:
            case "backbone":
                for name in ("input_shape", "stem"):
                    if name in arguments:
                        arguments[name] = tuple(arguments[name])
                return BackboneSpace(**arguments)
            case "decoder":
                if "input_shape" in arguments:
                    arguments["input_shape"] = tuple(arguments["input_shape"])
                return DecoderSpace(**arguments)
            case "ordered" if arguments.get("valid", "all") == "all":
                return OrderedSpace(arguments["weakest_to_strongest"])
    except (TypeError, KeyError) as error:
        raise InputError(
            f"the description of the {kind} space {dict(spec)} is wrong: {error}"
        ) from error
    raise InputError(
        f"a space of kind {kind!r} cannot be made from a description: "
        "kinds are 'backbone', 'decoder' and 'ordered' (without a rule)"
    )


def load_space(name: str) -> Space[Any]:
    """Return a preset by name, or the space a JSON file describes.

    Args:
        name: One of ``PRESETS``, or a path ending in ``.json``.

    Raises:
        InputError: if there is no such preset, or the file cannot be used.
    """
    if name in PRESETS:
        return PRESETS[name]()
    if not name.endswith(".json"):
        raise UnknownNameError("space", name, [*PRESETS, "FILE.json"])
    try:
        spec = json.loads(Path(name).read_text())
    except OSError as error:
        raise InputError(f"space file {name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"space file {name} is not JSON: {error}") from error
    if not isinstance(spec, dict):
        raise InputError(f"space file {name} must hold an object with a 'space' key")
    return space_from_spec(spec)
