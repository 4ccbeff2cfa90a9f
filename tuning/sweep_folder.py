"""A sweep's folder: what was planned (`sweep.json`), the file it came from, and which process runs it.

`sweep.json` is what `--resume` goes by: the trials in order, each with its whole configuration. How far
each has come stands in its own folder, written by the training loop.
"""

import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipkd.config.trial_config import TrialConfig
from lipkd.errors import LipkdError
from lipkd.files import read_json, write_atomic, write_json
from lipkd.lock import is_held
from lipkd.runtime.provenance import source_commit
from lipkd.trial import ENDED, Report, TrialFolder
from tuning.plan.planner import Planned, refuse_one_name

FORMAT = 1
FIELDS: dict[str, Any] = {  # of sweep.json, beside `format` and `name`
    "experiment": str,
    "tracking_uri": str | None,
    "working_folder": str,
    "commit": str,
    "created": int | float,
    "trials": list,
}
DAMAGED = "damaged"  # the state of a trial whose files cannot be read
PENALTY = 1e6  # instead of a metric that is not finite: Optuna would keep such a trial running for ever


@dataclass
class SweepRecord:
    """The trials of a sweep in the order in which they were planned, and where they are tracked.

    `working_folder` is what relative paths of the sweep file are relative to; `commit` is the source's.
    """

    folder: Path
    experiment: str = "lipkd"
    tracking_uri: str | None = None
    working_folder: str = ""
    commit: str = ""
    created: float = 0.0
    trials: list[Planned] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.folder.name

    def trial_folder(self, trial: Planned) -> TrialFolder:
        return TrialFolder(self.folder / trial.name)

    def state(self, trial: Planned) -> str:
        """The state of a trial, `damaged` where its file cannot be read: one damaged trial stops no other."""
        try:
            return str(self.trial_folder(trial).state()["state"])
        except LipkdError:
            return DAMAGED

    def reports(self, trial: Planned) -> list[Report]:
        """The journal of a trial; empty where it is damaged."""
        try:
            return self.trial_folder(trial).reports()
        except LipkdError:
            return []

    def with_folders(self) -> list[tuple[TrialFolder, TrialConfig]]:
        """The folder and the configuration of each recorded trial."""
        return [(self.trial_folder(trial), trial.config) for trial in self.trials]

    def add(self, trials: Iterable[Planned]) -> list[Planned]:
        """Append the trials whose configuration is not there yet, and save; returns those."""
        planned = {trial.config.identity(): trial for trial in trials}
        known = {trial.config.identity() for trial in self.trials}
        # The same configuration, but its store may lie elsewhere now: the project was moved.
        self.trials = [planned.get(trial.config.identity(), trial) for trial in self.trials]
        fresh = [trial for identity, trial in planned.items() if identity not in known]
        refuse_one_name([*self.trials, *fresh])
        self.trials += fresh
        self.save()
        return fresh

    def keep_to(self, planned: Iterable[Planned]) -> None:
        """Forget trials that are no longer planned and have not begun."""
        wanted = {trial.config.identity() for trial in planned}
        self.trials = [t for t in self.trials if t.config.identity() in wanted or self.trial_folder(t).path.is_dir()]

    def open(self) -> list[Planned]:
        """The recorded trials that have neither finished nor failed nor been stopped."""
        return [t for t in self.trials if self.state(t) not in ENDED]

    def failed(self) -> list[Planned]:
        """The recorded trials that have failed."""
        return [t for t in self.trials if self.state(t) == "failed"]

    def waiting(self, planned: Iterable[Planned]) -> list[Planned]:
        """The recorded trials of a plan that have yet to be trained, in the record's order; failed ones again."""
        wanted = {trial.config.identity() for trial in planned}
        over = {trial.name for trial in self.ended()}
        return [t for t in self.trials if t.config.identity() in wanted and t.name not in over]

    def save(self) -> None:
        content = {
            "format": FORMAT,
            "name": self.name,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "working_folder": _relation(self.working_folder, self.folder),
            "commit": self.commit,
            "created": self.created,
            "trials": [trial.to_json() for trial in self.trials],
        }
        write_json(self.folder / "sweep.json", content)

    def copy_file(self, source: Path) -> None:
        """Keep the sweep file beside the record."""
        if source.absolute() != (self.folder / "sweep.yaml").absolute():
            text = source.read_text(encoding="utf-8")
            write_atomic(self.folder / "sweep.yaml", lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def ended(self) -> list[Planned]:
        """Trials that are finished or were stopped: they are not trained again."""
        return [t for t in self.trials if self.state(t) in ("finished", "stopped")]


def _relation(working_folder: str, folder: Path) -> str:
    """The working folder as `sweep.json` has it: relative to a sweep's folder that lies in it, else in full. Both can
    then be moved together."""
    if Path(working_folder) in folder.absolute().parents:
        return os.path.relpath(working_folder, folder.absolute())
    return working_folder


def begin(folder: Path, *, experiment: str, working_folder: Path) -> SweepRecord:
    """A new record; nothing is written until trials are added."""
    commit = source_commit()
    return SweepRecord(folder, experiment, None, str(working_folder), commit, time.time())


def load(folder: Path) -> SweepRecord:
    """The record of a sweep; raises LipkdError when there is none or it is of another format.

    A folder that holds trials of `lipkd train`, or copied ones, has no record and gives an empty one.
    """
    path = folder / "sweep.json"
    if not path.is_file():
        if not folder.is_dir():
            raise LipkdError(f"sweep {folder}: there is no such folder")
        return SweepRecord(folder)
    way_out = (
        f"remove it, then `lipkd sweep {folder} --resume` plans the trials again; those that have ended are not "
        "trained again"
    )
    content = read_json(path, dict, way_out)
    if content.get("format", FORMAT) != FORMAT:
        raise LipkdError(f"{path}: format {content['format']!r}, this lipkd reads {FORMAT}")
    wrong = [key for key, kinds in FIELDS.items() if not isinstance(content.get(key), kinds)]
    if wrong:
        raise LipkdError(f"{path}: {wrong[0]} = {content.get(wrong[0])!r}; {way_out}")
    fields = {key: content[key] for key in FIELDS if key != "trials"}
    fields["working_folder"] = os.path.normpath(folder.absolute() / content["working_folder"])
    try:
        return SweepRecord(folder, **fields, trials=[Planned.from_json(row) for row in content["trials"]])
    except (LipkdError, KeyError, TypeError) as error:
        raise LipkdError(f"{path}: trials: {error}; {way_out}") from error


def trial_folders(folder: Path) -> Iterator[TrialFolder]:
    """The trials of a sweep that have begun, by name."""
    for path in sorted(folder.iterdir()):
        if (path / "config.json").is_file():
            yield TrialFolder(path)


def driver_lock(folder: Path) -> Path:
    """Held by the process that runs the sweep, as long as it lives."""
    return folder / ".driver.lock"


def trial_status(trial: TrialFolder, *, driver_alive: bool) -> str:
    """A trial's status: its state, or, when it says `running`, `running`, `waiting` or `abandoned`."""
    state: str = trial.state()["state"]
    if state in ENDED:
        return state
    if is_held(trial.lock):
        return "running"
    return "waiting" if driver_alive else "abandoned"


@dataclass(frozen=True)
class TrialReading:
    """A trial's folder at one moment: its status, why, and its journal (empty where a file is damaged)."""

    status: str
    reason: str = ""
    reports: tuple[Report, ...] = ()


def read_trial(trial: TrialFolder, *, driver_alive: bool) -> TrialReading:
    """Read a trial once: `not begun` for one without a folder, `damaged` with the file and the way out; of one without
    a reason of its state, why it is not comparable."""
    if not (trial.path / "config.json").is_file():
        return TrialReading("not begun")
    try:
        trial.config(), trial.split()
        reason = str(trial.state()["reason"]) or trial.incomparable_reason()
        reports = tuple(trial.reports())
    except LipkdError as error:
        return TrialReading(DAMAGED, " ".join(str(error).split()))
    return TrialReading(trial_status(trial, driver_alive=driver_alive), " ".join(reason.split()), reports)


def reported(step: int, metrics: dict[str, float], metric: str, mode: str) -> dict[str, float]:
    """What Tune gets of an epoch: its metrics and step, a bad value where the metric isn't a finite number."""
    value = metrics.get(metric, math.nan)
    penalty = PENALTY if mode == "min" else -PENALTY
    return metrics | {metric: value if math.isfinite(value) else penalty, "step": step}
