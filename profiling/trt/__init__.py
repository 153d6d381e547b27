"""NVIDIA TensorRT through its Python API: what differs between versions is kept in here."""
