"""Mathematics of the partial order: NumPy and SciPy only, on arrays.

Notation, used by every module here:
    n, d, k       architectures, components of an order vector, cost columns
    x ≺ y         vector(x) ≤ vector(y) componentwise and vector(x) ≠ vector(y):
                  x is shallower and narrower than y, a precedent of y
    Ŝ             architectures whose cost lies in the cost range
    D             trained architectures
    Acc, Lat      accuracy (larger is better) and cost (smaller is better)
    τ             tolerance: by how much Acc may contradict the order

Source: Li, Zhou, Pan, Feng, "Partial Order Pruning: for Best Speed/Accuracy Trade-off in Neural
Architecture Search", CVPR 2019, arXiv:1903.03777, section 3.
"""

from optuna_pop.order.boundary import Staircase, boundary_mask, staircase
from optuna_pop.order.consistency import OrderCheck, check_order
from optuna_pop.order.pruning import PrunedSet
from optuna_pop.order.region import Batch, EnumeratedRegion, Region
from optuna_pop.order.relation import comparable_pairs, precedents, precedes, successors
from optuna_pop.order.search import PartialOrderSearch

__all__ = [
    "Batch",
    "EnumeratedRegion",
    "OrderCheck",
    "PartialOrderSearch",
    "PrunedSet",
    "Region",
    "Staircase",
    "boundary_mask",
    "check_order",
    "comparable_pairs",
    "precedents",
    "precedes",
    "staircase",
    "successors",
]
