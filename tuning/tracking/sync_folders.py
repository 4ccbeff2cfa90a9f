"""`lipkd sync`: which sweeps and trials are brought into MLflow, one after another; one that fails holds none up."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lipkd.errors import LipkdError
from lipkd.tracking_uri import public_uri
from tuning.sweep_folder import load, trial_folders
from tuning.tracking.client import connect
from tuning.tracking.failures import sentence, sync_errors
from tuning.tracking.location import uri_of_sweep
from tuning.tracking.sync import Syncer

if TYPE_CHECKING:
    from mlflow import MlflowClient


def sync_folders(folders: Sequence[Path], *, mlruns: Path, tracking_uri: str | None = None) -> int:
    """`lipkd sync`: bring sweeps, or single trials, into MLflow; all under `mlruns/sweeps` when none is named.

    Each sweep goes to `tracking_uri`, else to where it was tracked before, else to the default. Prints a line per
    sweep, goes on after one that failed, and returns 1 when something could not be sent. Raises LipkdError when a
    folder is neither.
    """
    wanted: dict[Path, set[str] | None] = {}
    for folder in [f.absolute() for f in folders] or all_sweeps(mlruns):
        if (folder / "config.json").is_file():
            only = wanted.setdefault(folder.parent, set())
            if only is not None:
                only.add(folder.name)
        elif folder.is_dir():
            wanted[folder] = None
        else:
            raise LipkdError(f"{folder}: neither a sweep nor a trial; give folders of {mlruns}/sweeps")
    if not wanted:
        print(f"nothing to sync in {mlruns / 'sweeps'}")
    clients: dict[str, MlflowClient | LipkdError] = {}
    problems = 0
    for folder, only in wanted.items():
        try:
            uri = uri_of_sweep(folder, load(folder).tracking_uri, mlruns, tracking_uri)
            sent = Syncer(folder, _client(uri, clients), uri, mlruns).sync(only)
        except sync_errors() as error:
            print(f"lipkd: sweep {folder.name}: {sentence(error)}", file=sys.stderr)
            problems += 1
            continue
        for line in sent.notes:
            print(line)
        print(f"{folder.name} → {public_uri(uri)}: {sent.text()}", flush=True)
        for problem in sent.problems:
            print(f"  {problem}", file=sys.stderr)
        problems += len(sent.problems)
    return 1 if problems else 0


def _client(uri: str, clients: "dict[str, MlflowClient | LipkdError]") -> "MlflowClient":
    """A client, made once; so that a server that is away is waited for once."""
    if uri not in clients:
        try:
            clients[uri] = connect(uri)
        except LipkdError as error:
            clients[uri] = error
    client = clients[uri]
    if isinstance(client, LipkdError):
        raise client
    return client


def all_sweeps(mlruns: Path) -> list[Path]:
    """Folders under `mlruns/sweeps` that hold at least one trial."""
    root = mlruns.absolute() / "sweeps"
    return [p for p in sorted(root.glob("[!.]*")) if p.is_dir() and any(trial_folders(p))]
