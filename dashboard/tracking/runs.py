"""Runs as they lie in the tracking store, read by one of two ways that give the same: straight from SQLite, or
through MLflow's client from a server or any other database.

MLflow's own reading makes an object of every tag, parameter and metric: a thousand trials took it ten seconds, and
importing it takes two. Straight from the file they take a fraction of one. MLflow is imported only when it is used.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

PAGE = 1000  # runs per request
AT_ONCE = 8  # requests to a server
MOST_HISTORIES = 200  # trials whose histories are asked for one by one
TOTAL = "time/total_s"
# What a trial of an older lipkd has instead, in its histories.
SECONDS, ENSEMBLE, BEST_PEER, BEST_EPOCH = "time/epoch_s", "val/wer_ensemble", "val/wer_best_peer", "best/epoch"
AT_BEST = {ENSEMBLE: "best/wer_ensemble", BEST_PEER: "best/wer_best_peer"}  # of the best epoch
Points = list[tuple[int, int, float]]  # timestamp, step, value


class NothingTracked(LipkdError):
    """There is no tracking database yet: nobody has run a sweep here."""


@dataclass(frozen=True)
class Run:
    """One run: times in Unix milliseconds, the latest value of every metric and the largest step of any.

    `seconds` is the sum of its epochs' times, None where they are not known; `at_best` the values of the metrics of
    AT_BEST in its best epoch, as far as they are known.
    """

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
    seconds: float | None = None
    at_best: Mapping[str, float] = field(default_factory=dict)


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


def shown(tracking_uri: str) -> str:
    """The tracking URI without user name and password, for people to read."""
    parts = urlsplit(tracking_uri)
    if "@" not in parts.netloc:
        return tracking_uri
    return urlunsplit(parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2]))


def database_of(tracking_uri: str) -> Path | None:
    """The file of a SQLite URI; raises NothingTracked when it is missing, because MLflow would make an empty one."""
    if not tracking_uri.startswith("sqlite:///"):
        return None
    path = Path(unquote(tracking_uri.removeprefix("sqlite:///").partition("?")[0]))
    if not path.is_file():
        raise NothingTracked(f"tracking database {path}: nothing there yet; a sweep makes it")
    return path


def database_state(tracking_uri: str) -> tuple[int, ...] | None:
    """What is another whenever somebody has written to a SQLite database: sizes and times of its file and its log.
    None for any other tracking store, of which nothing can be told without asking."""
    database = database_of(tracking_uri)
    if database is None:
        return None
    found: list[int] = []
    for path in (database, Path(f"{database}-wal")):
        with contextlib.suppress(FileNotFoundError):  # the log is there only while somebody writes
            status = path.stat()
            found += [status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(found)


@contextlib.contextmanager
def connect(tracking_uri: str) -> Iterator[Runs]:
    """The runs of a tracking store for as long as the block runs. Whatever MLflow, a database or the network raises
    in it becomes one sentence without secrets."""
    from dashboard.tracking.sqlite_runs import SqliteRuns

    database = database_of(tracking_uri)
    try:
        if database is not None and SqliteRuns.fits(database):
            with SqliteRuns.open(database) as runs:
                yield runs
        else:
            with _speaking():
                yield MlflowRuns(_client(tracking_uri), tracking_uri)
    except LipkdError:
        raise
    except (OSError, ImportError, ValueError) as error:
        said = " ".join(str(error).replace(tracking_uri, shown(tracking_uri)).split())
        secret = urlsplit(tracking_uri).password
        said = said.replace(secret, "…") if secret else said
        raise LipkdError(f"MLflow at {shown(tracking_uri)} cannot be read: {said[:240]}") from error


@contextlib.contextmanager
def _speaking() -> Iterator[None]:
    """Errors of MLflow and of its database driver as ValueError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        raise ValueError(str(error)) from error


def _client(tracking_uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri)


@dataclass(frozen=True)
class MlflowRuns:
    """Runs as MLflow's client gives them."""

    client: "MlflowClient"
    uri: str

    def sweeps(self) -> list[Run]:
        names = {e.experiment_id: e.name for e in self._experiments()}
        found = self._search(list(names), "tags.`lipkd.kind` = 'sweep'")
        return [_run(run, names[run.info.experiment_id]) for run in found]

    def trials(self, sweep_id: str, experiment_id: str) -> list[Run]:
        child = f"tags.`mlflow.parentRunId` = '{sweep_id}'"
        runs = [_run(run, "") for run in self._search([experiment_id], child)]
        if sum(lacks_seconds(run.metrics) or bool(lacking(run.metrics)) for run in runs) > MOST_HISTORIES:
            return runs
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._with_histories, runs))

    def histories(self, run_ids: Sequence[str], metric: str) -> list[Points]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda run_id: self.history(run_id, metric), run_ids))

    def history(self, run_id: str, metric: str) -> Points:
        """All points of a metric of one run, in no order."""
        # One metric of one run at a time: MLflow's bulk request drops what lies beyond 25,000 points.
        return [(m.timestamp, m.step, m.value) for m in self.client.get_metric_history(run_id, metric)]

    def artifact(self, run_id: str, name: str, folder: Path) -> Path | None:
        # The client's own way to an artifact asks the server nine times, this one four times.
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        kept = get_artifact_repository(_artifacts(self.uri, run_id), tracking_uri=self.uri)
        there = {item.path for item in kept.list_artifacts(name.rpartition("/")[0])}
        return Path(kept.download_artifacts(name, str(folder))) if name in there else None

    def _with_histories(self, run: Run) -> Run:
        seconds, at_best = run.seconds, dict(run.at_best)
        if lacks_seconds(run.metrics):
            seconds = sum(by_step(_history(self.uri, run.run_id, SECONDS, run.steps)).values())
        for metric in lacking(run.metrics):
            values = by_step(_history(self.uri, run.run_id, metric, run.steps))
            if (value := values.get(int(run.metrics[BEST_EPOCH]))) is not None:
                at_best[metric] = value
        return replace(run, seconds=seconds, at_best=at_best)

    def _experiments(self) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_experiments(max_results=PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _search(self, experiment_ids: Sequence[str], condition: str) -> Iterator["MlflowRun"]:
        token = None
        while experiment_ids:
            page = self.client.search_runs(list(experiment_ids), condition, max_results=PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return


@lru_cache(maxsize=4 * MOST_HISTORIES)
def _history(uri: str, run_id: str, metric: str, steps: int) -> tuple[tuple[int, int, float], ...]:
    """A history, asked for once for each number of steps."""
    return tuple(MlflowRuns(_client(uri), uri).history(run_id, metric))


@lru_cache(maxsize=4 * MOST_HISTORIES)
def _artifacts(uri: str, run_id: str) -> str:
    """Where a run's artifacts lie, which never changes."""
    return str(_client(uri).get_run(run_id).info.artifact_uri)


def by_step(points: Sequence[tuple[int, int, float]]) -> dict[int, float]:
    """The value of every step, the latest where one was sent twice."""
    return {step: value for _, step, value in sorted(points)}


def lacks_seconds(metrics: Mapping[str, float]) -> bool:
    """Whether a trial's time must be added up from its history: an older lipkd has tracked it."""
    return SECONDS in metrics and TOTAL not in metrics


def lacking(metrics: Mapping[str, float]) -> list[str]:
    """The metrics of AT_BEST whose values in the best epoch must be looked up in their histories."""
    return [name for name, best in AT_BEST.items() if name in metrics and BEST_EPOCH in metrics and best not in metrics]


def reported(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of AT_BEST whose values in the best epoch a trial has reported itself."""
    return {name: metrics[best] for name, best in AT_BEST.items() if best in metrics}


def _run(run: "MlflowRun", experiment: str) -> Run:
    # Only the protobuf form of a run gives the step of each latest value.
    steps = [metric.step for metric in run.data.to_proto().metrics]
    return Run(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        experiment=experiment,
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        began=run.info.start_time or 0,
        ended=run.info.end_time,
        artifacts=run.info.artifact_uri or "",
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
        steps=max(steps, default=0),
        seconds=run.data.metrics.get(TOTAL),
        at_best=reported(run.data.metrics),
    )


def copy_local(artifacts: str, name: str, folder: Path) -> Path | None:
    """An artifact that lies in a local folder, copied; None when it is not there. Raises ValueError for a place that
    is not local."""
    parts = urlsplit(artifacts)
    if parts.scheme not in ("", "file") or parts.netloc:
        raise ValueError(f"artifacts at {shown(artifacts)} are not local")
    path = Path(unquote(parts.path)) / name
    if not path.is_file():
        return None
    return Path(shutil.copyfile(path, folder / os.path.basename(name)))
