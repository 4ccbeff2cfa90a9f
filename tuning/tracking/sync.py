"""The one writer that brings journals into MLflow: each trial one run, each step once, however often it runs.

    parent run of the sweep   found by its tags, or made
    for every trial folder    run found by its tags, or made → parameters → metrics of the steps not yet
                              sent, with the journal's times → tags and status → files of a trial that ended

What has been sent stands in `sync.json`, written after MLflow has taken it. A crash in between makes the
next sync send the same again, and MLflow keeps one copy: a metric is (run, key, step, time, value).
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipkd.config.trial_config import TrialConfig
from lipkd.errors import LipkdError
from lipkd.lock import is_held, only_one
from lipkd.provenance import source_commit
from lipkd.trial import ENDED, Report, TrialFolder
from tuning.sweep_folder import SweepRecord, driver_lock, load, trial_folders, trial_status
from tuning.tracking.client import choose_uri, connect, experiment_id, find_runs, public_uri
from tuning.tracking.cursor import Cursor, stamp_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH_METRICS, BATCH_OTHERS = 1000, 100  # MLflow's limits for one call
LONGEST_VALUE = 6000  # characters of a parameter, MLflow's limit
WAIT_FOR_OTHER_S = 120.0
FAILURES_IN_A_ROW = 3  # then the fault lies with the server, not with a trial
STAMPED = ("journal.jsonl", "state.json", "config.json", "lineage.jsonl")  # without a change there, nothing is new
AT_ONCE = ("config.json", "split.json", "lineage.jsonl")  # files that are sent before the trial has ended
STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "running": "RUNNING",
    "abandoned": "KILLED",
}


@dataclass
class Sent:
    """What a sync has done: trials looked at, runs made, steps and files sent, and what went wrong."""

    trials: int = 0
    runs: int = 0
    steps: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        return f"{self.trials} trials, {self.runs} new runs, {self.steps} steps and {self.files} files sent"


class Syncer:
    """Brings one sweep folder into one tracking store. Raises what MLflow raises when that is away."""

    def __init__(self, folder: Path, client: "MlflowClient", uri: str, mlruns: Path) -> None:
        self.folder = folder
        self.client = client
        self.key = public_uri(uri)
        self.mlruns = mlruns
        self.seen: dict[str, tuple[Any, ...]] = {}  # per trial: the files as they were when last synced
        self.runs: dict[str, Run] = {}  # per trial: its run as it was when this syncer began
        self.record = SweepRecord(folder)
        self.record_stamp: tuple[int, int] | None = None
        self.experiment = self.parent = ""

    def sync(self, only: set[str] | None = None) -> Sent:
        """Send what is new, of all trials or of those named; one sync of a sweep at a time."""
        with only_one(self.folder / ".sync.lock", f"sync of {self.folder}", wait=WAIT_FOR_OTHER_S):
            stamp = stamp_of(self.folder / "sweep.json")
            if stamp != self.record_stamp:
                self.record, self.record_stamp = load(self.folder), stamp
            driver_alive = is_held(driver_lock(self.folder))
            if not self.experiment:
                self.experiment = experiment_id(self.client, self.record.experiment, self.mlruns)
                self.parent = self._parent()
                self.runs = {run.data.tags["lipkd.trial"]: run for run in self._find("trial")}
            sent = Sent()
            self._trials(driver_alive, only, sent)
            self._parent_status(driver_alive)
        return sent

    def _trials(self, driver_alive: bool, only: set[str] | None, sent: Sent) -> None:
        failures = 0
        for trial in trial_folders(self.folder):
            if only is not None and trial.name not in only:
                continue
            sent.trials += 1
            files = tuple(stamp_of(trial.path / name) for name in STAMPED)
            stood, *before = self.seen.get(trial.name, ("",))
            if stood in ENDED and before == list(files):
                continue
            stands = trial_status(trial, driver_alive=driver_alive)
            if (stood, *before) == (stands, *files):
                continue
            try:
                self._trial(trial, stands, sent)
                self.seen[trial.name] = (stands, *files)
                failures = 0
            except Exception as error:
                failures += 1
                if failures == FAILURES_IN_A_ROW:
                    raise
                sent.problems.append(f"trial {trial.name}: {' '.join(str(error).split())}")

    def _trial(self, trial: TrialFolder, stands: str, sent: Sent) -> None:
        cursor = Cursor(trial.path, self.key)
        config, reports, state = trial.config(), trial.reports(), trial.state()
        run = self._run(trial, config, reports, cursor, sent)
        if run is None:
            return  # deleted in the UI, and that is respected
        run_id = run.info.run_id
        self._parameters(run, config)
        self._metrics(run_id, [r for r in reports if r.step > cursor.step], cursor, sent)
        self._status(run_id, trial, stands, state, reports, cursor)
        over = stands in ENDED
        files = {name: path for name, path in artifacts(trial) if over or name in AT_ONCE}
        self._files(run_id, files, cursor, sent)

    def _run(
        self, trial: TrialFolder, config: TrialConfig, reports: list[Report], cursor: Cursor, sent: Sent
    ) -> "Run | None":
        """The trial's run: the one that was sent to before, else the one with its tags, else a new one."""
        run = self.runs.get(trial.name)
        if run is None and cursor.run_id:
            run = self._by_id(cursor.run_id)
            if run and run.info.lifecycle_stage == "deleted":
                return None
        if run is None:
            run = next(iter(self._find("trial", trial.name)), None)
        if run is not None and run.info.run_id != cursor.run_id:
            self._refuse_stranger(run, reports)
        if run is None:
            written = (trial.path / "config.json").stat().st_mtime
            began = reports[0].time - reports[0].metrics.get("time/epoch_s", 0.0) if reports else written
            tags = self._common_tags("trial") | trial_tags(trial, config) | {"mlflow.parentRunId": self.parent}
            start = round(began * 1000)
            run = self.client.create_run(self.experiment, start_time=start, run_name=trial.name, tags=tags)
            sent.runs += 1
        if run.info.run_id != cursor.run_id:
            cursor.clear()  # never sent to this run: the first time, or the tracking store was made anew
            cursor.update(run_id=run.info.run_id)
        self.runs[trial.name] = run
        return run

    def _by_id(self, run_id: str) -> "Run | None":
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _refuse_stranger(self, run: "Run", reports: list[Report]) -> None:
        """A run with the trial's tags but other points is from an earlier training of the same name."""
        if not reports:
            return
        key = "val/wer" if "val/wer" in reports[0].metrics else next(iter(reports[0].metrics))
        times = {r.step: milliseconds(r) for r in reports}
        for point in self.client.get_metric_history(run.info.run_id, key):
            if times.get(point.step) != point.timestamp:
                raise LipkdError(f"run {run.info.run_id} is of an earlier training; delete it in MLflow and sync again")

    def _parameters(self, run: "Run", config: TrialConfig) -> None:
        """Parameters that the run lacks; those that are there stay, even if a resume ran with other threads."""
        from mlflow.entities import Param

        missing = {k: v[:LONGEST_VALUE] for k, v in config.flat().items() if k not in run.data.params}
        for part in parts(list(missing.items()), BATCH_OTHERS):
            self.client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in part], synchronous=True)
        run.data.params.update(missing)

    def _metrics(self, run_id: str, reports: list[Report], cursor: Cursor, sent: Sent) -> None:
        """Whole steps, as many as fit in a call; the cursor follows each call."""
        from mlflow.entities import Metric

        for group in grouped(reports, BATCH_METRICS):
            metrics = [Metric(k, v, milliseconds(r), r.step) for r in group for k, v in r.metrics.items()]
            for part in parts(metrics, BATCH_METRICS):
                self.client.log_batch(run_id, metrics=part, synchronous=True)
            cursor.update(step=group[-1].step)
            sent.steps += len(group)

    def _status(
        self,
        run_id: str,
        trial: TrialFolder,
        stands: str,
        state: dict[str, Any],
        reports: list[Report],
        cursor: Cursor,
    ) -> None:
        """Status and the tags that change. A trial that waits for its turn keeps the status it had."""
        from mlflow.entities import RunTag

        tags = {"lipkd.state": state["state"] if stands in ENDED else stands, "lipkd.reason": str(state["reason"])}
        tags["lipkd.store_digest"] = str(trial.split().get("store_digest", ""))
        if incomparable := trial.incomparable_reason():
            tags |= {"lipkd.comparable": "false", "lipkd.incomparable_reason": incomparable}
        status = STATUS.get(stands, cursor.status)
        if (status, tags) == (cursor.status, cursor.tags):
            return
        changed = [RunTag(k, v[:5000]) for k, v in tags.items() if v != cursor.tags.get(k, "")]
        self.client.log_batch(run_id, tags=changed, synchronous=True)
        if status == "RUNNING":
            self.client.update_run(run_id, status=status)
        elif status:
            ended = state["time"] if stands in ENDED else max((r.time for r in reports), default=time.time())
            self.client.set_terminated(run_id, status, end_time=round(ended * 1000))
        cursor.update(status=status, tags=tags)

    def _files(self, run_id: str, files: dict[str, Path], cursor: Cursor, sent: Sent) -> None:
        for name, path in files.items():
            stamp = list(stamp_of(path))
            if cursor.files.get(name) != stamp:
                self.client.log_artifact(run_id, str(path), name.rpartition("/")[0] or None)
                cursor.update(files={**cursor.files, name: stamp})
                sent.files += 1

    def _parent(self) -> str:
        """The sweep's own run."""
        cursor = Cursor(self.folder, self.key)
        found = [run.info.run_id for run in self._find("sweep")]
        if cursor.run_id not in found:
            cursor.clear()
            if not found:
                start = round((self.record.created or time.time()) * 1000)
                tags = self._common_tags("sweep")
                run = self.client.create_run(self.experiment, start_time=start, run_name=self.record.name, tags=tags)
                found = [run.info.run_id]
            cursor.update(run_id=found[0])
        if (self.folder / "sweep.yaml").is_file():
            self._files(cursor.run_id, {"sweep.yaml": self.folder / "sweep.yaml"}, cursor, Sent())
        return cursor.run_id

    def _parent_status(self, driver_alive: bool) -> None:
        """RUNNING while somebody works on it, FINISHED when every trial has ended, KILLED when left half-way."""
        folders = [self.record.trial_folder(t) for t in self.record.trials] or list(trial_folders(self.folder))
        stands = {trial_status(folder, driver_alive=driver_alive) for folder in folders}
        if driver_alive or "running" in stands:
            status = "RUNNING"
        else:
            status = "FINISHED" if stands <= set(ENDED) else "KILLED"
        cursor = Cursor(self.folder, self.key)
        if (decisions := self.folder / "population.jsonl").is_file():
            self._files(self.parent, {decisions.name: decisions}, cursor, Sent())
        if cursor.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(self.parent, status=status)
        else:
            self.client.set_terminated(self.parent, status)
        cursor.update(status=status)

    def _find(self, kind: str, trial: str | None = None) -> "list[Run]":
        return find_runs(self.client, self.experiment, kind, self.record.name, trial)

    def _common_tags(self, kind: str) -> dict[str, str]:
        return {
            "lipkd.kind": kind,
            "lipkd.sweep": self.record.name,
            "commit": self.record.commit or source_commit() or "unknown",
            "mlflow.source.name": "lipkd",
        }


def trial_tags(trial: TrialFolder, config: TrialConfig) -> dict[str, str]:
    """Tags that never change."""
    return {
        "lipkd.trial": trial.name,
        "lipkd.store": str(Path(config.data.store).absolute()),
        "lipkd.folder": str(trial.path.absolute()),
        "method": config.cohort.method,
        "peers": str(config.cohort.peers),
        "width": "+".join(f"{w:g}" for w in dict.fromkeys(config.widths)),
        "batch_size": str(config.training.batch_size),
        "seed": str(config.seed),
    }


def artifacts(trial: TrialFolder) -> Iterator[tuple[str, Path]]:
    """Files of a trial that go to MLflow: name there, path here."""
    predictions = sorted((trial.path / "predictions").glob("[!.]*"))
    alone = [trial.path / name for name in (*AT_ONCE, "init_report.json", "failure.txt")]
    for path in (*alone, *predictions, trial.checkpoint("best")):
        if path.is_file():
            yield str(path.relative_to(trial.path)), path


def milliseconds(report: Report) -> int:
    return round(report.time * 1000)


def grouped(reports: Sequence[Report], most: int) -> Iterator[list[Report]]:
    """Runs of whole reports with at most `most` metrics each; a bigger report comes alone."""
    group: list[Report] = []
    count = 0
    for report in reports:
        if group and count + len(report.metrics) > most:
            yield group
            group, count = [], 0
        group.append(report)
        count += len(report.metrics)
    if group:
        yield group


def parts(items: list[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]


def sync_folders(folders: Sequence[Path], *, mlruns: Path, tracking_uri: str | None = None) -> int:
    """`lipkd sync`: bring sweeps, or single trials, into MLflow; all under `mlruns/sweeps` when none is named.

    Each sweep goes to `tracking_uri`, else to where it was tracked before, else to the default. Prints a line
    per sweep and returns 1 when something could not be sent. Raises LipkdError when a folder is neither, or
    when the tracking store does not answer.
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
    problems = 0
    for folder, only in wanted.items():
        uri = choose_uri(mlruns, tracking_uri, load(folder).tracking_uri)
        sent = Syncer(folder, connect(uri), uri, mlruns).sync(only)
        print(f"{folder.name} → {public_uri(uri)}: {sent.text()}", flush=True)
        for problem in sent.problems:
            print(f"  {problem}", file=sys.stderr)
        problems += len(sent.problems)
    return 1 if problems else 0


def all_sweeps(mlruns: Path) -> list[Path]:
    """Folders under `mlruns/sweeps` that hold at least one trial."""
    root = mlruns.absolute() / "sweeps"
    return [p for p in sorted(root.glob("[!.]*")) if p.is_dir() and any(trial_folders(p))]
