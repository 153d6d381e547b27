"""What answers where a registered network is served; a copy of this file lies in its MLflow model.

It needs NumPy and ONNX Runtime, nothing of this project and no torch. An image goes in as files and
cameras have it; the ONNX model normalises it itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime


class ServedModel:
    """A network of the boundary, ready to answer.

    Args:
        path: Of the ONNX model.
        threads: That one answer uses; its latency was measured with as many.
    """

    def __init__(self, path: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        (self._input,) = self._session.get_inputs()
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._dtype = np.uint8 if self._input.type == "tensor(uint8)" else np.float32

    def predict(self, image: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Say what an image shows.

        Args:
            image: (height, width, channels), RGB, 0 to 255; float32, normalised as in training,
                where the model takes that.
            params: Not used; MLflow hands them over.

        Returns:
            The class of each pixel, uint8 (height, width); or, of a network for classification,
            ``{"label": int64 (1,), "probabilities": float32 (classes,)}``.

        Raises:
            ValueError: if the image has another size.
        """
        array = np.ascontiguousarray(image, dtype=self._dtype)
        if array.shape != tuple(self._input.shape):
            height, width, channels = self._input.shape
            raise ValueError(
                f"this model takes one image of height {height}, width {width} and {channels} "
                f"channels, shape ({height}, {width}, {channels}), but got {array.shape}: resize it"
            )
        found = self._session.run(None, {self._input.name: array})
        if len(found) == 1:
            return found[0]
        return dict(zip(self._outputs, found, strict=True))


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> ServedModel:
    """Load the model; MLflow calls it."""
    return ServedModel(path, int((model_config or {}).get("threads", 1)))
