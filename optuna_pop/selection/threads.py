"""One BLAS thread while choosing.

The matrices are small, and usually a training uses the cores at the same time: threads that wait
for a core then make a choice many times slower, not faster.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_ALONE = threading.RLock()  # the limit is the process's: two that overlap would not undo it


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy and SciPy use one thread inside the block."""
    with _ALONE, _controller().limit(limits=1, user_api="blas"):
        yield
