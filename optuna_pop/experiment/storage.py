"""Opening a study's storage, with errors that a person can act on."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.study import Study, StudyDirection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from optuna_pop.errors import StorageError, StudyError
from optuna_pop.experiment.beating_proxy import BeatingProxy
from optuna_pop.experiment.durable import OUTAGE_LIMIT_S, DurableStorage, first_line
from optuna_pop.experiment.workers import retry_stale
from optuna_pop.ledger import check_directions

MIN_FREE_MB = 200
_HEARTBEAT_S = 60
_PROXY_S = 20.0  # for a proxy's first answer


def open_study(
    url: str,
    name: str,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    *,
    costs: int = 1,
    outage_limit_s: float = OUTAGE_LIMIT_S,
) -> Study:
    """Open a study, or create it where there is none of that name.

    Args:
        url: SQLAlchemy URL of the database.
        name: Of the study.
        sampler: Chooses the architectures.
        pruner: Ends trainings early.
        costs: How many costs are minimized beside the accuracy.
        outage_limit_s: How long the storage may be away later on, in seconds.

    Raises:
        StorageError: if the storage cannot be reached or has no room.
        StudyError: if a study of that name has other directions.
    """
    directions = [StudyDirection.MAXIMIZE] + costs * [StudyDirection.MINIMIZE]
    storage = open_storage(url, outage_limit_s=outage_limit_s)
    with _readable(url):
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            directions=directions,
            load_if_exists=True,
        )
    check_directions(study)
    if len(study.directions) != len(directions):
        raise StudyError(
            f"study {name!r} has {len(study.directions)} objective(s) instead of accuracy and "
            f"{costs} latencies: choose another --study name"
        )
    return study


def load_study(url: str, name: str | None, *, outage_limit_s: float = OUTAGE_LIMIT_S) -> Study:
    """Open a study that must exist; without a name the only one in the storage.

    Raises:
        StorageError: if the storage cannot be reached.
        StudyError: if there is no such study, or several and no name is given.
    """
    storage = open_storage(url, must_exist=True, outage_limit_s=outage_limit_s)
    with _readable(url):
        names = optuna.get_all_study_names(storage)
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            known = ", ".join(names) or "none"
            asked = "a study must be named" if name is None else f"there is no study {name!r}"
            raise StudyError(f"{asked} in {_shown(url)}: it holds {known}; choose with --study")
        return optuna.load_study(study_name=name, storage=storage)


def open_storage(
    url: str,
    *,
    must_exist: bool = False,
    outage_limit_s: float = OUTAGE_LIMIT_S,
    signs: bool = True,
) -> DurableStorage:
    """Open a storage: a database, or an Optuna gRPC proxy of one (``grpc://host:port``).

    A worker on another machine that dies is noticed by Optuna's heartbeat. SQLite has none: there
    all workers are on one machine, where ``workers.recover`` sees whether they live.

    Args:
        url: SQLAlchemy URL of the database, or of the proxy.
        must_exist: Whether a SQLite file must be there already.
        outage_limit_s: How long it may be away later on, in seconds.
        signs: Whether trials are signed by this process, not where others run them through it.

    Raises:
        StorageError: if it cannot be reached, or has no room.
    """
    with _readable(url):
        parsed = make_url(url)
        grace_s = int(outage_limit_s) + 2 * _HEARTBEAT_S  # else an outage makes live workers dead
        if parsed.drivername == "grpc":
            backend = _proxy(parsed, grace_s)
        elif parsed.get_backend_name() == "sqlite":
            _check_file(parsed, must_exist=must_exist)
            backend = _database(url, engine_kwargs={"connect_args": {"timeout": 60}})
        else:
            backend = _database(
                url,
                engine_kwargs={"pool_pre_ping": True},
                heartbeat_interval=_HEARTBEAT_S,
                grace_period=grace_s,
                heartbeat_stale_trial_callback=retry_stale,
            )
        return DurableStorage(backend, _shown(url), outage_limit_s, signs=signs)


def shared_url(url: str) -> str:
    """The URL of a storage as a process with another working folder reaches it."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return url
    path = str(Path(parsed.database).absolute())
    return parsed.set(database=path).render_as_string(hide_password=False)


def _database(url: str, **settings: Any) -> BaseStorage:
    """Open a database; of processes that make its tables at the same moment one may try again."""
    patient = Retrying(
        retry=retry_if_exception(_is_race),
        wait=wait_random(0, 0.5),
        stop=stop_after_attempt(20),
        reraise=True,
    )
    with warnings.catch_warnings():  # the only heartbeat there is
        warnings.simplefilter("ignore", ExperimentalWarning)
        return get_storage(patient(RDBStorage, url, **settings))


def _is_race(error: BaseException) -> bool:
    return isinstance(error, IntegrityError) or "already exists" in str(error)


def _proxy(url: URL, grace_s: float) -> BaseStorage:
    if not url.host or not url.port:
        raise StorageError(
            f"storage {url} must name host and port of the proxy, e.g. grpc://localhost:13000"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy = BeatingProxy(
            host=url.host,
            port=url.port,
            interval_s=_HEARTBEAT_S,
            grace_s=grace_s,
            on_stale=retry_stale,
        )
    try:
        proxy.wait_server_ready(timeout=_PROXY_S)
    except ConnectionError as error:
        raise StorageError(
            f"no gRPC proxy answers at {url}: start one with `optuna-pop proxy`"
        ) from error
    return proxy


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
            f"storage {_shown(url)} cannot be used: {first_line(error)}; "
            "check that the database runs and that --storage names it"
        ) from error
    except ImportError as error:
        raise StorageError(
            f"storage {_shown(url)} needs a driver: {error}; for PostgreSQL: "
            "pip install 'optuna-pop[postgres]' and write postgresql+psycopg://..., "
            "for a gRPC proxy: pip install 'optuna-pop[grpc]'"
        ) from error


def _shown(url: str) -> str:
    """Hide the password, also of what is no URL."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(re.sub(r":[^/@]*@", ":***@", url))
