"""Batches of samples, made beside the training where a data set wants that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optuna_pop.errors import needs_extra
from optuna_pop.trainables.data.base import Samples

with needs_extra("train"):
    import torch
    from torch import Tensor
    from torch.utils.data import DataLoader, Dataset

_EVALUATION_PIXELS = 512 * 48 * 48  # of a batch; bounds the memory that evaluation takes

Wanted = tuple[Tensor, int | None]


class _Takes(Dataset[tuple[Tensor, Tensor]]):
    """A data set in torch's sense whose items are whole batches."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __getitem__(self, wanted: Wanted) -> tuple[Tensor, Tensor]:
        return self._samples.take(*wanted)


def batches(
    samples: Samples, wanted: Sequence[Wanted], *, workers: int, pinned: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches in order; what they hold does not depend on the workers.

    Args:
        samples: To take from.
        wanted: Indices and seed of each batch.
        workers: Processes that read and augment; 0 does it here.
        pinned: Whether to put them where a GPU reads them fastest.
    """
    loader = DataLoader(
        _Takes(samples),
        sampler=wanted,  # items of ours are batches
        batch_size=None,
        num_workers=workers,
        pin_memory=pinned,
        # A loader that is not told draws from the global random state.
        generator=torch.Generator().manual_seed(0),
    )
    yield from loader


def all_of(
    samples: Samples, shape: tuple[int, int, int], workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give all samples once, unchanged, in batches that a network can be evaluated on.

    Args:
        samples: To take from.
        shape: (channels, height, width) of an image.
        workers: As in ``batches``.
    """
    size = max(1, min(512, _EVALUATION_PIXELS // (shape[1] * shape[2])))
    return batches(
        samples,
        [(part, None) for part in torch.split(torch.arange(len(samples)), size)],
        workers=workers,
    )
