"""`lipkd compare` on what MLflow has kept: the same trials, the same arithmetic, the same words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.tracking import records
from dashboard.tracking.records import Trial
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.errors import LipkdError
from lipkd.evaluation.compare import compare
from lipkd.evaluation.comparison import MethodComparison

FILES = ("config.json", "split.json")
TEST_PREDICTIONS = "predictions/test.jsonl"


@dataclass(frozen=True)
class TrackedTrial:
    """A trial as `lipkd.evaluation.compare` wants it, from its run's artifacts; predictions of its validation clips
    (`best`) and of its test clips, if it has read them."""

    name: str
    parsed: TrialConfig
    clips: dict[str, Any]
    status: str
    best: list[dict[str, Any]]
    test: list[dict[str, Any]]
    incomparable: str = ""

    def config(self) -> TrialConfig:
        return self.parsed

    def split(self) -> dict[str, Any]:
        return self.clips

    def state(self) -> dict[str, Any]:
        return {"state": self.status}

    def incomparable_reason(self) -> str:
        return self.incomparable

    def read_predictions(self, which: Literal["best", "test"] = "best") -> list[dict[str, Any]]:
        return self.best if which == "best" else self.test


def read_tracked(tracking_uri: str, trial: Trial) -> TrackedTrial:
    """Raises LipkdError when the run has not kept what is needed."""
    content, clips = (_json(tracking_uri, trial, name) for name in FILES)
    rows = [
        {"id": row.clip_id, "reference": row.reference, "hypotheses": list(row.hypotheses), "ensemble": row.ensemble}
        for row in records.read_predictions(tracking_uri, trial.run_id)
    ]
    if trial.state == "finished" and not rows:
        raise LipkdError(f"{trial.name} cannot be compared: its run has no {records.PREDICTIONS}")
    config = parse_config(content, f"config.json of {trial.name}")
    test = _test_rows(tracking_uri, trial) if clips.get("test") else []
    return TrackedTrial(trial.name, config, clips, trial.state, rows, test, trial.incomparable_reason)


def verdict(tracking_uri: str, a: Sequence[Trial], b: Sequence[Trial]) -> MethodComparison:
    """Is `a` better than `b`, in WER and in CER. Raises LipkdError with the reason when they cannot be compared."""
    sides = [[read_tracked(tracking_uri, trial) for trial in side] for side in (a, b)]
    return compare(*sides)


def _test_rows(tracking_uri: str, trial: Trial) -> list[dict[str, Any]]:
    text = records.read_text(tracking_uri, trial.run_id, TEST_PREDICTIONS) or ""
    try:
        return [json.loads(line) for line in text.split("\n") if line]
    except ValueError as error:
        raise LipkdError(f"{trial.name} cannot be compared: {TEST_PREDICTIONS} of its run is damaged") from error


def _json(tracking_uri: str, trial: Trial, name: str) -> dict[str, Any]:
    text = records.read_text(tracking_uri, trial.run_id, name)
    try:
        value = json.loads(text) if text is not None else None
    except ValueError as error:
        raise LipkdError(
            f"{trial.name} cannot be compared: the {name} of its run is not valid JSON ({error})"
        ) from error
    if not isinstance(value, dict):
        raise LipkdError(f"{trial.name} cannot be compared: its run has no {name}, which `lipkd sync` sends")
    return value
