"""Where runs are tracked: the tracking URI, and a client for it that is known to work.

The default is a SQLite database and an artifact folder under `mlruns/`; a URI may instead name an MLflow
server (http) or a database (postgresql). MLflow is imported late: it takes two seconds.
"""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from lipkd.errors import LipkdError
from lipkd.lock import only_one

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ANSWER_S = 5  # a server that has not answered by then counts as down
MIGRATION_S = 120
PAGE = 1000
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE = "sqlite:///"


class NoAnswer(LipkdError):
    """A tracking server or a database host that cannot be reached now, and may be later."""


def default_uri(mlruns: Path) -> str:
    """The SQLite database in a tracking folder; absolute, because MLflow changes its default by what it finds."""
    return f"{SQLITE}{mlruns.absolute()}/mlflow.db"


def choose_uri(mlruns: Path, *given: str | None) -> str:
    """The first URI that is given, then MLFLOW_TRACKING_URI, then the tracking folder's own database.

    Raises LipkdError for a scheme that MLflow 3 no longer keeps runs in.
    """
    uri = next((u for u in (*given, os.environ.get("MLFLOW_TRACKING_URI")) if u), None) or default_uri(mlruns)
    scheme = uri.partition(":")[0].partition("+")[0] if ":" in uri else ""
    if scheme not in ("http", "https", "sqlite", "databricks", *DATABASE_PORTS):
        raise LipkdError(f"tracking URI {uri!r}: give http://HOST:PORT, sqlite:///FILE or postgresql://…")
    if uri.startswith(SQLITE):
        return SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute())
    return uri


def public_uri(uri: str) -> str:
    """The URI without user name and password: for messages and for files."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def connect(uri: str) -> "MlflowClient":
    """A client of a tracking store that answers; makes and updates a local database first.

    Raises NoAnswer within seconds when a server or a database host does not answer, LipkdError when a local
    database cannot be opened.
    """
    _quiet()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    _reach_database(uri)
    try:
        with _schema_lock(uri), _impatient():
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    except (MlflowException, OSError, sqlite3.Error) as error:
        if uri.startswith(SQLITE):
            raise LipkdError(f"tracking store {public_uri(uri)} cannot be opened ({_root(error)})") from error
        raise NoAnswer(f"tracking store {public_uri(uri)} does not answer ({_root(error)})") from error
    return client


def experiment_id(client: "MlflowClient", name: str, mlruns: Path) -> str:
    """The experiment of that name, made if need be; with a local database its artifacts go to `mlruns/artifacts`.

    Raises LipkdError when the experiment was deleted in the UI.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        local = client.tracking_uri.startswith(SQLITE)
        location = (mlruns.absolute() / "artifacts").as_uri() if local else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another process may have been quicker
            if found is None:
                raise LipkdError(f"MLflow experiment {name!r} cannot be made: {error}") from error
    if found.lifecycle_stage != "active":
        raise LipkdError(f"MLflow experiment {name!r} was deleted: restore it in the UI, or choose another experiment")
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


def _root(error: BaseException) -> str:
    """The innermost reason in short: MLflow wraps a refused connection four times."""
    inner: BaseException | None = error
    while inner is not None:
        error, inner = inner, inner.__cause__ or inner.__context__
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]


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
def _schema_lock(uri: str) -> Iterator[None]:
    """Two processes that make the same new database would migrate it at once and fail."""
    if not uri.startswith(SQLITE):
        yield
        return
    database = Path(uri.removeprefix(SQLITE))
    with only_one(database.with_name(f".{database.name}.lock"), f"tracking database {database}", wait=MIGRATION_S):
        # Opened here first because MLflow tries a database that cannot be opened for minutes.
        with contextlib.closing(sqlite3.connect(database)) as connection:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                # So that readers (UI, dashboard) and the writer do not wait for each other; kept in the file.
                connection.execute("PRAGMA journal_mode=WAL")
        yield


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
