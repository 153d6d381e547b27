"""Opening a study's storage, with errors that a person can act on."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study, StudyDirection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from optuna_pop.errors import StorageError, StudyError
from optuna_pop.ledger import check_directions

MIN_FREE_MB = 200
_HEARTBEAT_S = 60


def open_study(
    url: str,
    name: str,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    *,
    costs: int = 1,
) -> Study:
    """Open a study, or create it where there is none of that name.

    Args:
        url: SQLAlchemy URL of the database.
        name: Of the study.
        sampler: Chooses the architectures.
        pruner: Ends trainings early.
        costs: How many costs are minimized beside the accuracy.

    Raises:
        StorageError: if the storage cannot be reached or has no room.
        StudyError: if a study of that name has other directions.
    """
    directions = [StudyDirection.MAXIMIZE] + costs * [StudyDirection.MINIMIZE]
    storage = open_storage(url)
    with _readable(url):
        existing = optuna.get_all_study_names(storage)
        if name in existing:
            study = optuna.load_study(
                study_name=name, storage=storage, sampler=sampler, pruner=pruner
            )
        else:
            study = optuna.create_study(
                study_name=name,
                storage=storage,
                sampler=sampler,
                pruner=pruner,
                directions=directions,
            )
    check_directions(study)
    if len(study.directions) != len(directions):
        raise StudyError(
            f"study {name!r} has {len(study.directions)} objective(s) instead of accuracy and "
            f"{costs} latencies: choose another --study name"
        )
    return study


def load_study(url: str, name: str | None) -> Study:
    """Open a study that must exist; without a name the only one in the storage.

    Raises:
        StorageError: if the storage cannot be reached.
        StudyError: if there is no such study, or several and no name is given.
    """
    storage = open_storage(url, must_exist=True)
    with _readable(url):
        names = optuna.get_all_study_names(storage)
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            known = ", ".join(names) or "none"
            asked = "a study must be named" if name is None else f"there is no study {name!r}"
            raise StudyError(f"{asked} in {_shown(url)}: it holds {known}; choose with --study")
        return optuna.load_study(study_name=name, storage=storage)


def open_storage(url: str, *, must_exist: bool = False) -> RDBStorage:
    """Open a database storage.

    A worker on another machine that dies is noticed by Optuna's heartbeat. SQLite has none: there
    all workers are on one machine, where ``workers.recover`` sees whether they live.

    Raises:
        StorageError: if it cannot be reached, or has no room.
    """
    with _readable(url):
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _check_file(parsed, must_exist=must_exist)
            return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
        with warnings.catch_warnings():  # the only heartbeat there is
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(
                url,
                engine_kwargs={"pool_pre_ping": True},
                heartbeat_interval=_HEARTBEAT_S,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
            )


def require_space(folder: Path) -> None:
    """Refuse to begin where results could not be written.

    Raises:
        StorageError: if the folder's disk has under ``MIN_FREE_MB`` left, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free // 2**20
    except OSError as error:
        raise StorageError(f"folder {folder} cannot be used: {error.strerror}") from error
    if free < MIN_FREE_MB:
        raise StorageError(
            f"the disk of {folder} has {free} MB left and {MIN_FREE_MB} MB are needed: free some, "
            "or choose another folder"
        )


def _check_file(url: URL, *, must_exist: bool) -> None:
    if not url.database or url.database == ":memory:":
        raise StorageError(
            f"storage {_shown(str(url))} would not outlive the command: "
            "name a file, e.g. sqlite:///study.db"
        )
    path = Path(url.database)
    if must_exist and not path.exists():
        raise StorageError(f"storage file {path} does not exist: check --storage")
    require_space(path.absolute().parent)


@contextmanager
def _readable(url: str) -> Iterator[None]:
    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            f"storage {_shown(url)} is not a database URL ({error}): "
            "write e.g. sqlite:///study.db or postgresql+psycopg://user@host/name"
        ) from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        raise StorageError(
            f"storage {_shown(url)} cannot be used: {_first_line(error)}; "
            "check that the database runs and that --storage names it"
        ) from error
    except ImportError as error:
        raise StorageError(
            f"storage {_shown(url)} needs a driver: {error}; for PostgreSQL: "
            "pip install 'optuna-pop[postgres]' and write postgresql+psycopg://..."
        ) from error


def _shown(url: str) -> str:
    """Hide the password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url)


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
