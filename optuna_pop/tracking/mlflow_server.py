"""Reaching an MLflow tracking server or database, with errors that a person can act on."""

from __future__ import annotations

import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import sqlalchemy
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from optuna_pop.errors import StorageError, TrackingError, needs_extra

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
_FILE = "sqlite:///"
_PATIENCE_S = 5.0  # for a server's first answer
_AWAY = (
    "check that it runs (mlflow server) and that MLFLOW_TRACKING_URI names it, or unset "
    f"MLFLOW_TRACKING_URI to keep runs in {DEFAULT_URI}"
)
_REFUSED = {
    401: "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the user and password "
    "in its address",
    403: "ask the owner of the experiment, or an administrator of MLflow, for the permission EDIT",
}
"""What to do when a server answers so."""


@dataclass(frozen=True)
class Connection:
    """A client of MLflow, and the experiment it writes to.

    Attributes:
        client: Of MLflow.
        uri: Of MLflow, may hold a password.
        experiment: Name of the experiment.
        experiment_id: MLflow's id of it.
    """

    client: MlflowClient
    uri: str
    experiment: str
    experiment_id: str

    @classmethod
    def to(cls, tracking_uri: str | None, experiment: str) -> Self:
        """Connect; the experiment is made where there is none of that name.

        Raises:
            MissingExtraError: if MLflow is not installed.
            TrackingError: if MLflow cannot be reached.
            StorageError: if the experiment lies in MLflow's bin.
        """
        client, uri = connect(tracking_uri)
        return cls(client, uri, experiment, experiment_id(client, experiment, uri))

    def ask(self) -> None:
        """Find out whether MLflow answers, sooner than its client would.

        Raises:
            TrackingError: if it does not.
        """
        with readable(self.uri):
            _ask(self.uri)


def connect(tracking_uri: str | None = None) -> tuple[MlflowClient, str]:
    """Return a client of MLflow and the address it talks to.

    Whether there is an MLflow is found out first: its client would retry for minutes.

    Args:
        tracking_uri: By default what ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` says,
            else ``sqlite:///mlflow.db``.

    Raises:
        MissingExtraError: if MLflow is not installed.
        TrackingError: if MLflow cannot be reached.
    """
    with needs_extra("mlflow"):
        import mlflow
    # Else it would print links between a search's progress bars, with the password of an address.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # MLflow's own default may be a file store that it then refuses; ours is always a database.
    configured = mlflow.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    uri = tracking_uri or (mlflow.get_tracking_uri() if configured else DEFAULT_URI)
    if uri.startswith(_FILE):  # MLflow keeps what it opened by its address, whatever the folder
        uri = _FILE + str(Path(uri.removeprefix(_FILE)).absolute())
    with readable(uri):
        _ask(uri)
        return mlflow.MlflowClient(tracking_uri=uri), uri


def shared_tracking_uri() -> str:
    """The address of MLflow as a process with another working folder reaches it.

    Raises:
        MissingExtraError: if MLflow is not installed.
        TrackingError: if MLflow cannot be reached.
    """
    return connect()[1]


def experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    """Return the id of an experiment, created where there is none of that name.

    Raises:
        StorageError: if MLflow cannot be used or the experiment lies in its bin.
    """
    from mlflow.exceptions import MlflowException

    with readable(uri):
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)  # another process was faster
    if found is None or found.lifecycle_stage != "active":
        number = found.experiment_id if found else "?"
        raise StorageError(
            f"experiment {name!r} was deleted in MLflow at {shown(uri)}: restore it with "
            f"mlflow experiments restore --experiment-id {number}, or name another one"
        )
    return str(found.experiment_id)


@contextmanager
def readable(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into one that names the address, without password, and the mend."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError, ImportError) as error:
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        status = 0
        if isinstance(error, MlflowException):
            status = error.get_http_status_code()  # type: ignore[no-untyped-call]
        raise TrackingError(
            f"MLflow at {shown(uri)} cannot be used: {shown(words)}; " + _REFUSED.get(status, _AWAY)
        ) from (error if shown(uri) == uri else None)  # its words would show the password


def shown(text: str) -> str:
    """Hide the passwords of all addresses in a text."""
    return re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", text)


def _ask(uri: str) -> None:
    if uri.startswith(("http://", "https://")):
        _ask_server(uri)
    elif "://" in uri and not uri.startswith(("file:", "databricks", "uc:")):
        _ask_database(uri)


def _ask_server(uri: str) -> None:
    """Wait shortly for any answer; one that refuses is for the client, which has credentials."""
    scheme, _, place = uri.rstrip("/").partition("://")
    asked = f"{scheme}://{place.rpartition('@')[2]}/health"
    unchecked = ssl.create_default_context()  # nothing is told to the server nor believed from it
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE_S, context=unchecked):
            pass
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise


def _ask_database(uri: str) -> None:
    try:
        url = make_url(uri)
    except ArgumentError as error:
        raise OSError("this is no address of a server or database") from error
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(url)
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()
