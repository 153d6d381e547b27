"""The paper's published values, to set beside a study: of other devices, not measured here."""

from __future__ import annotations

from typing import Final

from optuna_pop.findings import Findings
from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.decoder import DecoderSpace
from optuna_pop.tracking.report.tables import Table

_BACKBONES: Final = (
    ("DF1", "69.8", "2.5", "746M"),
    ("ShuffleNet V2", "69.4", "4.1", "146M"),
    ("ResNet-18", "69.0", "4.4", "1.8G"),
    ("ShuffleNet V1", "67.4", "4.7", "140M"),
    ("DF2", "73.9", "5.0", "1.77G"),
    ("GoogLeNet", "68.7", "5.1", "1.43G"),
    ("MobileNet V1", "70.8", "6.1", "569M"),
    ("DF2A", "76.0", "6.5", "1.97G"),
    ("MobileNet V2", "71.9", "8.7", "300M"),
    ("ResNet-50", "75.3", "10.6", "3.8G"),
)
_DECODERS: Final = (
    ("DF1-Seg-d8", "DF1", "19, 32, 128", "72.4", "71.4", "136.9", "92.7"),
    ("DF1-Seg", "DF1", "19, 32, 128", "74.1", "73.0", "106.1", "71.4"),
    ("DF2-Seg1", "DF2", "19, 19, 32", "75.9", "74.8", "67.2", "44.9"),
    ("DF2-Seg2", "DF2", "19, 256, 512", "76.9", "75.3", "56.3", "39.9"),
)
_NOTE: Final = (
    "Published by Li, Zhou, Pan and Feng (CVPR 2019), on other devices, data and training than "
    "this study's: nothing in this table was measured here. `optuna-pop compare` measures such "
    "networks on your device."
)


def published(findings: Findings) -> list[Table]:
    """Return the table that fits what the study searched."""
    if isinstance(findings.space, BackboneSpace):
        return [
            Table(
                "Published: backbones on ImageNet, Jetson TX2, 224 × 224, TensorRT 3.0.4",
                ("model", "top-1 (%)", "ms", "MACs"),
                _BACKBONES,
                frozenset({"model"}),
                _NOTE,
            )
        ]
    if isinstance(findings.space, DecoderSpace):
        return [
            Table(
                "Published: segmentation on Cityscapes, GTX 1080Ti and Jetson TX2",
                (
                    "model",
                    "backbone",
                    "C3, C4, C5",
                    "mIoU val (%)",
                    "mIoU test (%)",
                    "FPS 1080Ti, 1024 × 2048",
                    "FPS TX2, 640 × 360",
                ),
                _DECODERS,
                frozenset({"model", "backbone", "C3, C4, C5"}),
                _NOTE,
            )
        ]
    return []
