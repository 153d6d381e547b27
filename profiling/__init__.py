"""Measured latency: engines, the measuring protocol, look-up tables, verification.

Importing this needs pydantic only; engines' libraries are imported when they are used.
"""

from optuna_pop.profiling.build import build_table
from optuna_pop.profiling.table import (
    Conditions,
    Correction,
    Errors,
    LatencyRecord,
    LatencyTable,
    NetworkRecord,
    Verification,
)

__all__ = [
    "Conditions",
    "Correction",
    "Errors",
    "LatencyRecord",
    "LatencyTable",
    "NetworkRecord",
    "Verification",
    "build_table",
]
