"""What the dashboard knows of sweeps and trials: frozen records, read from MLflow and from nowhere else.

No Streamlit here: pages get their records through `dashboard.cache`. Tags, metrics and artifacts are those
of docs/formats.md. Every failure of MLflow leaves as a LipkdError with one sentence.
"""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from dashboard.tracking.connect import connect
from dashboard.tracking.run import NothingTracked, Run, by_step, database_state
from lipkd.errors import LipkdError
from lipkd.text import LETTERS
from lipkd.tracking_uri import public_uri

__all__ = ["NothingTracked", "database_state", "public_uri"]
STATES = {"RUNNING": "running", "SCHEDULED": "running", "FINISHED": "finished", "FAILED": "failed"}
PREDICTIONS = "predictions/best.jsonl"
POSTERIORS = "predictions/best_posteriors.safetensors"


@dataclass(frozen=True)
class Sweep:
    """A parent run. `began` is in Unix seconds."""

    run_id: str
    name: str
    experiment: str
    experiment_id: str
    state: str
    began: float


@dataclass(frozen=True)
class Trial:
    """One child run: what it is, how it stands, its latest and best validation rates (0–1, None before the first).

    `method` is `vanilla` for one peer that learns alone. `width` is text because peers may differ in it
    ("1+0.5"). Rates are means over peers; `wer_ensemble` and `wer_best_peer` are those of the best epoch. `epochs`
    counts reported epochs, `seconds` is what they cost.
    `config` is the whole configuration, flattened with dots; `latest` the last value of every metric; `began` and
    `ended` are in Unix seconds. `incomparable_reason` says why it is more than its configuration
    says, if it is. `sweep` is the name of its sweep.
    """

    run_id: str
    name: str
    state: str
    reason: str
    method: str
    peers: int
    width: str
    batch_size: int
    seed: int
    commit: str
    wer: float | None
    cer: float | None
    wer_ensemble: float | None
    best_wer: float | None
    best_cer: float | None
    best_epoch: int | None
    epochs: int
    seconds: float | None
    store: str
    store_digest: str
    metrics: tuple[str, ...]
    config: dict[str, str]
    latest: dict[str, float]
    began: float
    ended: float | None
    experiment_id: str
    sweep: str = ""
    incomparable_reason: str = ""
    wer_best_peer: float | None = None

    @property
    def group(self) -> str:
        """Method and number of peers, as said in a sentence: `vanilla`, `attention ×2`."""
        return self.method if self.peers == 1 else f"{self.method} ×{self.peers}"

    @property
    def alphabet(self) -> str:
        """The characters of its alphabet, in which its errors are counted; a–z of a trial that has not logged any."""
        return self.config.get("data.alphabet") or LETTERS

    @property
    def rank(self) -> tuple[float, float, str]:
        """Sort key: lowest best WER first, ties by CER; trials without a result last."""
        worst = float("inf")
        return (
            worst if self.best_wer is None else self.best_wer,
            worst if self.best_cer is None else self.best_cer,
            self.name,
        )


@dataclass(frozen=True)
class Curve:
    """A metric of a trial over its epochs."""

    run_id: str
    metric: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Prediction:
    """What a trial read of one validation clip in its best epoch; the reference as given in the corpus."""

    clip_id: str
    reference: str
    hypotheses: tuple[str, ...]
    ensemble: str

    @property
    def speaker(self) -> str:
        """The speaker's part of the clip id (`speaker/name`)."""
        return self.clip_id.rpartition("/")[0] or self.clip_id


@dataclass(frozen=True)
class Posteriors:
    """Per clip id an array (P, T, V) of posteriors, float16; `symbols` names the V columns, the blank first."""

    symbols: tuple[str, ...]
    arrays: dict[str, NDArray[np.float16]]


def read_sweeps(tracking_uri: str) -> list[Sweep]:
    """All sweeps of all experiments, the latest first."""
    with connect(tracking_uri) as runs:
        sweeps = [
            Sweep(
                run_id=run.run_id,
                name=run.tags.get("lipkd.sweep") or run.name or run.run_id,
                experiment=run.experiment,
                experiment_id=run.experiment_id,
                state=STATES.get(run.status, "abandoned"),
                began=run.began / 1000,
            )
            for run in runs.sweeps()
        ]
    return sorted(sweeps, key=lambda sweep: sweep.began, reverse=True)


def read_trials(tracking_uri: str, sweep: Sweep) -> list[Trial]:
    """The trials of a sweep, the best first."""
    with connect(tracking_uri) as runs:
        trials = [_trial(run, sweep.name) for run in runs.trials(sweep.run_id, sweep.experiment_id)]
    return sorted(trials, key=lambda trial: trial.rank)


def read_curve(tracking_uri: str, run_id: str, metric: str) -> Curve:
    """The whole history of one metric, each step once (the latest value of a step counts)."""
    return read_curves(tracking_uri, [run_id], metric)[0]


def read_curves(tracking_uri: str, run_ids: Sequence[str], metric: str) -> list[Curve]:
    """The histories of one metric of several runs, in their order."""
    with connect(tracking_uri) as runs:
        histories = [by_step(points) for points in runs.histories(run_ids, metric)]
    return [
        Curve(run_id, metric, steps := tuple(sorted(points)), tuple(points[step] for step in steps))
        for run_id, points in zip(run_ids, histories, strict=True)
    ]


def read_predictions(tracking_uri: str, run_id: str) -> list[Prediction]:
    """What the trial read in its best epoch, a record per validation clip; empty before its first epoch."""
    with _artifact(tracking_uri, run_id, PREDICTIONS) as path:
        if path is None:
            return []
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            predictions = [_prediction(row) for row in rows]
            if predictions and {len(p.hypotheses) for p in predictions} != {max(len(predictions[0].hypotheses), 1)}:
                raise ValueError("clips differ in their number of hypotheses, or have none")
            return predictions
        except (ValueError, KeyError, TypeError) as error:
            raise LipkdError(
                f"run {run_id}: {PREDICTIONS} does not have the format of docs/formats.md ({error})"
            ) from error


def read_posteriors(tracking_uri: str, run_id: str) -> Posteriors | None:
    """The posteriors of the best epoch, None when the trial kept none."""
    with _artifact(tracking_uri, run_id, POSTERIORS) as path:
        if path is None:
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
            arrays = safetensors.numpy.load(path.read_bytes())
        except (SafetensorError, OSError) as error:
            raise LipkdError(f"run {run_id}: {POSTERIORS} cannot be read ({error})") from error
    return Posteriors(("blank", *header.get("alphabet", "")), arrays)


def read_text(tracking_uri: str, run_id: str, name: str) -> str | None:
    """An artifact as text, None when the run has none of that name."""
    with _artifact(tracking_uri, run_id, name) as path:
        return None if path is None else path.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def _artifact(tracking_uri: str, run_id: str, name: str) -> Iterator[Path | None]:
    """A copy of an artifact for as long as the block runs; None when the run has none of that name."""
    with tempfile.TemporaryDirectory(prefix="lipkd-") as folder:
        with connect(tracking_uri) as runs:
            path = runs.artifact(run_id, name, Path(folder))
        yield path


def _trial(run: Run, sweep: str) -> Trial:
    tags, metrics = run.tags, run.metrics
    peers = _whole(tags.get("peers")) or 1
    method = _word(tags.get("method"))
    state = STATES.get(run.status, "abandoned")
    return Trial(
        run_id=run.run_id,
        name=run.name or run.run_id,
        state=tags.get("lipkd.state", state) if state == "finished" else state,
        reason=tags.get("lipkd.reason", ""),
        method="vanilla" if method == "independent" and peers == 1 else method,
        peers=peers,
        width=_word(tags.get("width")),
        batch_size=_whole(tags.get("batch_size")),
        seed=_whole(tags.get("seed")),
        commit=tags.get("commit", ""),
        wer=metrics.get("val/wer"),
        cer=metrics.get("val/cer"),
        wer_ensemble=metrics.get("best/wer_ensemble"),
        best_wer=metrics.get("best/wer"),
        best_cer=metrics.get("best/cer"),
        best_epoch=int(metrics["best/epoch"]) if "best/epoch" in metrics else None,
        epochs=run.steps,
        seconds=metrics.get("time/total_s"),
        store=tags.get("lipkd.store", ""),
        store_digest=tags.get("lipkd.store_digest", ""),
        metrics=tuple(sorted(metrics)),
        config=dict(run.params),
        began=run.began / 1000,
        ended=None if run.ended is None else run.ended / 1000,
        latest=dict(metrics),
        experiment_id=run.experiment_id,
        sweep=sweep,
        incomparable_reason=tags.get("lipkd.incomparable_reason", ""),
        wer_best_peer=metrics.get("best/wer_best_peer"),
    )


def _prediction(row: dict[str, Any]) -> Prediction:
    said = tuple(str(text) for text in row["hypotheses"])
    return Prediction(str(row["id"]), str(row["reference"]), said, str(row.get("ensemble") or ""))


def _word(text: str | None) -> str:
    """A tag that should be a name or a number, and is shown where Streamlit would read markup."""
    return text if text and re.fullmatch(r"[\w.+-]{1,40}", text) else "?"


def _whole(text: str | None) -> int:
    """A tag that should be a whole number; 0 when somebody else wrote something else."""
    return int(text) if text and text.isdecimal() else 0
