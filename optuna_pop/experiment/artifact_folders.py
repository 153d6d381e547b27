"""Where the studies of a storage keep their artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study import Study

from optuna_pop.experiment import identity


def folders_of(studies: Iterable[Study]) -> list[Path]:
    """List the folders that searches were given and that are on this machine."""
    given = [study.user_attrs.get(identity.SETTINGS_ATTR, {}).get("artifacts") for study in studies]
    folders = dict.fromkeys(Path(folder) for folder in given if folder is not None)
    return [folder for folder in folders if folder.is_dir()]


class ArtifactFolders:
    """Folders of artifacts as one artifact store of Optuna's; what is new goes into the first.

    Args:
        folders: At least one; all must be there.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._stores = [FileSystemArtifactStore(folder) for folder in folders]

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact.

        Raises:
            ArtifactNotFound: if no folder has it.
        """
        for store in self._stores[:-1]:
            try:
                return store.open_reader(artifact_id)
            except ArtifactNotFound:
                continue
        return self._stores[-1].open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an artifact."""
        self._stores[0].write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        """Remove an artifact.

        Raises:
            ArtifactNotFound: if no folder has it.
        """
        for store in self._stores[:-1]:
            try:
                store.remove(artifact_id)
            except ArtifactNotFound:
                continue
            return
        self._stores[-1].remove(artifact_id)
