"""Networks, data sets, training and export: what turns an architecture into an accuracy.

Importing this package loads nothing heavy; torch is loaded by the modules that need it:

* ``blocks``: one module class per kind of block, built from its ``BlockConfig`` alone.
* ``networks``: a network from a sequence of block configurations, and its MACs and depth.
* ``export``: the same sequence as an ONNX model, for latency measurement and deployment.
* ``data``: named data sets.
* ``recipes``: named training recipes.
* ``training`` and ``metrics``: ``train`` one architecture and validate it.
"""
