"""Opens a tracking store for reading: SQLite directly where that is known to be right, all others through MLflow."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from dashboard.tracking.run import Runs, database_of
from dashboard.tracking.sqlite_runs import SqliteRuns
from lipkd.errors import LipkdError
from lipkd.tracking_uri import public_uri


@contextlib.contextmanager
def connect(tracking_uri: str) -> Iterator[Runs]:
    """The runs of a tracking store for as long as the block runs. Whatever MLflow, a database or the network raises
    in it becomes a LipkdError of one sentence without secrets."""
    database = database_of(tracking_uri)
    try:
        if database is not None and SqliteRuns.knows(database):
            with SqliteRuns.open(database) as direct:
                yield direct
        else:
            from dashboard.tracking.mlflow_runs import mlflow_runs  # two seconds, so only where it is needed

            with mlflow_runs(tracking_uri) as runs:
                yield runs
    except LipkdError:
        raise
    except (OSError, ImportError, ValueError) as error:
        message = " ".join(str(error).replace(tracking_uri, public_uri(tracking_uri)).split())
        secret = urlsplit(tracking_uri).password
        message = message.replace(secret, "…") if secret else message
        raise LipkdError(f"MLflow at {public_uri(tracking_uri)} cannot be read: {message[:240]}") from error
