"""Runs as MLflow's client gives them: of a server, of any database but SQLite, of SQLite at another revision.

MLflow makes an object of every tag, parameter and metric: a thousand trials take it ten seconds, and straight from
the file (dashboard/tracking/sqlite_runs.py) a fraction of one.
"""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from dashboard.tracking.run import Points, Run

PAGE = 1000  # runs per request
AT_ONCE = 8  # requests to a server


@contextlib.contextmanager
def mlflow_runs(tracking_uri: str) -> Iterator["MlflowRuns"]:
    """The runs of a tracking store; errors of MLflow and of its database driver become ValueError."""
    try:
        yield MlflowRuns(MlflowClient(tracking_uri), tracking_uri)
    except (MlflowException, SQLAlchemyError) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True)
class MlflowRuns:
    """Runs as MLflow's client gives them."""

    client: MlflowClient
    uri: str

    def sweeps(self) -> list[Run]:
        names = {e.experiment_id: e.name for e in self._experiments()}
        found = self._search(list(names), "tags.`lipkd.kind` = 'sweep'")
        return [_run(run, names[run.info.experiment_id]) for run in found]

    def trials(self, sweep_id: str, experiment_id: str) -> list[Run]:
        child = f"tags.`mlflow.parentRunId` = '{sweep_id}'"
        return [_run(run, "") for run in self._search([experiment_id], child)]

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

    def _experiments(self) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_experiments(max_results=PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _search(self, experiment_ids: Sequence[str], condition: str) -> Iterator[MlflowRun]:
        token = None
        while experiment_ids:
            page = self.client.search_runs(list(experiment_ids), condition, max_results=PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return


@lru_cache(maxsize=1000)
def _artifacts(uri: str, run_id: str) -> str:
    """Where a run's artifacts lie, which never changes."""
    return str(MlflowClient(uri).get_run(run_id).info.artifact_uri)


def _run(run: MlflowRun, experiment: str) -> Run:
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
    )
