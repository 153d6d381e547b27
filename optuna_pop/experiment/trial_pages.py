"""What a search shows of its trials in optuna-dashboard: notes, drawings and artifacts.

None of it may cost a training: what goes wrong is said and passed over.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.trial import Trial

from optuna_pop.experiment.harmless import harmless
from optuna_pop.experiment.storage import require_space
from optuna_pop.findings import boundary_rows
from optuna_pop.ledger import Trained, trained
from optuna_pop.profiling import LatencyTable
from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking import dashboard
from optuna_pop.tracking.network_drawing import network_svg
from optuna_pop.tracking.trial_note import trial_note
from optuna_pop.trainables.data import DataSet
from optuna_pop.trainables.export import check_parity, to_onnx
from optuna_pop.trainables.pictures import segmentation_picture
from optuna_pop.trainables.tasks import TASKS
from optuna_pop.trainables.training import TrainingResult
from optuna_pop.trainables.weights import save_weights

DRAWING, WEIGHTS, ONNX, PICTURE = "network.svg", "weights.safetensors", "network.onnx", "seen.png"
"""File names of a trial's artifacts."""

_logger = logging.getLogger(__name__)


class TrialPages:
    """Writes a note with the network drawn for each trial, and keeps networks of the boundary.

    Args:
        tables: Latencies of the networks' blocks, a table for each device.
        data: That they are trained on.
        artifacts: Folder of artifacts, which must be there; None keeps none.
    """

    def __init__(
        self, tables: Sequence[LatencyTable], data: DataSet, artifacts: Path | None = None
    ) -> None:
        self._tables, self._data = tables, data
        self._store: FileSystemArtifactStore | None = None
        self._folder = artifacts
        if artifacts is not None and artifacts.is_dir():
            self._store = FileSystemArtifactStore(artifacts)
        elif artifacts is not None:
            _logger.warning("this process keeps no artifacts: %s is no folder here", artifacts)

    def begin(self, trial: Trial, architecture: str, blocks: Sequence[BlockConfig]) -> None:
        """Write the note of a trial that begins."""
        if not dashboard.is_installed():
            return
        with harmless("the note of a trial was not written"):
            picture = None
            if self._store is not None:
                from optuna_dashboard.artifact import get_artifact_path

                with tempfile.TemporaryDirectory() as folder:
                    drawing = Path(folder, DRAWING)
                    drawing.write_text(network_svg(blocks), encoding="utf-8")
                    kept = _upload(self._store, trial, drawing)
                picture = get_artifact_path(trial, kept)
            note = trial_note(architecture, blocks, self._tables, picture=picture)
            dashboard.add_trial_note(trial.study, trial, note)

    def end(self, trial: Trial, result: TrainingResult, latencies: Sequence[float]) -> None:
        """Keep a network that stands on the boundary as it is now; none is removed later.

        Weights and an ONNX model, checked to compute the same, and for segmentation a picture.
        """
        if self._store is None or self._folder is None:
            return
        with harmless("artifacts of a trial were not kept"):
            mine = Trained(trial.number, "", result.accuracy, tuple(latencies))
            if mine not in boundary_rows([*trained(trial.study), mine]):
                return
            require_space(self._folder)
            with tempfile.TemporaryDirectory() as folder:
                for file in self._files(Path(folder), trial, result):
                    _upload(self._store, trial, file)

    def _files(self, folder: Path, trial: Trial, result: TrainingResult) -> Iterator[Path]:
        """Write a trained network's files, one after the other."""
        network = result.network
        file = folder / WEIGHTS
        save_weights(file, network, self._about(trial, result))
        yield file
        file = folder / ONNX
        file.write_bytes(model := to_onnx(network))
        check_parity(network, model)
        yield file
        if self._data.task == "segmentation":
            file = folder / PICTURE
            file.write_bytes(segmentation_picture(network, self._data))
            yield file

    def _about(self, trial: Trial, result: TrainingResult) -> dict[str, Any]:
        return {
            "study": trial.study.study_name,
            "trial": trial.number,
            "data": self._data.name,
            "measure": TASKS[self._data.task].accuracy,
            "held_out": result.accuracy,
        }


def _upload(store: FileSystemArtifactStore, trial: Trial, file: Path) -> str:
    return upload_artifact(artifact_store=store, file_path=str(file), study_or_trial=trial)
