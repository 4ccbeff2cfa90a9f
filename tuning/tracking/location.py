"""Where a sweep is tracked, kept as a relation: a project that was moved, renamed or copied tracks in its own database.

The database lies beside the folder `sweeps` (`mlruns/mlflow.db`), its artifacts beside the database. `sweep.json` names
a database above the sweep's folder relative to that folder; any other tracking store is named in full.
"""

import os
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.tracking_uri import SQLITE, public_uri, sqlite_path, sqlite_uri
from tuning.tracking.client import choose_uri

DATABASE = "mlflow.db"


def home_of(folder: Path, mlruns: Path) -> Path:
    """The tracking folder of a sweep: what holds the folder `sweeps` in which it lies, else `mlruns`."""
    folder = folder.absolute()
    return folder.parent.parent if folder.parent.name == "sweeps" else mlruns.absolute()


def recorded_uri(uri: str, folder: Path) -> str:
    """How `sweep.json` in `folder` names a tracking store; without user name and password."""
    database = sqlite_path(uri)
    if database is None or database.parent not in folder.absolute().parents:
        return public_uri(uri)
    return SQLITE + sqlite_uri(Path("/") / os.path.relpath(database, folder.absolute())).removeprefix(f"{SQLITE}/")


def uri_of_sweep(folder: Path, recorded: str | None, mlruns: Path, *given: str | None) -> str:
    """Where a sweep is tracked: the first URI that is given, else the recorded one, else the database beside `sweeps`.

    Raises LipkdError for a recorded database that is gone: making an empty one would hide the runs that were in it.
    The one beside `sweeps` is made anew, since all of it can be sent again.
    """
    if any(given) or not recorded:
        return choose_uri(home_of(folder, mlruns), *given)
    database = sqlite_path(recorded)
    if database is None:
        return choose_uri(mlruns, recorded)
    beside = home_of(folder, mlruns) / DATABASE
    place = Path(os.path.normpath(folder.absolute() / database))
    if place.is_file() or place == beside:
        return sqlite_uri(place)
    if database.is_absolute() and beside.is_file():  # recorded in full by an earlier version, and moved since
        return sqlite_uri(beside)
    raise LipkdError(
        f"sweep {folder}: it is tracked in {place}, which does not exist any more; give its new place with "
        f"--tracking-uri, or send everything to a new database with --tracking-uri {sqlite_uri(beside)}"
    )
