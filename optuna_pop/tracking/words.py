"""What has been found, in words that terminals and notes share."""

from __future__ import annotations

from math import isfinite

from optuna_pop.order.certificate import Certificate


def certificate_words(proof: Certificate) -> str:
    """Say how much of a space is settled, in one sentence."""
    text = (
        f"{proof.architectures:,} architectures in the cost range: {proof.trained} "
        f"trained, {proof.pruned:,} pruned unseen, {proof.open:,} open"
    )
    if isfinite(proof.tolerance):
        text += (
            f"; by the order {100 * proof.share_settled:.1f}% cannot beat this boundary by more "
            f"than the tolerance ({proof.tolerance:.3g} points)"
        )
    return text + "."


def split_unit(named: str) -> tuple[str, str]:
    """``("latency", "ms")`` of ``latency (ms)``; no unit where the name has none."""
    name, opening, unit = named.rpartition(" (")
    return (name, unit.removesuffix(")")) if opening else (named, "")
