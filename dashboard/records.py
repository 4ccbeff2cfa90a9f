"""What the dashboard knows of sweeps and trials: frozen records, read from MLflow and from nowhere else.

No Streamlit here: pages get their records through `dashboard.cached`. Tags, metrics and artifacts are those
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
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
import safetensors.numpy
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from sqlalchemy.exc import SQLAlchemyError

from lipkd.errors import LipkdError

PAGE = 1000  # runs per request
STATES = {"RUNNING": "running", "SCHEDULED": "running", "FINISHED": "finished", "FAILED": "failed"}
PREDICTIONS = "predictions/best.jsonl"
POSTERIORS = "predictions/best_posteriors.safetensors"


class NothingTracked(LipkdError):
    """There is no tracking database yet: nobody has run a sweep here."""


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
    ("1+0.5"). `epochs` counts reported epochs; `seconds` is what they cost, from the last epoch's time.
    `config` is the whole configuration, flattened with dots.
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

    @property
    def group(self) -> str:
        """Method and number of peers, as said in a sentence: `vanilla`, `attention ×2`."""
        return self.method if self.peers == 1 else f"{self.method} ×{self.peers}"

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
    """What a trial said of one validation clip in its best epoch; the reference as given in the corpus."""

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


def shown(tracking_uri: str) -> str:
    """The tracking URI without user name and password, for people to read."""
    parts = urlsplit(tracking_uri)
    if "@" not in parts.netloc:
        return tracking_uri
    return urlunsplit(parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2]))


def connect(tracking_uri: str) -> MlflowClient:
    """A client; raises NothingTracked when a SQLite file is missing, because MLflow would make an empty one."""
    if tracking_uri.startswith("sqlite:///"):
        path = Path(unquote(tracking_uri.removeprefix("sqlite:///").partition("?")[0]))
        if not path.is_file():
            raise NothingTracked(f"tracking database {path}: nothing there yet; a sweep makes it")
    with _speaking(tracking_uri):
        return MlflowClient(tracking_uri)


@contextlib.contextmanager
def _speaking(tracking_uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database driver or the network raises into one sentence without secrets."""
    try:
        yield
    except LipkdError:
        raise
    except (MlflowException, SQLAlchemyError, OSError, ImportError, ValueError) as error:
        said = " ".join(str(error).replace(tracking_uri, shown(tracking_uri)).split())
        secret = urlsplit(tracking_uri).password
        said = said.replace(secret, "…") if secret else said
        raise LipkdError(f"MLflow at {shown(tracking_uri)} cannot be read: {said[:240]}") from error


def read_sweeps(tracking_uri: str) -> list[Sweep]:
    """All sweeps of all experiments, the latest first."""
    client = connect(tracking_uri)
    with _speaking(tracking_uri):
        names = {e.experiment_id: e.name for e in _all_experiments(client)}
        runs = _search(client, list(names), "tags.`lipkd.kind` = 'sweep'")
        sweeps = [
            Sweep(
                run_id=run.info.run_id,
                name=run.data.tags.get("lipkd.sweep") or run.info.run_name or run.info.run_id,
                experiment=names[run.info.experiment_id],
                experiment_id=run.info.experiment_id,
                state=STATES.get(run.info.status, "abandoned"),
                began=(run.info.start_time or 0) / 1000,
            )
            for run in runs
        ]
    return sorted(sweeps, key=lambda sweep: sweep.began, reverse=True)


def read_trials(tracking_uri: str, sweep: Sweep) -> list[Trial]:
    """The trials of a sweep, the best first."""
    client = connect(tracking_uri)
    with _speaking(tracking_uri):
        child = f"tags.`mlflow.parentRunId` = '{sweep.run_id}'"
        trials = [_trial(run) for run in _search(client, [sweep.experiment_id], child)]
    return sorted(trials, key=lambda trial: trial.rank)


def read_curve(tracking_uri: str, run_id: str, metric: str) -> Curve:
    """The whole history of one metric, each step once (the latest value of a step counts)."""
    client = connect(tracking_uri)
    with _speaking(tracking_uri):
        # One metric of one run at a time: MLflow's bulk request drops what lies beyond 25,000 points.
        history = client.get_metric_history(run_id, metric)
    points = {m.step: m.value for m in sorted(history, key=lambda m: m.timestamp)}
    steps = tuple(sorted(points))
    return Curve(run_id, metric, steps, tuple(points[step] for step in steps))


def read_predictions(tracking_uri: str, run_id: str) -> list[Prediction]:
    """What the trial said in its best epoch, a record per validation clip; empty before its first epoch."""
    with _artifact(tracking_uri, run_id, PREDICTIONS) as path:
        if path is None:
            return []
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            return [_prediction(row) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise LipkdError(f"run {run_id}: {PREDICTIONS} is not as docs/formats.md says ({error})") from error


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


def _all_experiments(client: MlflowClient) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _search(client: MlflowClient, experiment_ids: Sequence[str], condition: str) -> Iterator[Run]:
    token = None
    while experiment_ids:
        page = client.search_runs(list(experiment_ids), condition, max_results=PAGE, page_token=token)
        yield from page
        if not (token := page.token):
            return


@contextlib.contextmanager
def _artifact(tracking_uri: str, run_id: str, name: str) -> Iterator[Path | None]:
    """A copy of an artifact for as long as the block runs; None when the run has none of that name."""
    client = connect(tracking_uri)
    with tempfile.TemporaryDirectory(prefix="lipkd-") as folder:
        with _speaking(tracking_uri):
            there = {item.path for item in client.list_artifacts(run_id, name.rpartition("/")[0])}
            path = Path(client.download_artifacts(run_id, name, folder)) if name in there else None
        yield path


def _trial(run: Run) -> Trial:
    tags, metrics, config = run.data.tags, run.data.metrics, run.data.params
    peers = _whole(tags.get("peers")) or 1
    method = _word(tags.get("method"))
    # Only the protobuf form of a run gives the step of each latest value.
    steps = [metric.step for metric in run.data.to_proto().metrics]
    epochs = max(steps, default=0)
    state = STATES.get(run.info.status, "abandoned")
    epoch_seconds = metrics.get("time/epoch_s")
    return Trial(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
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
        wer_ensemble=metrics.get("val/wer_ensemble"),
        best_wer=metrics.get("best/wer"),
        best_cer=metrics.get("best/cer"),
        best_epoch=int(metrics["best/epoch"]) if "best/epoch" in metrics else None,
        epochs=epochs,
        seconds=epochs * epoch_seconds if epoch_seconds else None,
        store=tags.get("lipkd.store", ""),
        store_digest=tags.get("lipkd.store_digest", ""),
        metrics=tuple(sorted(metrics)),
        config=config,
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
