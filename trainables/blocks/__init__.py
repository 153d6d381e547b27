"""Blocks by kind: the measured block is the trained block, because one class builds both.

To add a kind, add a file here with a builder that takes a ``BlockConfig`` and registers itself::

    @BLOCKS.register("mine")
    class MyBlock(nn.Module):
        def __init__(self, config: BlockConfig) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from optuna_pop.errors import ArchitectureError, needs_extra
from optuna_pop.registry import Registry
from optuna_pop.spaces.blocks import BlockConfig

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]

BLOCKS: Registry[Callable[[BlockConfig], nn.Module]] = Registry("block", __name__)
"""Builders by ``BlockConfig.kind``."""


def build_block(config: BlockConfig) -> nn.Module:
    """Build the block of a configuration, initialised as torch does.

    Args:
        config: Kind, shapes and options of the block.

    Returns:
        A module from (n, c_in, h_in, w_in) to (n, c_out, h_out, w_out); a head gives (n, c_out).

    Raises:
        UnknownNameError: if no block is registered for the kind.
        ArchitectureError: if the kind cannot have such shapes or options.
        MissingExtraError: if torch is not installed.
    """
    with needs_extra("train"):
        builder = BLOCKS[config.kind]
    return builder(config)


def input_shapes(config: BlockConfig) -> tuple[Shape, ...]:
    """Return the (channels, height, width) of each input of a block.

    Most have one, ``config.input_shape``. A builder of blocks with several has a function
    ``input_shapes(config)`` that says so.

    Raises:
        UnknownNameError: if no block is registered for the kind.
        MissingExtraError: if torch is not installed.
    """
    with needs_extra("train"):
        builder = BLOCKS[config.kind]
    several: Callable[[BlockConfig], tuple[Shape, ...]] | None = getattr(
        builder, "input_shapes", None
    )
    return (config.input_shape,) if several is None else several(config)


def check_config(config: BlockConfig, *, options: tuple[str, ...] = ()) -> None:
    """Refuse a configuration whose shapes no padded convolution of one stride has.

    Args:
        config: The configuration of a block that convolves its input.
        options: Names that ``config.options`` may hold.

    Raises:
        ArchitectureError: if a size is not positive, the output is not the input divided by the
            stride (rounded up) along both axes, or an option is unknown.
    """
    check_options(config, options)
    if min(config.input_shape + config.output_shape) < 1:
        raise ArchitectureError(f"block {config} has a size below 1: all must be positive")
    stride = config.stride
    expected = (-(-config.h_in // stride), -(-config.w_in // stride))
    if (config.h_out, config.w_out) != expected:
        raise ArchitectureError(
            f"block {config} cannot be built: stride {stride} (from the heights) gives an output "
            f"of {expected[0]}x{expected[1]} pixels, not {config.h_out}x{config.w_out}"
        )


def check_options(config: BlockConfig, known: tuple[str, ...]) -> None:
    """Refuse options that the kind does not have.

    Raises:
        ArchitectureError: naming the first unknown option.
    """
    for name, _ in config.options:
        if name not in known:
            has = f"the options {', '.join(known)}" if known else "no options"
            raise ArchitectureError(f"block {config}: unknown option {name!r}; it has {has}")
