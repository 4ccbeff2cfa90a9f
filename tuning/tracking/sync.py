"""The one writer that brings journals into MLflow: each trial one run, each step once, however often it runs.

    parent run of the sweep   found by its tags, or made
    for every trial folder    run found by its tags, or made → parameters → metrics of the steps not yet
                              sent, with the journal's times → tags and status → files of a trial that ended

What has been sent stands in `sync.json`, written after MLflow has taken it. A crash in between makes the
next sync send the same again, and MLflow keeps one copy: a metric is (run, key, step, time, value).
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipkd.config.trial_config import TrialConfig
from lipkd.errors import LipkdError
from lipkd.lock import is_held, only_one
from lipkd.tracking_uri import public_uri, sqlite_path
from lipkd.trial import ENDED, JournalReader, Report, TrialFolder
from tuning.sweep_folder import SweepRecord, driver_lock, load, trial_folders, trial_status
from tuning.tracking.batches import cut, grouped, parts
from tuning.tracking.client import experiment_id, find_runs
from tuning.tracking.cursor import Cursor, stamp_of
from tuning.tracking.database import refuse_unwritable
from tuning.tracking.failures import sentence, server_failed
from tuning.tracking.location import home_of
from tuning.tracking.run_tags import (
    AT_ONCE,
    WHOLE_IN,
    artifacts,
    current_tags,
    fixed_tags,
    original_of_sweep,
    original_of_trial,
    refuse_damaged,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WAIT_FOR_OTHER_S = 120.0
FAILURES_IN_A_ROW = 3  # then the fault lies with the server, not with a trial
# Without a change in one of these, nothing is new.
STAMPED = (
    *("journal.jsonl", "state.json", "config.json", "split.json", "lineage.jsonl", "provenance.json"),
    *("predictions/best.jsonl", "predictions/last.jsonl", "predictions/test.jsonl"),
)
COPY = "{} is tracked from {}, which is there too: rename this sweep or give another --tracking-uri"
STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "running": "RUNNING",
    "abandoned": "KILLED",
}


@dataclass
class Sent:
    """What a sync has done: trials checked, runs made, steps and files sent, what is worth knowing and what went wrong.

    `server_failed` is whether it was the tracking store that failed, so that another try may succeed.
    """

    trials: int = 0
    runs: int = 0
    steps: int = 0
    files: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    server_failed: bool = False

    def note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)

    def text(self) -> str:
        return f"{self.trials} trials, {self.runs} new runs, {self.steps} steps and {self.files} files sent"


class Syncer:
    """Brings one sweep folder into one tracking store. Raises what MLflow raises when that is away."""

    def __init__(self, folder: Path, client: "MlflowClient", uri: str, mlruns: Path) -> None:
        self.folder = folder
        self.client = client
        self.key = public_uri(uri)
        self.database = sqlite_path(uri)
        beside = home_of(folder, mlruns)
        self.own_database = beside if self.database is not None and self.database.parent == beside else None
        self.synced: dict[str, tuple[Any, ...]] = {}  # per trial: status and files as they were when last synced
        self.journals: dict[str, JournalReader] = {}  # of trials that have not ended
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
                if self.database is not None:
                    refuse_unwritable(self.database)
                self.experiment = experiment_id(self.client, self.record.experiment)
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
            try:
                self._trial_if_changed(trial, driver_alive, sent)
                failures = 0
            except Exception as error:
                if server_failed(error, trial.path):
                    sent.server_failed = True
                    failures += 1
                    if failures == FAILURES_IN_A_ROW:
                        raise
                sent.problems.append(f"trial {trial.name}: {sentence(error)}")

    def _trial_if_changed(self, trial: TrialFolder, driver_alive: bool, sent: Sent) -> None:
        files = tuple(stamp_of(trial.path / name) for name in STAMPED)
        status_before, *files_before = self.synced.get(trial.name, ("",))
        if status_before in ENDED and files_before == list(files):
            return
        status = trial_status(trial, driver_alive=driver_alive)
        if (status_before, *files_before) == (status, *files):
            return
        self._trial(trial, status, sent)
        if status in ENDED:
            self.journals.pop(trial.name, None)
        self.synced[trial.name] = (status, *files)

    def _trial(self, trial: TrialFolder, status: str, sent: Sent) -> None:
        cursor = Cursor(trial.path, self.key)
        config, state = trial.config(), trial.state()
        reports = self.journals.setdefault(trial.name, JournalReader(trial.journal)).read()
        run = self._run(trial, config, reports, cursor, sent)
        if run is None:
            return  # deleted in the UI, and that is respected
        run_id = run.info.run_id
        self._parameters(run, config)
        self._metrics(run_id, [r for r in reports if r.step > cursor.step], cursor, sent)
        tags = current_tags(trial, config, state, state["state"] if status in ENDED else status)
        ended = state["time"] if status in ENDED else max((r.time for r in reports), default=time.time())
        self._status(run_id, STATUS.get(status, cursor.status), tags, ended, cursor)
        files = {name: path for name, path in artifacts(trial) if status in ENDED or name in AT_ONCE}
        self._files(run_id, files, cursor, sent, trial)

    def _run(
        self, trial: TrialFolder, config: TrialConfig, reports: list[Report], cursor: Cursor, sent: Sent
    ) -> "Run | None":
        """The trial's run: the one that was sent to before, else the one with its tags, else a new one.

        None when that one was deleted in the UI. Raises LipkdError when it is the run of another training or folder.
        """
        run = self.runs.get(trial.name)
        if run is None and cursor.run_id:
            run = self._by_id(cursor.run_id)
            if run and not self._is_named(run, trial.name):
                sent.note(self._copied(run, trial.name))
                run = None
            elif run and run.info.lifecycle_stage == "deleted":
                sent.note(
                    f"trial {trial.name}: its run {cursor.run_id} was deleted in MLflow, so nothing is sent of it; "
                    f"restore it there, or remove {cursor.path} for a new run"
                )
                return None
        if run is None:
            run = next(iter(self._find("trial", trial.name)), None)
        if run is not None:
            if original := original_of_trial(run.data.tags, trial, config, self.own_database):
                raise LipkdError(COPY.format(f"run {run.info.run_id}", original))
            if run.info.run_id != cursor.run_id:
                self._refuse_earlier_training(run, reports)
        if run is None:
            written = (trial.path / "config.json").stat().st_mtime
            began = reports[0].time - reports[0].metrics.get("time/epoch_s", 0.0) if reports else written
            tags = self._common_tags("trial") | fixed_tags(trial, config) | {"mlflow.parentRunId": self.parent}
            tags["lipkd.folder"] = str(trial.path.absolute())
            start = round(began * 1000)
            run = self.client.create_run(self.experiment, start_time=start, run_name=trial.name, tags=tags)
            sent.runs += 1
        if run.info.run_id != cursor.run_id:
            cursor.clear()  # never sent to this run: the first time, or the tracking store was made anew
            cursor.update(run_id=run.info.run_id)
        if run.data.tags.get("mlflow.parentRunId") != self.parent:  # the sweep's own run was deleted, and made anew
            self.client.set_tag(run.info.run_id, "mlflow.parentRunId", self.parent)
            run.data.tags["mlflow.parentRunId"] = self.parent
        self.runs[trial.name] = run
        return run

    def _is_named(self, run: "Run", trial: str) -> bool:
        """Whether the run is of a trial of this name in a sweep of this name."""
        tags = run.data.tags
        return (tags.get("lipkd.sweep"), tags.get("lipkd.trial")) == (self.record.name, trial)

    def _copied(self, run: "Run", trial: str) -> str:
        sweep = run.data.tags.get("lipkd.sweep", "")
        if sweep != self.record.name:
            return (
                f"sweep {self.record.name}: its trials were tracked as sweep {sweep} before; they get runs of their own"
            )
        name = run.data.tags.get("lipkd.trial", "")
        return f"trial {trial}: it was tracked as trial {name} before; it gets a run of its own"

    def _by_id(self, run_id: str) -> "Run | None":
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _refuse_earlier_training(self, run: "Run", reports: list[Report]) -> None:
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
        from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

        values = {key: value for key, value in config.flat().items() if key not in run.data.params}
        missing = {key: cut(value, MAX_PARAM_VAL_LENGTH, "config.json") for key, value in values.items()}
        for part in parts(list(missing.items()), MAX_PARAMS_TAGS_PER_BATCH):
            self.client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in part], synchronous=True)
        run.data.params.update(missing)

    def _metrics(self, run_id: str, reports: list[Report], cursor: Cursor, sent: Sent) -> None:
        """Whole steps, as many as fit in a call; the cursor follows each call."""
        from mlflow.entities import Metric
        from mlflow.utils.validation import MAX_METRICS_PER_BATCH

        for group in grouped(reports, MAX_METRICS_PER_BATCH):
            metrics = [Metric(k, v, milliseconds(r), r.step) for r in group for k, v in r.metrics.items()]
            for part in parts(metrics, MAX_METRICS_PER_BATCH):
                self.client.log_batch(run_id, metrics=part, synchronous=True)
            cursor.update(step=group[-1].step)
            sent.steps += len(group)

    def _status(self, run_id: str, status: str, tags: dict[str, str], ended: float, cursor: Cursor) -> None:
        """Status and the tags that change. A trial that waits for its turn keeps the status it had."""
        from mlflow.entities import RunTag
        from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

        if (status, tags) == (cursor.status, cursor.tags):
            return
        changed = {key: value for key, value in tags.items() if value != cursor.tags.get(key, "")}
        whole_in = {key: WHOLE_IN.get(key, "config.json") for key in changed}
        new = [RunTag(key, cut(value, MAX_TAG_VAL_LENGTH, whole_in[key])) for key, value in changed.items()]
        self.client.log_batch(run_id, tags=new, synchronous=True)
        if status == "RUNNING":
            self.client.update_run(run_id, status=status)
        elif status:
            self.client.set_terminated(run_id, status, end_time=round(ended * 1000))
        cursor.update(status=status, tags=tags)

    def _files(
        self, run_id: str, files: dict[str, Path], cursor: Cursor, sent: Sent, trial: TrialFolder | None = None
    ) -> None:
        """Files that are new or have changed. Raises LipkdError for damaged predictions, when all others are sent."""
        damage = []
        for name, path in files.items():
            stamp = list(stamp_of(path))
            if cursor.files.get(name) == stamp:
                continue
            try:
                if trial is not None:
                    refuse_damaged(trial, name)
            except LipkdError as error:
                damage.append(str(error))
                continue
            self.client.log_artifact(run_id, str(path), name.rpartition("/")[0] or None)
            cursor.update(files={**cursor.files, name: stamp})
            sent.files += 1
        if damage:
            raise LipkdError("; ".join(damage))

    def _parent(self) -> str:
        """The sweep's own run. Raises LipkdError when it is that of another folder, of which this one is a copy."""
        cursor = Cursor(self.folder, self.key)
        found = {run.info.run_id: run for run in self._find("sweep")}
        run = found.get(cursor.run_id) or next(iter(found.values()), None)
        tags = self._sweep_tags()
        if run is None:
            start = round((self.record.created or time.time()) * 1000)
            tags = self._common_tags("sweep") | tags
            run = self.client.create_run(self.experiment, start_time=start, run_name=self.record.name, tags=tags)
        elif original := original_of_sweep(run.data.tags, self.record, self.own_database):
            raise LipkdError(COPY.format(f"sweep {self.record.name}", original))
        for key, value in tags.items():
            if run.data.tags.get(key) != value:  # moved, or copied together with the database
                self.client.set_tag(run.info.run_id, key, value)
        if run.info.run_id != cursor.run_id:
            cursor.clear()
            cursor.update(run_id=run.info.run_id)
        if (self.folder / "sweep.yaml").is_file():
            self._files(cursor.run_id, {"sweep.yaml": self.folder / "sweep.yaml"}, cursor, Sent())
        return cursor.run_id

    def _sweep_tags(self) -> dict[str, str]:
        """Where a planned sweep lies and the source that planned it; trials without a record may lie in many places."""
        if not self.record.created:
            return {}
        commit = {"commit": self.record.commit} if self.record.commit else {}
        return commit | {"lipkd.folder": str(self.folder.absolute())}

    def _parent_status(self, driver_alive: bool) -> None:
        """RUNNING while somebody works on it, FINISHED when every trial has ended, KILLED when left half-way."""
        folders = [self.record.trial_folder(t) for t in self.record.trials] or list(trial_folders(self.folder))
        statuses = {self._status_of(folder, driver_alive) for folder in folders}
        if driver_alive or "running" in statuses:
            status = "RUNNING"
        else:
            status = "FINISHED" if statuses <= set(ENDED) else "KILLED"
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

    def _status_of(self, trial: TrialFolder, driver_alive: bool) -> str:
        try:
            return trial_status(trial, driver_alive=driver_alive)
        except LipkdError:
            return "damaged"

    def _find(self, kind: str, trial: str | None = None) -> "list[Run]":
        return find_runs(self.client, self.experiment, kind, self.record.name, trial)

    def _common_tags(self, kind: str) -> dict[str, str]:
        return {
            "lipkd.kind": kind,
            "lipkd.sweep": self.record.name,
            "mlflow.source.name": "lipkd",
        }


def milliseconds(report: Report) -> int:
    return round(report.time * 1000)
