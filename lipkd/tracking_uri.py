"""Addresses of tracking stores: a file of SQLite as a URI and back, and any URI without its secrets."""

from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

SQLITE = "sqlite:///"
# MLflow 3 opens in its mode for language models unless the address names the mode for training.
TRAINING = "workflowType=machine_learning"


def sqlite_uri(database: Path) -> str:
    """The URI of a SQLite file. What would end the path or be decoded in it (`?`, `#`, `%`) is percent-encoded."""
    path = str(database.absolute())
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02X}")
    return SQLITE + path


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite URI, as SQLAlchemy decodes it; None for any other tracking store."""
    if not uri.startswith(SQLITE):
        return None
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0]))


def public_uri(uri: str) -> str:
    """The URI without user name and password, for messages and files."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def experiment_page(address: str, experiment_id: str) -> str:
    """The page of MLflow's UI at `address` with all trials of an experiment, lowest WER first."""
    order = f"orderByKey={quote('metrics.`best/wer`', safe='.')}&orderByAsc=true"
    return f"{address}/#/experiments/{quote(experiment_id, safe='')}/runs?{TRAINING}&{order}"


def run_page(address: str, experiment_id: str, run_id: str) -> str:
    """The page of one run in MLflow's UI at `address`."""
    return f"{address}/#/experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}?{TRAINING}"
