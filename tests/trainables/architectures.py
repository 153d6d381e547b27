"""Block sequences that several tests of networks share."""

from optuna_pop.spaces import DF1, DF2, BackboneArchitecture, BackboneSpace, BlockConfig

FULL = BackboneSpace(max_depths=(3, 11, 6))
SMALL = BackboneSpace((4, 8, 12), (2, 2, 2), input_shape=(1, 32, 40), classes=5)

NETWORKS = {
    "df1": FULL.blocks(DF1),
    "df2": FULL.blocks(DF2),
    "smallest": SMALL.blocks(BackboneArchitecture(((4,), (4,), (4,)))),
    "wider inside a stage": SMALL.blocks(BackboneArchitecture(((4, 8), (8, 12), (12, 12)))),
    "odd sizes": BackboneSpace((4, 6), (2, 1, 2), input_shape=(3, 45, 67), classes=2).blocks(
        BackboneArchitecture(((4, 6), (6,), (6, 6)))
    ),
}

BLOCKS = {
    "conv": [BlockConfig("conv", 3, 9, 12, 8, 5, 6), BlockConfig("conv", 4, 6, 6, 8, 6, 6)],
    "basic": [
        BlockConfig("basic", 8, 7, 7, 8, 7, 7),
        BlockConfig("basic", 8, 7, 7, 12, 7, 7),
        BlockConfig("basic", 8, 7, 9, 8, 4, 5),
        BlockConfig("basic", 8, 2, 2, 16, 1, 1),
    ],
    "head": [BlockConfig("head", 8, 3, 2, 5, 1, 1)],
    "bottleneck": [
        BlockConfig("bottleneck", 8, 7, 9, 16, 4, 5, (("width", 4),)),
        BlockConfig("bottleneck", 16, 4, 5, 16, 4, 5, (("width", 4),)),
        BlockConfig("bottleneck", 16, 4, 5, 16, 4, 5, (("project", 1), ("width", 8))),
    ],
    "control": [BlockConfig("control", 8, 5, 6, 3, 5, 6)],
    "score": [BlockConfig("score", 8, 5, 6, 3, 5, 6)],
    "upsample": [BlockConfig("upsample", 3, 5, 6, 3, 40, 47)],
    "fusion": [BlockConfig("fusion", 8, 3, 4, 6, 6, 7)],
    "pyramid": [
        BlockConfig("pyramid", 8, 8, 16, 12, 8, 16, (("inner", 4),)),
        BlockConfig("pyramid", 8, 11, 20, 12, 11, 20, (("inner", 4),)),
        BlockConfig("pyramid", 8, 2, 3, 12, 2, 3, (("inner", 4),)),
    ],
}
