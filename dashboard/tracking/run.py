"""What a tracking store gives of its runs, however it is read."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lipkd.errors import LipkdError
from lipkd.tracking_uri import sqlite_path

Points = list[tuple[int, int, float]]  # timestamp, step, value


class NothingTracked(LipkdError):
    """There is no tracking database yet: no sweep was run here."""


@dataclass(frozen=True)
class Run:
    """One run: times in Unix milliseconds, the latest value of every metric and the largest step of any."""

    run_id: str
    name: str
    experiment: str
    experiment_id: str
    status: str
    began: int
    ended: int | None
    artifacts: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0


class Runs(Protocol):
    """A tracking store that is read."""

    def sweeps(self) -> list[Run]:
        """Runs with the tag `lipkd.kind` = sweep, of all experiments."""

    def trials(self, sweep_id: str, experiment_id: str) -> list[Run]:
        """The children of a run."""

    def histories(self, run_ids: Sequence[str], metric: str) -> list[Points]:
        """All points of a metric of every run, those of a run in no order."""

    def artifact(self, run_id: str, name: str, folder: Path) -> Path | None:
        """A copy of an artifact below `folder`, None when there is none of that name."""


def by_step(points: Sequence[tuple[int, int, float]]) -> dict[int, float]:
    """The value of every step, the latest where one was sent twice."""
    return {step: value for _, step, value in sorted(points)}


def database_of(tracking_uri: str) -> Path | None:
    """The file of a SQLite URI; raises NothingTracked when it is missing, because MLflow would make an empty one."""
    path = sqlite_path(tracking_uri)
    if path is not None and not path.is_file():
        raise NothingTracked(f"tracking database {path}: nothing there yet; a sweep makes it")
    return path


def database_state(tracking_uri: str) -> tuple[int, ...] | None:
    """What changes whenever a SQLite database is written to: sizes and times of its file and its log. None for any
    other tracking store."""
    database = database_of(tracking_uri)
    if database is None:
        return None
    found: list[int] = []
    for path in (database, Path(f"{database}-wal")):
        with contextlib.suppress(FileNotFoundError):  # the log is there only while somebody writes
            status = path.stat()
            found += [status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(found)
