"""Batches of samples, made beside the training where a data set wants that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optuna_pop.errors import DataError, needs_extra
from optuna_pop.trainables.data.base import Samples, check_labels

with needs_extra("train"):
    import torch
    from torch import Tensor
    from torch.utils.data import DataLoader, Dataset

_EVALUATION_PIXELS = 512 * 48 * 48  # of a batch; bounds the memory that evaluation takes

Wanted = tuple[Tensor, int | None]


class _Takes(Dataset[tuple[Tensor, Tensor]]):
    """A data set in torch's sense whose items are whole batches."""

    def __init__(self, samples: Samples, classes: int | None) -> None:
        self._samples = samples
        # Labels in memory were looked at before.
        self._classes = classes if samples.y is None else None

    def __getitem__(self, wanted: Wanted) -> tuple[Tensor, Tensor]:
        x, y = self._samples.take(*wanted)
        if self._classes is not None:
            indices = wanted[0].tolist()
            check_labels(y, self._classes, f"samples {indices[0]} to {indices[-1]} of a batch")
        return x, y


def batches(
    samples: Samples,
    wanted: Sequence[Wanted],
    *,
    workers: int,
    pinned: bool = False,
    classes: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches in order; what they hold does not depend on the workers.

    Args:
        samples: To take from.
        wanted: Indices and seed of each batch.
        workers: Processes that read and augment; 0 does it here.
        pinned: Whether to put them where a GPU reads them fastest.
        classes: Their number, to refuse labels that are none as they are read; a GPU would fail
            on them without saying which.

    Raises:
        DataError: if a sample is damaged, or has a label that is no class.
    """
    loader = DataLoader(
        _Takes(samples, classes),
        sampler=wanted,  # items of ours are batches
        batch_size=None,
        num_workers=workers,
        pin_memory=pinned,
        # A loader that is not told draws from the global random state.
        generator=torch.Generator().manual_seed(0),
    )
    try:
        yield from loader
    except DataError as error:
        # Of a worker it comes with the worker's traceback; the message is its last line.
        *before, last = str(error).strip().splitlines()
        raise DataError(last.partition(f"{DataError.__name__}: ")[2] if before else last) from error


def all_of(
    samples: Samples, shape: tuple[int, int, int], workers: int, *, classes: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give all samples once, unchanged, in batches that a network can be evaluated on.

    Args:
        samples: To take from.
        shape: (channels, height, width) of an image.
        workers: As in ``batches``.
        classes: As in ``batches``.
    """
    size = max(1, min(512, _EVALUATION_PIXELS // (shape[1] * shape[2])))
    return batches(
        samples,
        [(part, None) for part in torch.split(torch.arange(len(samples)), size)],
        workers=workers,
        classes=classes,
    )
