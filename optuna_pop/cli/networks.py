"""The space that a command means: by name, from a file, or made for a data set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from optuna_pop.cli.options import data_set_of, pairs
from optuna_pop.errors import DataError, InputError
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.decoder import DecoderSpace
from optuna_pop.spaces.df import backbone_of
from optuna_pop.spaces.presets import load_space
from optuna_pop.trainables.data import DataSet

Networks = BackboneSpace | DecoderSpace
"""Spaces of networks that can be trained."""


class What(StrEnum):
    """What is searched."""

    backbone = "backbone"
    decoder = "decoder"


_OF_TASK: Final = {"classification": What.backbone, "segmentation": What.decoder}


def space_for(what: What | None, name: str | None, backbone: str | None, data: DataSet) -> Networks:
    """Return the space that was asked for, which fits the data.

    Args:
        what: Kind of space; where no name is given, that for the data is made.
        name: A preset or a file; "demo" if neither is given.
        backbone: Of decoders made for the data; "df1" by default.
        data: What networks of the space are trained on.

    Raises:
        InputError: if the space has no networks, or is of another kind.
        DataError: if it does not fit the data.
    """
    found: Networks
    if name is None and what is not None:
        found = _made_for(what, backbone, data)
    elif backbone is not None:
        raise InputError("--backbone is for decoders, without --space")
    else:
        found = _named(what, name or "demo")
        _check_fit(found, repr(name or "demo"), data)
    wanted = _OF_TASK[data.task]
    if _kind_of(found) != wanted:
        raise DataError(
            f"data {data.name!r} is for {data.task}, which {wanted.value} networks learn: search "
            "and measure those"
        )
    return found


def _made_for(what: What, backbone: str | None, data: DataSet) -> Networks:
    if what == What.backbone:
        if backbone is not None:
            raise InputError("--backbone is for decoders: `optuna-pop search decoder`")
        return BackboneSpace(input_shape=data.input_shape, classes=data.classes)
    given: Any = backbone or "df1"
    if given.endswith(".safetensors"):
        from optuna_pop.trainables.weights import load_weights

        given = [block.key for block in backbone_of(load_weights(Path(given)).blocks)]
    return DecoderSpace(data.classes, backbone=given, input_shape=data.input_shape)


def _kind_of(space: Networks) -> What:
    return What.backbone if isinstance(space, BackboneSpace) else What.decoder


def _named(what: What | None, name: str) -> Networks:
    found = load_space(name)
    bare = isinstance(found, DecoderSpace) and found.backbone is None
    if not isinstance(found, Networks) or bare:
        raise InputError(f"space {name!r} has no networks to train: give one of backbones")
    if what is not None and _kind_of(found) != what:
        raise InputError(f"space {name!r} is none of kind {what.value!r}")
    return found


def measured_space(
    name: str | None,
    backbone: str | None,
    data: str | None,
    settings: list[str] | None,
    root: Path | None,
) -> Space[Any]:
    """Return the space to measure: one by name, or the one that a search on the data has.

    Args:
        name: A preset or a file; without data "df" by default.
        backbone: Of decoders.
        data: Name of a data set; None for none.
        settings: Of the data set, NAME=VALUE.
        root: Folder of data sets.

    Raises:
        InputError: if something is given that belongs to a data set, without one.
        DataError: if space and data do not fit.
    """
    if data is None:
        for option, value in (
            ("backbone", backbone),
            ("data-set", settings),
            ("data-root", root),
        ):
            if value:
                raise InputError(f"--{option} needs --data, whose images the networks take")
        return load_space(name or "df")
    images = data_set_of(data, pairs(settings, "--data-set"), root)
    what = None
    if name is None:
        decoder = backbone is not None or images.task == "segmentation"
        what = What.decoder if decoder else What.backbone
    return space_for(what, name, backbone, images)


def _check_fit(space: Networks, name: str, data: DataSet) -> None:
    if space.input_shape != data.input_shape or space.classes != data.classes:
        raise DataError(
            f"space {name} takes {space.input_shape} images of {space.classes} classes but data "
            f"{data.name!r} has {data.input_shape} and {data.classes}: choose others that fit, or "
            "leave --space out (`optuna-pop search backbone` or `decoder`)"
        )
