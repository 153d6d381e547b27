"""How good a trained network is."""

from __future__ import annotations

import math

from optuna_pop.errors import needs_extra

with needs_extra("train"):
    import torch
    from torch import Tensor, nn

_EVALUATION_BATCH = 512


def top1(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the percentage of samples whose largest logit is the label's, in evaluation mode.

    Args:
        network: Maps (n, c, h, w) to logits (n, classes); left in evaluation mode.
        x: Images (m, c, h, w).
        y: Labels (m,).

    Returns:
        Percent, or NaN if a logit is NaN or infinite.
    """
    network.eval()
    right = 0
    device = next((p.device for p in network.parameters()), x.device)
    with torch.inference_mode():
        for start in range(0, len(y), _EVALUATION_BATCH):
            images = x[start : start + _EVALUATION_BATCH]
            labels = y[start : start + _EVALUATION_BATCH].to(device)
            logits = network(images.to(device, memory_format=torch.channels_last))
            if not bool(logits.isfinite().all()):
                return math.nan
            right += int((logits.argmax(dim=1) == labels).sum())
    return 100.0 * right / len(y)
