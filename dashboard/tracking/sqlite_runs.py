"""Runs straight from the tables of MLflow's SQLite database, read only: a query per table, not an object per row."""

import contextlib
import json
import math
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dashboard.tracking.run import Points, Run
from lipkd.tracking_uri import public_uri

WAIT_S = 10.0  # for a writer
# Revisions of the schema at which tests/dashboard/tracking/test_records.py compares these queries with MLflow's
# own answers. A database at another revision is read through MLflow.
COMPARED_REVISIONS = frozenset({"dc11669786a5"})
OF_KIND = "SELECT run_uuid FROM tags WHERE key = 'lipkd.kind' AND value = 'sweep'"
INDEX = "index_metrics_run_uuid_key_step"  # MLflow's
CHILDREN = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = :parent"


@dataclass(frozen=True)
class SqliteRuns:
    """An opened database."""

    connection: sqlite3.Connection
    path: Path

    @classmethod
    def knows(cls, path: Path) -> bool:
        """Whether the file is MLflow's database at a revision of which these queries are known to be right."""
        try:
            with cls.open(path) as runs:
                revisions = {row[0] for row in runs.connection.execute("SELECT version_num FROM alembic_version")}
                return len(revisions) == 1 and revisions <= COMPARED_REVISIONS
        except ValueError:
            return False

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator["SqliteRuns"]:
        """Read only; what SQLite raises becomes ValueError."""
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S)) as connection:
                connection.execute("PRAGMA cache_size = -64000")  # KiB
                connection.execute("BEGIN")  # one state of the database for all queries
                yield cls(connection, path.absolute())
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error

    def sweeps(self) -> list[Run]:
        return self._runs(OF_KIND, {})

    def trials(self, sweep_id: str, experiment_id: str) -> list[Run]:
        return self._runs(CHILDREN, {"parent": sweep_id}, full=True)

    def histories(self, run_ids: Sequence[str], metric: str) -> list[Points]:
        wanted = f"SELECT timestamp, step, value, is_nan FROM metrics {self._by_run} WHERE run_uuid = ? AND key = ?"
        return [
            [
                (timestamp, step, math.nan if nan else value)
                for timestamp, step, value, nan in self.connection.execute(wanted, (run_id, metric))
            ]
            for run_id in run_ids
        ]

    def artifact(self, run_id: str, name: str, folder: Path) -> Path | None:
        row = self.connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
        if row is None:
            return None
        # Beside the database first: what is recorded is where the project lay when the run was made.
        beside = self.path.parent / "artifacts" / run_id / "artifacts"
        return copy_local(beside.as_uri() if beside.is_dir() else row[0] or "", name, folder)

    @property
    def _by_run(self) -> str:
        """Which index finds the points of a run. SQLite left to itself walks along all points of the metric, of all
        runs (four million values: 70 ms for a curve instead of one)."""
        there = self.connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (INDEX,))
        return f"INDEXED BY {INDEX}" if there.fetchone() else ""

    def _runs(self, chosen: str, values: Mapping[str, str], *, full: bool = False) -> list[Run]:
        """The active runs among the `chosen` ids, latest first; `full` with parameters and metrics."""
        runs = self.connection.execute(
            "SELECT r.run_uuid, r.name, e.name, r.experiment_id, r.status, r.start_time, r.end_time, r.artifact_uri "
            "FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id WHERE r.lifecycle_stage = 'active' "
            f"AND e.lifecycle_stage = 'active' AND r.run_uuid IN ({chosen}) ORDER BY r.start_time DESC, r.run_uuid",
            values,
        ).fetchall()
        tags = self._pairs("tags", chosen, values)
        params = self._pairs("params", chosen, values) if full else {}
        metrics, steps = self._latest(chosen, values) if full else ({}, {})
        return [
            Run(
                run_id=run_id,
                name=name or "",
                experiment=experiment,
                experiment_id=str(experiment_id),
                status=status,
                began=began or 0,
                ended=ended,
                artifacts=artifacts or "",
                tags=tags.get(run_id, {}),
                params=params.get(run_id, {}),
                metrics=metrics.get(run_id, {}),
                steps=steps.get(run_id, 0),
            )
            for run_id, name, experiment, experiment_id, status, began, ended, artifacts in runs
        ]

    def _pairs(self, table: str, chosen: str, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
        # An object per run in SQLite's C instead of a tuple per pair in Python: half of the time.
        query = f"SELECT run_uuid, json_group_object(key, value) FROM {table} WHERE run_uuid IN ({chosen}) GROUP BY 1"
        rows = self.connection.execute(query, values).fetchall()
        # Intern the strings: most are those of many runs, and pages compare them.
        once: dict[str, str] = {}
        return {
            run_id: {
                once.setdefault(key, key): once.setdefault(value, value) for key, value in json.loads(pairs).items()
            }
            for run_id, pairs in rows
        }

    def _latest(self, chosen: str, values: Mapping[str, str]) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
        metrics: dict[str, dict[str, float]] = {}
        steps: dict[str, int] = {}
        query = f"SELECT run_uuid, key, value, is_nan, step FROM latest_metrics WHERE run_uuid IN ({chosen})"
        for run_id, key, value, nan, step in self.connection.execute(query, values):
            metrics.setdefault(run_id, {})[key] = math.nan if nan else value
            steps[run_id] = max(step, steps.get(run_id, 0))
        return metrics, steps


def copy_local(artifacts: str, name: str, folder: Path) -> Path | None:
    """An artifact that lies in a local folder, copied; None when it is not there. Raises ValueError for a place that
    is not local."""
    parts = urlsplit(artifacts)
    if parts.scheme not in ("", "file") or parts.netloc:
        raise ValueError(f"artifacts at {public_uri(artifacts)} are not local")
    path = Path(unquote(parts.path)) / name
    if not path.is_file():
        return None
    return Path(shutil.copyfile(path, folder / os.path.basename(name)))
