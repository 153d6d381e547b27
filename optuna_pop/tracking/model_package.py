"""A trained network as a folder that MLflow knows: ONNX, signature, example, card and weights."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from optuna_pop.errors import needs_extra
from optuna_pop.files import write_whole
from optuna_pop.fingerprint import digest
from optuna_pop.tracking import served_model
from optuna_pop.tracking.figures import save_figure
from optuna_pop.tracking.network_facts import NetworkFacts

CARD, FIGURE = "README.md", "boundary.png"
_LOADER = "optuna_pop_served"
_LARGEST_EXAMPLE = 500_000
"""Numbers of an input example. MLflow keeps it as text that it reads whenever a model is loaded: an
image of Cityscapes would take 138 MB and 5 s."""


@dataclass(frozen=True)
class Card:
    """What a person reads of a network.

    Attributes:
        text: All of it, in Markdown.
        summary: What matters most.
        figure: Of the boundary, that the text shows.
    """

    text: str
    summary: str
    figure: Figure


@dataclass(frozen=True)
class Exported:
    """A trained network in the forms it is used in.

    Attributes:
        model: ONNX, from an image to its label map or class; see ``trainables.image_model``.
        network: ONNX, from a normalised image (1, c, h, w) to scores: what was measured.
        weights: Of torch, in safetensors.
        engines: Other engines' files by name, each for the device it was built on alone.
        example: An image that ``model`` takes.
    """

    model: bytes
    network: bytes
    weights: bytes
    engines: Mapping[str, bytes]
    example: NDArray[Any]


def write_package(
    folder: Path,
    exported: Exported,
    facts: NetworkFacts,
    card: Card,
    *,
    model_id: str | None = None,
    run_id: str | None = None,
) -> None:
    """Write a network as an MLflow model with the flavours ``onnx`` and ``python_function``.

    Args:
        folder: That is made.
        exported: The network.
        facts: What is known of it.
        card: Its model card.
        model_id: Of MLflow, if it has one.
        run_id: Of the MLflow run that made it.

    Raises:
        MissingExtraError: if MLflow, onnx or onnxruntime is not installed.
        StorageError: if the disk is full.
    """
    with needs_extra("mlflow"):
        import mlflow.onnx
        from mlflow.models import Model
    with needs_extra("profiling"):
        import onnx
        import onnxruntime
    source = Path(served_model.__file__).read_bytes()
    # Python knows a module by its name alone: two versions of it may be loaded in one process.
    loader = f"{_LOADER}_{digest(source)}"
    with tempfile.TemporaryDirectory() as beside:
        code = Path(beside, f"{loader}.py")
        code.write_bytes(source)
        mlflow.onnx.save_model(
            onnx.load_from_string(exported.model),
            str(folder),
            code_paths=[str(code)],
            mlflow_model=Model(model_id=model_id, run_id=run_id),
            signature=_signature(facts),
            input_example=exported.example if exported.example.size <= _LARGEST_EXAMPLE else None,
            pip_requirements=[
                f"mlflow=={version('mlflow')}",
                f"numpy=={version('numpy')}",
                f"onnxruntime=={onnxruntime.__version__}",
            ],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
            metadata=_metadata(facts),
        )
    # MLflow's own loader would answer with a dictionary of outputs in place of a label map.
    described = Model.load(str(folder))
    described.flavors["python_function"]["loader_module"] = loader
    described.save(str(folder / "MLmodel"))
    write_whole(folder / CARD, card.text)
    save_figure(card.figure, folder / FIGURE)
    write_whole(folder / "extra" / "network.onnx", exported.network)
    write_whole(folder / "extra" / "weights.safetensors", exported.weights)
    with io.BytesIO() as example:
        np.save(example, exported.example)
        write_whole(folder / "extra" / "example.npy", example.getvalue())
    for name, content in exported.engines.items():
        write_whole(folder / "extra" / name, content)
    for table in facts.tables:
        table.save(folder / "extra" / f"latency-{table.fingerprint}.json")


def _signature(facts: NetworkFacts) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    channels, height, width = facts.input_shape
    kind = np.dtype(np.uint8 if facts.normalises else np.float32)
    outputs: list[Any] = [TensorSpec(np.dtype(np.uint8), (height, width))]
    if facts.task == "classification":
        outputs = [
            TensorSpec(np.dtype(np.int64), (1,), "label"),
            TensorSpec(np.dtype(np.float32), (facts.classes,), "probabilities"),
        ]
    return ModelSignature(
        inputs=Schema([TensorSpec(kind, (height, width, channels))]), outputs=Schema(outputs)
    )


def _metadata(facts: NetworkFacts) -> dict[str, Any]:
    names = facts.class_names
    return facts.tags() | ({} if names is None else {"classes": list(names)})
