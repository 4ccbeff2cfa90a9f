"""MLflow's local database: made whole or not at all, and recognised when it is not what it should be."""

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.lock import only_one
from lipkd.tracking_uri import sqlite_uri

MIGRATION_S = 120
WAIT_S = 30.0  # for another writer
FIRST_TABLES = {"experiments", "runs", "tags", "params", "metrics"}  # of every MLflow that keeps runs in a database


@contextlib.contextmanager
def prepared(database: Path) -> Iterator[None]:
    """The database is there and fit for this MLflow, and nobody else makes or migrates it while the block runs.

    Raises LipkdError when it is not MLflow's, half made, of another MLflow, or cannot be opened.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = database.with_name(f".{database.name}.lock")
    with only_one(lock, f"tracking database {database}", wait=MIGRATION_S):
        if database.is_dir():
            raise LipkdError(f"tracking database {database} cannot be opened: it is a folder")
        if not database.is_file() or not database.stat().st_size:
            _make(database)
        _check(database)
        yield


def _make(database: Path) -> None:
    """A new database, made in a file beside and renamed: a kill or a full disk in between leaves no half of one."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    making = database.with_name(f".{database.name}.making")
    _remove(making)
    artifacts = (database.absolute().parent / "artifacts").as_uri()
    try:
        with without_litter(making):
            store = SqlAlchemyStore(sqlite_uri(making), artifacts)
            store.engine.dispose()
        with contextlib.closing(sqlite3.connect(making)) as connection:
            # Readers (UI, dashboard) and the writer do not wait for each other; kept in the file.
            connection.execute("PRAGMA journal_mode=WAL")
        os.replace(making, database)
    except Exception as error:
        raise LipkdError(f"tracking database {database} cannot be made ({reason(error)})") from error
    finally:
        _remove(making)


def _remove(making: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{making}{suffix}").unlink(missing_ok=True)


def _check(database: Path) -> None:
    """Raises LipkdError with the way out when the file is no database of this MLflow's."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=WAIT_S)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            revisions: list[str] = []
            if "alembic_version" in tables:
                revisions = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                with contextlib.suppress(sqlite3.OperationalError):  # on a read-only disk readers do without
                    connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise LipkdError(
            f"tracking database {database} cannot be opened ({error}); if it is not a database of MLflow, move it "
            "away, and `lipkd sync` makes a new one with everything in it"
        ) from error
    if tables and not (tables & FIRST_TABLES):
        raise LipkdError(f"tracking database {database}: a SQLite database, but not MLflow's; choose another file")
    if len(revisions) != 1 or not tables >= FIRST_TABLES:
        raise LipkdError(
            f"tracking database {database} was made only in part (killed or out of space at that time) and holds no "
            "run; remove it, and `lipkd sync` makes a new one with everything in it"
        )
    _check_revision(database, revisions[0])


def _check_revision(database: Path, revision: str) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError
    from mlflow.store.db.utils import _get_alembic_config  # the public functions want an engine

    scripts = ScriptDirectory.from_config(_get_alembic_config("sqlite://"))
    if revision == scripts.get_current_head():
        return
    try:
        scripts.get_revision(revision)
    except CommandError as error:
        raise LipkdError(
            f"tracking database {database} was made by a newer MLflow (schema {revision}): install that version, or "
            "choose another database with --tracking-uri"
        ) from error
    raise LipkdError(
        f"tracking database {database} was made by an older MLflow (schema {revision}): copy it, then run "
        f"`mlflow db upgrade {shlex.quote(sqlite_uri(database))}`"
    )


def refuse_unwritable(database: Path) -> None:
    """Raises LipkdError when the database cannot be written: a read-only file or disk, or another writer for long."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=WAIT_S)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # which a read-only database takes as a plain BEGIN
            connection.execute("UPDATE alembic_version SET version_num = version_num")  # never committed
    except sqlite3.Error as error:
        raise LipkdError(
            f"tracking database {database} cannot be written ({error}); allow writing to it and its folder, or choose "
            "another with --tracking-uri"
        ) from error


@contextlib.contextmanager
def without_litter(database: Path) -> Iterator[None]:
    """MLflow makes the folder that a URI would name if its percent signs were not decoded; an empty one is removed."""
    encoded = Path(sqlite_uri(database).removeprefix("sqlite:///")).parent
    missing = [path for path in (encoded, *encoded.parents) if not path.exists()]
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):  # somebody uses it
                path.rmdir()


def reason(error: BaseException) -> str:
    """The innermost reason in short: MLflow wraps a refused connection four times."""
    inner: BaseException | None = error
    while inner is not None:
        error, inner = inner, inner.__cause__ or inner.__context__
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
