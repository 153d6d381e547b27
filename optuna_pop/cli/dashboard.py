"""``optuna-pop dashboard``: studies in the browser, with their notes, figures and artifacts."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import optuna
import typer
from optuna.storages import BaseStorage

from optuna_pop.cli import running
from optuna_pop.cli.options import DEFAULT_STORAGE, StorageOption, console
from optuna_pop.errors import InputError, StorageError, StudyError, needs_extra
from optuna_pop.experiment import identity, storage
from optuna_pop.experiment.artifact_folders import ArtifactFolders, folders_of
from optuna_pop.experiment.study_page import StudyPage

EXAMPLE = "**Example:** optuna-pop dashboard --storage sqlite:///study.db --study demo"

HOST = "127.0.0.1"  # there is no password: whoever reaches it can change and delete studies
_OUTAGE_S = 30.0


def command(
    storage_url: StorageOption = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option(help="Study to open; the list of all by default.")
    ] = None,
    artifacts: Annotated[
        Path | None,
        typer.Option(help="Folder of artifacts; those that searches were given by default."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 8080,
    refresh: Annotated[
        bool, typer.Option(help="First write notes and figures that are missing or out of date.")
    ] = True,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Open optuna-dashboard on this machine alone: Pareto front, notes, figures and artifacts.

    Ctrl-C ends it.
    """
    running.prepare()
    with needs_extra("dashboard"):
        import optuna_dashboard
    if storage_url.startswith("grpc:"):
        raise StorageError(
            f"the dashboard reads a database itself, not through a proxy as {storage_url}: give "
            "the --storage that `optuna-pop proxy` serves, on a machine that reaches it"
        )
    if artifacts is not None and not artifacts.is_dir():
        raise InputError(f"--artifacts {artifacts} is no folder: name the one a search was given")
    with _Server(port) as server:  # before all else, as another port would be another command
        opened = storage.open_storage(storage_url, must_exist=True, outage_limit_s=_OUTAGE_S)
        studies = _studies(opened, study)
        if refresh:
            _refresh(studies)
        folders = folders_of(studies) if artifacts is None else [artifacts]
        server.set_app(optuna_dashboard.wsgi(opened, ArtifactFolders(folders) if folders else None))
        url = f"http://{HOST}:{port}/dashboard"
        if study is not None:
            url += f"/studies/{studies[0]._study_id}"
        for folder in folders:
            console().print(f"Artifacts: {folder}", markup=False)
        console().print(f"Serving {url}; Ctrl-C ends it.", markup=False)
        if browser:  # beside, as a browser for terminals would only come back when it is left
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console().print("Ended.")


class _Server(ThreadingMixIn, WSGIServer):
    """A server on loopback that says nothing of each request."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        try:
            super().__init__((HOST, port), _Quiet)
        except OSError as error:
            raise InputError(
                f"port {port} of {HOST} cannot be used: {error.strerror or error}; choose another "
                f"one, e.g. --port {port + 1 if port < 65535 else 8080}"
            ) from error


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def _studies(opened: BaseStorage, name: str | None) -> list[optuna.Study]:
    """Return the study that is named, or all.

    Raises:
        StudyError: if there is none of that name.
    """
    names = optuna.get_all_study_names(opened)
    if name is not None and name not in names:
        raise StudyError(
            f"there is no study {name!r} in the storage: it holds {', '.join(names) or 'none'}"
        )
    wanted = names if name is None else [name]
    return [optuna.load_study(study_name=each, storage=opened) for each in wanted]


def _refresh(studies: list[optuna.Study]) -> None:
    """Bring up to date what the dashboard shows of studies that ``optuna-pop search`` began."""
    for study in studies:
        if identity.space_of(study) is not None:
            StudyPage(study).complete()
