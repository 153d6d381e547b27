"""Work beside a search that may fail without costing a training."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_logger = logging.getLogger(__name__)


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Say what was not done and why, and go on."""
    try:
        yield
    except Exception as error:
        _logger.warning("optuna-pop: %s: %s: %s", what, type(error).__name__, error)
