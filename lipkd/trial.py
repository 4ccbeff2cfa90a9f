"""A trial's folder: configuration, split, journal, state, checkpoints, predictions (docs/formats.md)."""

import json
import math
import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import store_digest
from lipkd.errors import LipkdError
from lipkd.files import parse_line, read_json, read_jsonl, write_json

State = Literal["running", "finished", "stopped", "failed"]
WRITTEN_ANEW = "train it again with its configuration (lipkd train CONFIG --out FOLDER), which writes the file again"
ENDED: tuple[State, ...] = ("finished", "stopped", "failed")


class Cause(StrEnum):
    """Why a trial has the state that it has, where something depends on it; the sentence is the state's `reason`."""

    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    SCHEDULER = "scheduler"
    PROCESS_DIED = "process_died"
    ERROR = "error"


@dataclass(frozen=True)
class Report:
    """One line of a journal: the metrics of an epoch (`step`, from 1) at a wall-clock time (Unix seconds)."""

    step: int
    time: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class TrialFolder:
    """Where the files of a trial lie; reading them never creates anything."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that trains the trial, as long as it lives (lipkd/lock.py)."""
        return self.path / ".lock"

    def checkpoint(self, which: Literal["last", "best"]) -> Path:
        return self.path / "checkpoints" / f"{which}.safetensors"

    def predictions(self, which: Literal["last", "best", "test"]) -> Path:
        return self.path / "predictions" / f"{which}.jsonl"

    @property
    def posteriors(self) -> Path:
        return self.path / "predictions" / "best_posteriors.safetensors"

    def config(self) -> TrialConfig:
        """The trial's configuration; raises LipkdError when the folder is no trial."""
        path = self.path / "config.json"
        if not path.is_file():
            raise LipkdError(f"trial {self.path}: no config.json there; give the folder of a trial")
        content = read_json(path, dict, WRITTEN_ANEW)
        try:
            return parse_config(content, str(path))
        except LipkdError as error:
            raise LipkdError(f"{error}; {WRITTEN_ANEW}") from error

    @property
    def provenance_file(self) -> Path:
        return self.path / "provenance.json"

    def provenance(self) -> list[dict[str, Any]]:
        """An entry per start of the trial, the first one first (lipkd/runtime/provenance.py); empty before training."""
        way_out = "remove it: the trial loses only the record of its past starts"
        starts = read_json(self.provenance_file, list, way_out) if self.provenance_file.is_file() else []
        if not all(isinstance(start, dict) for start in starts):
            raise LipkdError(f"{self.provenance_file}: not a list of starts; {way_out}")
        return starts

    def add_start(self, entry: dict[str, Any]) -> None:
        """Append the entry of a start."""
        write_json(self.provenance_file, [*self.provenance(), entry])

    def store(self) -> Path:
        """Where the trial's clip store lies: where it lay beside the trial when that was trained, if it still does (the
        project was moved or copied), else where the configuration says."""
        config = self.config()
        for entry in reversed(self.provenance()):
            place = Path(os.path.normpath(self.path.absolute() / str(entry.get("store") or ".")))
            if entry.get("store") and store_digest(place) == config.data.digest:
                return place
        return Path(config.data.store).absolute()

    def split(self) -> dict[str, Any]:
        """`train`, `val`, `test` (clip ids) and `store_digest`; empty before training has begun."""
        path = self.path / "split.json"
        if not path.is_file():
            return {}
        content = read_json(path, dict, WRITTEN_ANEW)
        sound = all(_texts(content.get(part)) for part in ("train", "val", "test"))
        if not sound or not isinstance(content.get("store_digest"), str):
            raise LipkdError(f"{path}: train, val, test or store_digest is not what it should be; {WRITTEN_ANEW}")
        return content

    def state(self) -> dict[str, Any]:
        """`state`, `reason`, `time`, and where they say something `cause` (one of `Cause`), `comparable` (False) with
        `incomparable_reason`; a folder without the file counts as running."""
        path = self.path / "state.json"
        if not path.is_file():
            return {"state": "running", "reason": "", "time": 0.0}
        way_out = "remove it: the trial then counts as one that was interrupted, and goes on when it is resumed"
        content = read_json(path, dict, way_out)
        kinds = {"state": str, "reason": str, "time": int | float}
        wrong = [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]
        if content.get("state") not in ("running", *ENDED):
            wrong = ["state"]
        if wrong:
            raise LipkdError(f"{path}: {wrong[0]} = {content.get(wrong[0])!r}; {way_out}")
        return content

    def damage(self) -> str:
        """What is wrong with the files that say what the trial is and how far it has come, in one sentence that says
        the way out too; empty for a sound trial, so that one damaged trial need not stop what goes over many."""
        try:
            self.config()
            self.split()
            self.state()
            self.reports()
        except LipkdError as error:
            return str(error)
        return ""

    def set_state(self, state: State, reason: str = "", cause: Cause | None = None) -> None:
        """Record the trial's state, atomically; `cause` is the kind of the reason, for programs. A trial that is not
        comparable stays so. A damaged state is replaced."""
        content = {"state": state, "reason": reason, "time": time.time()}
        try:
            before = self.state()
        except LipkdError:
            before = {}
        kept = {key: value for key, value in before.items() if key in ("comparable", "incomparable_reason")}
        write_json(self.path / "state.json", content | ({"cause": str(cause)} if cause else {}) | kept)

    def set_incomparable(self, reason: str) -> None:
        """Record that the trial is more than its configuration says, so that nobody compares it with others."""
        content = self.state() | {"comparable": False, "incomparable_reason": reason}
        write_json(self.path / "state.json", content)

    def incomparable_reason(self) -> str:
        """Why the trial must not be compared with others; empty for one that may be."""
        state = self.state()
        return (
            "" if state.get("comparable", True) else str(state.get("incomparable_reason") or "its state is marked so")
        )

    def reports(self) -> list[Report]:
        """The journal, each step once (the first line of a step counts); raises LipkdError as `read_journal`."""
        return read_journal(self.journal)

    def read_predictions(self, which: Literal["last", "best", "test"] = "best") -> list[dict[str, Any]]:
        """Rows of `id`, `reference`, `hypotheses`, `ensemble`; empty when there are none yet. Raises LipkdError that
        names a damaged line."""
        path = self.predictions(which)
        if not path.is_file():
            return []
        way_out = "remove the file: the trial's rates stay in its journal, and what it read of each clip is lost"
        rows = list(read_jsonl(path, way_out))
        for number, row in enumerate(rows, 1):
            texts = [row.get("id"), row.get("reference"), row.get("ensemble", "")]
            if not _texts(texts) or not _texts(row.get("hypotheses")) or not row["hypotheses"]:
                raise LipkdError(f"{path}, line {number}: not a row of predictions; {way_out}")
        return rows


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def read_journal(path: Path) -> list[Report]:
    """A journal's reports in order, each step once; raises LipkdError as `JournalReader`."""
    return JournalReader(path).read()


class JournalReader:
    """Reads a journal that grows: each call of `read` reads only the lines that are new.

    A last line without its end is passed over: a process was killed while it wrote, or is writing. Any other line that
    is not a report is damage, and raises LipkdError with its number. A journal that is not the one that was read before
    (shorter, replaced, or changed before the new lines) is read anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin()

    def _begin(self) -> None:
        self.reports: list[Report] = []
        self._steps: set[int] = set()
        self._offset = self._lines = 0
        self._last_line = b""

    def read(self) -> list[Report]:
        """All reports so far in order, each step once (its first line counts); none when there is no journal."""
        if not self.path.is_file():
            self._begin()
            return self.reports
        with open(self.path, "rb") as file:
            file.seek(self._offset - len(self._last_line))
            if file.read(len(self._last_line)) != self._last_line:
                self._begin()
                file.seek(0)
            *lines, _ = file.read().split(b"\n")
        for line in lines:
            report = _report(line, f"{self.path}, line {self._lines + 1}")
            self._lines += 1
            self._last_line = line + b"\n"
            self._offset += len(self._last_line)
            if report.step not in self._steps:
                self._steps.add(report.step)
                self.reports.append(report)
        return self.reports


def _report(line: bytes, where: str) -> Report:
    way_out = "remove that line: the trial goes on as before, and only its curves lack the epoch"
    row = parse_line(line, where, way_out)
    step, moment, metrics = row.get("step"), row.get("time"), row.get("metrics")
    numbers = [moment, *metrics.values()] if isinstance(metrics, dict) else [None]
    if type(step) is int and step >= 1 and all(_is_number(value) for value in numbers):
        return Report(step, float(row["time"]), row["metrics"])
    raise LipkdError(f"{where}: not a report of an epoch; {way_out}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


class Journal:
    """Appends reports, one flushed line each; steps that are already there are left as they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._cut_torn_line()
        self.steps = {report.step for report in read_journal(path)}

    def _cut_torn_line(self) -> None:
        """A kill can leave half a line; without its end the next line would be lost with it."""
        if self.path.is_file():
            content = self.path.read_bytes()
            if content and not content.endswith(b"\n"):
                os.truncate(self.path, content.rfind(b"\n") + 1)

    def append(self, step: int, metrics: dict[str, float]) -> None:
        """Write the report of an epoch; raises ValueError when a metric is not finite."""
        if step in self.steps:
            return
        row = {"step": step, "time": time.time(), "metrics": metrics}
        line = json.dumps(row, allow_nan=False) + "\n"
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.steps.add(step)
