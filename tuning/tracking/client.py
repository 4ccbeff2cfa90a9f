"""Where runs are tracked: the tracking URI, and a client for it that is known to work.

The default is a SQLite database and an artifact folder under `mlruns/`; a URI may instead name an MLflow
server (http) or a database (postgresql). MLflow is imported late: it takes two seconds.
"""

import contextlib
import logging
import os
import shlex
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lipkd.errors import LipkdError
from lipkd.tracking_uri import public_uri, sqlite_path, sqlite_uri
from tuning.tracking.artifact_places import relocate_artifacts
from tuning.tracking.database import prepared, reason, without_litter

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ANSWER_S = 5  # a server that has not answered by then counts as down
PAGE = 1000
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class NoAnswer(LipkdError):
    """A tracking server or a database host that cannot be reached now, and may be later."""


def default_uri(mlruns: Path) -> str:
    """The SQLite database in a tracking folder; absolute, because MLflow changes its default by what it finds."""
    return sqlite_uri(mlruns / "mlflow.db")


def choose_uri(mlruns: Path, *given: str | None) -> str:
    """The first URI that is given, then MLFLOW_TRACKING_URI, then the tracking folder's own database.

    Raises LipkdError for a scheme that MLflow 3 no longer keeps runs in.
    """
    uri = next((u for u in (*given, os.environ.get("MLFLOW_TRACKING_URI")) if u), None) or default_uri(mlruns)
    scheme = uri.partition(":")[0].partition("+")[0] if ":" in uri else ""
    if scheme not in ("http", "https", "sqlite", "databricks", *DATABASE_PORTS):
        raise LipkdError(f"tracking URI {uri!r}: give http://HOST:PORT, sqlite:///FILE or postgresql://…")
    database = sqlite_path(uri)
    return uri if database is None else sqlite_uri(database)


def connect(uri: str) -> "MlflowClient":
    """A client of a tracking store that answers; makes and updates a local database first.

    Raises NoAnswer within seconds when a server or a database host does not answer, LipkdError when a local
    database cannot be opened.
    """
    _quiet()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # It logs the traceback of each database error that it raises too. Set here, as importing mlflow resets it.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    database = sqlite_path(uri)
    _reach_database(uri)
    try:
        with _impatient(), contextlib.ExitStack() as local:
            if database is not None:
                local.enter_context(prepared(database))
                relocate_artifacts(database)
                local.enter_context(without_litter(database))
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, OSError, sqlite3.Error) as error:
        if database is not None:
            raise LipkdError(f"tracking database {database} cannot be opened ({reason(error)})") from error
        raise NoAnswer(f"tracking store {public_uri(uri)} does not answer ({reason(error)})") from error
    return client


def experiment_id(client: "MlflowClient", name: str) -> str:
    """The experiment of that name, made if need be; artifacts of a local database go to `artifacts` beside it.

    Raises LipkdError when the experiment was deleted, with the command that restores it (the UI cannot).
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        database = sqlite_path(client.tracking_uri)
        location = None if database is None else (database.parent / "artifacts").as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another process may have been quicker
            if found is None:
                raise LipkdError(f"MLflow experiment {name!r} cannot be made: {error}") from error
    if found.lifecycle_stage != "active":
        store = shlex.quote(public_uri(client.tracking_uri))
        raise LipkdError(
            f"MLflow experiment {name!r} was deleted: restore it with `MLFLOW_TRACKING_URI={store} mlflow experiments "
            f"restore --experiment-id {found.experiment_id}`, or choose another store with --tracking-uri"
        )
    return str(found.experiment_id)


def find_runs(client: "MlflowClient", experiment: str, kind: str, sweep: str, trial: str | None = None) -> "list[Run]":
    """The runs with lipkd's tags: `kind` sweep or trial, of a sweep, perhaps of one trial; deleted ones aside."""
    wanted = f"tags.`lipkd.kind` = '{kind}' AND tags.`lipkd.sweep` = {_quoted(sweep)}"
    if trial is not None:
        wanted += f" AND tags.`lipkd.trial` = {_quoted(trial)}"
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], wanted, max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _quoted(text: str) -> str:
    """A text in MLflow's search language, which knows no escapes."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def _quiet() -> None:
    """No telemetry, no progress bars, no log lines between ours; set before mlflow is imported. And no
    patience of four minutes with a server that is away: a later sync sends the same."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def _reach_database(uri: str) -> None:
    """MLflow tries a database for minutes before it says that nobody is there."""
    parts = urlsplit(uri)
    port = DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port and parts.hostname:
        try:
            socket.create_connection((parts.hostname, parts.port or port), timeout=ANSWER_S).close()
        except OSError as error:
            raise NoAnswer(f"tracking store {public_uri(uri)} does not answer ({error})") from error


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """One try and a short wait."""
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(ANSWER_S)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
