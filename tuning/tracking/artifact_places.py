"""Where MLflow's local database says that artifacts lie, brought up to date when it was moved or copied with them."""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "artifacts"
WAIT_S = 30.0  # for another writer
# Table and column of everything in MLflow's database that says where artifacts lie.
PLACES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
)


def relocate_artifacts(database: Path) -> bool:
    """Let MLflow look for artifacts beside a database that was moved or copied with them; whether anything changed.

    MLflow keeps whole addresses. Those of an experiment are changed when artifacts of its runs lie beside the database,
    or when the old place is gone. A database that cannot be written stays as it is.
    """
    here = (database.absolute().parent / ARTIFACTS).as_uri()
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(_opened(database)) as connection:
        old = {
            place.rpartition("/")[0]
            for (place,) in connection.execute("SELECT artifact_location FROM experiments")
            if place and place.startswith("file:") and place.endswith(f"/{ARTIFACTS}") and place != here
        }
        moved = [f"{home}/{ARTIFACTS}" for home in old if _lies_here(connection, f"{home}/{ARTIFACTS}", here)]
        with connection:
            for place in moved:
                for table, column in PLACES:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? "
                        f"OR substr({column}, 1, ?) = ?",
                        (here, len(place) + 1, place, len(place) + 1, f"{place}/"),
                    )
        return bool(moved)
    return False


def _opened(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT_S)


def _lies_here(connection: sqlite3.Connection, place: str, here: str) -> bool:
    """Whether the artifacts at an address in the database now lie in the folder `here`."""
    runs = connection.execute(
        "SELECT run_uuid FROM runs WHERE substr(artifact_uri, 1, ?) = ?", (len(place) + 1, f"{place}/")
    )
    folder, former = path_of(here), path_of(place)
    return any((folder / run).is_dir() for (run,) in runs) or not former.exists()


def path_of(address: str) -> Path:
    """The folder of a `file:` address."""
    return Path(unquote(urlsplit(address).path))
