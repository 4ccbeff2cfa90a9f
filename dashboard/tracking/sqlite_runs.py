"""Runs straight from the tables of MLflow's SQLite database, read only: a query per table, not an object per row."""

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboard.tracking.runs import (
    AT_BEST,
    BEST_EPOCH,
    SECONDS,
    TOTAL,
    Points,
    Run,
    copy_local,
    lacking,
    lacks_seconds,
    reported,
)

WAIT_S = 10.0  # for a writer
# What is read here; a database that lacks any of it (another version of MLflow) is left to MLflow.
COLUMNS = {
    "experiments": {"experiment_id", "name", "lifecycle_stage"},
    "runs": {
        *("run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id"),
    },
    "tags": {"key", "value", "run_uuid"},
    "params": {"key", "value", "run_uuid"},
    "latest_metrics": {"key", "value", "step", "is_nan", "run_uuid"},
    "metrics": {"key", "value", "timestamp", "step", "is_nan", "run_uuid"},
}
OF_KIND = "SELECT run_uuid FROM tags WHERE key = 'lipkd.kind' AND value = 'sweep'"
INDEX = "index_metrics_run_uuid_key_step"  # MLflow's
CHILDREN = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = :parent"


@dataclass(frozen=True)
class SqliteRuns:
    """An opened database."""

    connection: sqlite3.Connection

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether the file is a database with the tables and columns that are read here."""
        try:
            with cls.open(path) as runs:
                return all(
                    columns <= {row[1] for row in runs.connection.execute(f"PRAGMA table_info({table})")}
                    for table, columns in COLUMNS.items()
                )
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
                yield cls(connection)
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
        return copy_local(row[0] or "", name, folder) if row else None

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
        seconds = self._seconds([run_id for run_id, known in metrics.items() if lacks_seconds(known)])
        looked_up = self._looked_up(metrics)
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
                seconds=seconds.get(run_id, metrics.get(run_id, {}).get(TOTAL)),
                at_best=reported(metrics.get(run_id, {})) | looked_up.get(run_id, {}),
            )
            for run_id, name, experiment, experiment_id, status, began, ended, artifacts in runs
        ]

    def _pairs(self, table: str, chosen: str, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
        # An object per run in SQLite's C instead of a tuple per pair in Python: half of the time.
        query = f"SELECT run_uuid, json_group_object(key, value) FROM {table} WHERE run_uuid IN ({chosen}) GROUP BY 1"
        rows = self.connection.execute(query, values).fetchall()
        # Most texts are those of many runs: each is kept once, which the pages that compare them are faster by.
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

    def _seconds(self, run_ids: Sequence[str]) -> dict[str, float]:
        """Per run the sum of its epochs' times; a step that was sent twice counts once, as it was sent last."""
        if not run_ids:
            return {}
        query = (
            "SELECT run_uuid, SUM(value) FROM (SELECT run_uuid, value, MAX(timestamp) FROM metrics WHERE key = ? "
            "AND run_uuid IN (SELECT value FROM json_each(?)) GROUP BY run_uuid, step) GROUP BY run_uuid"
        )
        return dict(self.connection.execute(query, (SECONDS, json.dumps(run_ids))).fetchall())

    def _looked_up(self, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """Per run the metrics of AT_BEST in its best epoch that it has not reported by themselves."""
        found: dict[str, dict[str, float]] = {}
        for name in AT_BEST:
            best = {run_id: int(known[BEST_EPOCH]) for run_id, known in metrics.items() if name in lacking(known)}
            for run_id, value in self._at(name, best).items():
                found.setdefault(run_id, {})[name] = value
        return found

    def _at(self, metric: str, steps: Mapping[str, int]) -> dict[str, float]:
        """Per run the value of a metric at a step of its own."""
        at = (
            f"SELECT value FROM metrics {self._by_run} WHERE run_uuid = ? AND key = ? AND step = ? "
            "ORDER BY timestamp DESC LIMIT 1"
        )
        found = {
            run_id: self.connection.execute(at, (run_id, metric, step)).fetchone() for run_id, step in steps.items()
        }
        return {run_id: row[0] for run_id, row in found.items() if row}
