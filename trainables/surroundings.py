"""What a training sets around itself: threads, reproducibility, and words for lack of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from optuna_pop.errors import OutOfMemoryError, needs_extra

with needs_extra("train"):
    import torch

# Of CUDA, and of torch's allocator on the CPU, which raises a plain RuntimeError.
_NO_MEMORY: Final = ("out of memory", "can't allocate memory", "cannot allocate memory")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def reproducible(*, wanted: bool) -> Iterator[None]:
    """Let torch use only what gives the same result again inside the block, if that is wanted.

    Of what has no such form torch warns.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=warned)
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def memory_for(samples: int) -> Iterator[None]:
    """Say what to lower if memory does not suffice inside the block.

    Args:
        samples: That go through the network at a time.

    Raises:
        OutOfMemoryError: in place of what torch or NumPy raise.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise OutOfMemoryError(
            f"out of memory: lower the recipe's micro_batch (now {samples}), which leaves the "
            f"batch as it is, or the size of images ({str(error) or type(error).__name__})"
        ) from error


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY)
