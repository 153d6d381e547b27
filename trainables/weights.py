"""Trained weights in a safetensors file that says which network they are of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna_pop.errors import InputError, StorageError, needs_extra
from optuna_pop.files import write_whole
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.spaces.df import at_input, backbone_of
from optuna_pop.trainables.data.base import Statistics
from optuna_pop.trainables.networks import Network, build_network

with needs_extra("train"):
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load, save
    from torch import Tensor

_BLOCKS = "optuna_pop:blocks"
_ABOUT = "optuna_pop:about"


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of a network.

    Attributes:
        blocks: Its block configurations.
        tensors: Its state by name.
        about: How it was trained and how good it is, in JSON types.
        digest: Of the file's content.
    """

    blocks: tuple[BlockConfig, ...]
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]
    digest: str

    @property
    def statistics(self) -> Statistics | None:
        """By which images are normalised; None where the file does not say."""
        found = self.about.get("statistics")
        return None if found is None else (tuple(found[0]), tuple(found[1]))

    def tensors_digest(self) -> str:
        """Return 16 hexadecimal digits of the numbers alone, whatever the file says of them."""
        content = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            content.update(tensor.contiguous().numpy().tobytes())
        return content.hexdigest()[:16]

    def network(self, input_shape: tuple[int, int, int] | None = None) -> Network:
        """Build the network with these weights, in evaluation mode.

        Args:
            input_shape: (channels, height, width); that of the training by default.

        Raises:
            ArchitectureError: if it takes other channels.
        """
        network = build_network(
            self.blocks if input_shape is None else at_input(self.blocks, input_shape)
        )
        network.load_state_dict(dict(self.tensors))
        return network.eval()

    def into_backbone(self, network: Network) -> None:
        """Put the weights of stages 1 to 5 into a network that has the same ones.

        Raises:
            InputError: naming the first block that differs.
        """
        mine, wanted = backbone_of(self.blocks), backbone_of(network.configs)
        for place in range(max(len(mine), len(wanted))):
            pair = [blocks[place] if place < len(blocks) else None for blocks in (mine, wanted)]
            if _bare(pair[0]) != _bare(pair[1]):
                raise InputError(
                    f"the weights are of another backbone: its block {place} is {pair[0]} but the "
                    f"network's is {pair[1]}"
                )
        state = {
            name: tensor
            for name, tensor in self.tensors.items()
            if int(name.partition(".")[0]) < len(wanted)
        }
        network.load_state_dict(state, strict=False)


def save_weights(path: Path, network: Network, about: Mapping[str, Any]) -> None:
    """Write a network's weights, as a whole or not at all.

    Raises:
        StorageError: if they cannot be written.
    """
    metadata = {
        _BLOCKS: json.dumps([block.key for block in network.configs]),
        _ABOUT: json.dumps(dict(about)),
    }
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_whole(path, save(tensors, metadata))


def load_weights(path: Path) -> Weights:
    """Read weights. No code is ever loaded from the file.

    Raises:
        StorageError: if the file cannot be read.
        InputError: if it holds no weights of this project.
    """
    try:
        content = path.read_bytes()
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        keys = json.loads(metadata[_BLOCKS])
        blocks = tuple(BlockConfig.from_key(key) for key in keys)
        about = json.loads(metadata.get(_ABOUT, "{}"))
        tensors = load(content)
    except OSError as error:
        raise StorageError(f"cannot read weights {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} holds no weights that `optuna-pop train` wrote, or is damaged: {error}"
        ) from error
    return Weights(blocks, tensors, about, hashlib.sha256(content).hexdigest()[:16])


def _bare(block: BlockConfig | None) -> tuple[Any, ...] | None:
    """What a block's weights depend on."""
    return (
        None
        if block is None
        else (block.kind, block.c_in, block.c_out, block.stride, block.options)
    )
