"""A trial's folder: configuration, split, journal, state, checkpoints, predictions (docs/formats.md)."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.errors import LipkdError
from lipkd.files import read_json, read_jsonl, write_json

State = Literal["running", "finished", "stopped", "failed"]
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
        return parse_config(json.loads(path.read_text(encoding="utf-8")), str(path))

    @property
    def provenance_file(self) -> Path:
        return self.path / "provenance.json"

    def provenance(self) -> list[dict[str, Any]]:
        """An entry per start of the trial, the first one first (lipkd/provenance.py); empty before training."""
        way_out = "remove it: the trial loses only the record of its past starts"
        return read_json(self.provenance_file, list, way_out) if self.provenance_file.is_file() else []

    def add_start(self, entry: dict[str, Any]) -> None:
        """Append the entry of a start."""
        write_json(self.provenance_file, [*self.provenance(), entry])

    def split(self) -> dict[str, Any]:
        """`train`, `val`, `test` (clip ids) and `store_digest`; empty before training has begun."""
        path = self.path / "split.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def state(self) -> dict[str, Any]:
        """`state`, `reason`, `time`, and where they say something `cause` (one of `Cause`), `comparable` (False) with
        `incomparable_reason`; a folder without the file counts as running."""
        path = self.path / "state.json"
        if not path.is_file():
            return {"state": "running", "reason": "", "time": 0.0}
        return json.loads(path.read_text(encoding="utf-8"))

    def set_state(self, state: State, reason: str = "", cause: Cause | None = None) -> None:
        """Record the trial's state, atomically; `cause` is the kind of the reason, for programs. A trial that is not
        comparable stays so."""
        content = {"state": state, "reason": reason, "time": time.time()}
        kept = {key: value for key, value in self.state().items() if key in ("comparable", "incomparable_reason")}
        write_json(self.path / "state.json", content | ({"cause": str(cause)} if cause else {}) | kept)

    def set_incomparable(self, reason: str) -> None:
        """Record that the trial is more than its configuration says, so that nobody compares it with others."""
        content = self.state() | {"comparable": False, "incomparable_reason": reason}
        write_json(self.path / "state.json", content)

    def incomparable_reason(self) -> str:
        """Why the trial must not be compared with others; empty for one that may be."""
        state = self.state()
        return "" if state.get("comparable", True) else str(state.get("incomparable_reason") or "its state says so")

    def reports(self) -> list[Report]:
        """The journal, each step once (the first line of a step counts); a torn last line is ignored."""
        return list(read_journal(self.journal))

    def read_predictions(self, which: Literal["last", "best", "test"] = "best") -> list[dict[str, Any]]:
        """Rows of `id`, `reference`, `hypotheses`, `ensemble`; empty when there are none yet."""
        path = self.predictions(which)
        return list(read_jsonl(path)) if path.is_file() else []


def read_journal(path: Path) -> Iterator[Report]:
    """Yield a journal's reports in order, each step once; nothing when there is no journal."""
    if not path.is_file():
        return
    seen = set()
    for line in path.read_bytes().split(b"\n"):
        try:
            row = json.loads(line)
            report = Report(int(row["step"]), float(row["time"]), row["metrics"])
        except (ValueError, KeyError, TypeError):
            continue  # a torn line: the process was killed while it wrote
        if report.step not in seen:
            seen.add(report.step)
            yield report


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
