"""A made sweep of many trials, straight in the tables of MLflow's SQLite database.

Through MLflow four million values take hours; a bulk insert takes a minute. What is written is what `lipkd sweep`
leaves there (docs/formats.md): settings that differ in method, width, learning rate and batch size, some seeds
each, curves that fall, and predictions with posteriors for some trials, over a store of drawn clips.
"""

import contextlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from dashboard.bench.clips import VALIDATION, misread, posteriors_of, validation_clips
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError
from lipkd.files import write_json, write_jsonl

SWEEP = "made"
NOTE = "made.json"  # written last: the folder is whole
WITH_FILES = 20  # trials with predictions and posteriors
BEGAN_MS, EPOCH_S = 1_760_000_000_000, 10.0
# The first ones are those that the pages ask for; more than these are called `extra/N`.
METRICS = (
    *("val/wer", "val/cer", "best/wer", "best/cer", "best/epoch", "time/total_s", "best/wer_ensemble", "time/epoch_s"),
    *("val/wer_ensemble", "train/loss", "time/clips_per_s", "memory/peak_mb", "train/learning_rate", "val/ctc"),
    *("val/cer_ensemble", "val/bleu", "val/sentence_accuracy", "val/wer/peer_0", "val/cer/peer_0"),
    "best/wer_best_peer",
)
FEWEST_METRICS = 7
GROUPS = (("independent", 1, 0.0), ("independent", 2, 0.0), ("dml", 2, 0.03), ("attention", 2, 0.05))
WIDTHS, RATES, BATCHES = ((1.0, 0.0), (0.5, 0.05), (0.25, 0.12), (0.125, 0.2)), (6e-4, 3e-4, 1e-3, 1e-4, 2e-3), (8, 16)
POINT = "(key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)"
TABLES = ("runs", "tags", "params", "metrics", "latest_metrics")


@dataclass(frozen=True)
class Size:
    """How much is made: trials, epochs of each, metrics of each epoch."""

    trials: int
    epochs: int
    metrics: int

    @property
    def values(self) -> int:
        return self.trials * self.epochs * self.metrics


@dataclass(frozen=True)
class Made:
    """A trial before it is written: its configuration, how it stands, and the WER that it ends near (0–1)."""

    run_id: str
    config: TrialConfig
    state: str
    floor: float


def make(folder: Path, size: Size) -> Path:
    """A tracking folder with the made sweep; one that was made before, in that size, is used again.

    Raises LipkdError when the folder holds anything else, or fewer than FEWEST_METRICS metrics are asked for.
    """
    if size.metrics < FEWEST_METRICS:
        raise LipkdError(f"--metrics {size.metrics}: must be at least {FEWEST_METRICS}, which the pages show")
    folder = folder.expanduser().absolute()
    note = folder / NOTE
    if note.is_file():
        if (there := json.loads(note.read_text(encoding="utf-8"))) != asdict(size):
            raise LipkdError(f"{folder}: was made with {there}; give the same numbers or another folder")
        return folder
    if folder.is_dir() and any(folder.iterdir()):
        raise LipkdError(f"{folder}: holds something else than a made sweep; give a new folder")
    store = validation_clips(folder)
    trials = planned(size, store.path)
    database = folder / "mlflow.db"
    experiment = _new_database(database, folder / "artifacts")
    with _writing(database) as connection:
        _insert(connection, trials, size, store, experiment, folder / "artifacts")
    _write_files(trials, store, folder / "artifacts")
    write_json(note, asdict(size))
    return folder


def planned(size: Size, store: Path) -> list[Made]:
    """The trials: all settings with one seed, then with the next. The same size gives the same trials."""
    rng = np.random.default_rng(0)
    settings = list(product(WIDTHS, enumerate(RATES), BATCHES, GROUPS))
    trials = []
    for number in range(size.trials):
        seed, setting = divmod(number, len(settings))
        (width, loss), (place, rate), batch, (method, peers, gain) = settings[setting]
        config = parse_config(
            {
                "seed": seed,
                "data": {"store": str(store), "scenario": "unseen", "val_speakers": [VALIDATION]},
                "network": {"width": width},
                "cohort": {"method": method, "peers": peers},
                "training": {"epochs": size.epochs, "batch_size": batch, "learning_rate": rate},
            }
        )
        floor = 0.25 + loss - gain + 0.02 * place + 0.01 * (batch > 8) + float(rng.normal(0, 0.01))
        state = "stopped" if number % 50 == 49 else "failed" if number % 77 == 76 else "finished"
        trials.append(Made(uuid.UUID(bytes=rng.bytes(16)).hex, config, state, floor))
    return trials


def with_files(trials: Sequence[Made]) -> list[Made]:
    """The trials that have predictions: those that the pages look at unless told otherwise. These are all seeds of the
    best setting and of its control, then those with the lowest WER."""
    best = min(trials, key=lambda trial: trial.floor).config

    def place(trial: Made) -> tuple[bool, bool, float]:
        same = trial.config.model_copy(update={"seed": best.seed})
        alone = best.cohort.model_copy(update={"method": "independent", "peers": 1})
        return (same != best, same != best.model_copy(update={"cohort": alone}), trial.floor)

    return sorted(trials, key=place)[:WITH_FILES]


def curves(trial: Made, size: Size) -> NDArray[np.float64]:
    """The values (epochs, metrics) of a trial: WER falls to its floor, everything else goes along."""
    rng = np.random.default_rng([1, int(trial.run_id[:8], 16)])
    epochs = np.arange(1, size.epochs + 1)
    wer = trial.floor + (1 - trial.floor) * np.exp(-5 * epochs / size.epochs) + np.abs(rng.normal(0, 0.01, size.epochs))
    best = np.minimum.accumulate(wer)
    at = np.maximum.accumulate(np.where(wer == best, epochs, 0)).astype(np.float64)
    seconds = EPOCH_S * rng.uniform(0.9, 1.1, size.epochs)
    known = {
        **{"val/wer": wer, "val/cer": 0.45 * wer, "best/wer": best, "best/cer": 0.45 * best, "best/epoch": at},
        **{"val/wer_ensemble": 0.97 * wer, "val/cer_ensemble": 0.43 * wer, "train/loss": 3 * wer, "val/ctc": 40 * wer},
        **{"val/wer/peer_0": wer, "val/cer/peer_0": 0.45 * wer, "val/bleu": 1 - wer, "best/wer_ensemble": 0.97 * best},
        "best/wer_best_peer": 0.99 * best,
        "val/sentence_accuracy": 0.6 * (1 - wer),
        **{"time/epoch_s": seconds, "time/total_s": np.cumsum(seconds)},
        "time/clips_per_s": rng.uniform(40, 60, size.epochs),
        "memory/peak_mb": np.full(size.epochs, 800.0 * max(trial.config.widths)),
        "train/learning_rate": trial.config.training.learning_rate * np.cos(epochs / size.epochs),
    }
    rest = rng.random((size.epochs, size.metrics))
    columns = [known.get(name, rest[:, place]) for place, name in enumerate(names(size.metrics))]
    return np.stack(columns, axis=1)


def names(count: int) -> list[str]:
    """So many names of metrics."""
    return [*METRICS[:count], *(f"extra/{number}" for number in range(count - len(METRICS)))]


def _new_database(path: Path, artifacts: Path) -> str:
    """A database with MLflow's tables and the experiment `lipkd`; the id of that."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")  # before the import
    from mlflow import MlflowClient

    return str(MlflowClient(f"sqlite:///{path}").create_experiment("lipkd", artifact_location=artifacts.as_uri()))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The database without its indexes and without care for a power cut; with both again afterwards."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
            connection.execute(f"PRAGMA {setting}")
        chosen = f"type = 'index' AND sql IS NOT NULL AND tbl_name IN {TABLES}"
        indexes = connection.execute(f"SELECT name, sql FROM sqlite_master WHERE {chosen}").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        with connection:
            yield connection
        for _, made_by in indexes:
            connection.execute(made_by)
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")  # as `lipkd sweep` leaves it


def _insert(
    connection: sqlite3.Connection,
    trials: Sequence[Made],
    size: Size,
    store: ClipStore,
    experiment: str,
    artifacts: Path,
) -> None:
    parent = uuid.UUID(int=1).hex
    length = round(1000 * EPOCH_S * size.epochs)
    _run(connection, parent, SWEEP, "FINISHED", BEGAN_MS, length * len(trials), experiment, artifacts)
    _pairs(connection, "tags", parent, {"lipkd.kind": "sweep", "lipkd.sweep": SWEEP, "mlflow.runName": SWEEP})
    keys = names(size.metrics)
    for number, trial in enumerate(trials):
        began = BEGAN_MS + number * length
        status = "FAILED" if trial.state == "failed" else "FINISHED"
        _run(connection, trial.run_id, trial.config.trial_name(), status, began, length, experiment, artifacts)
        _pairs(connection, "tags", trial.run_id, _tags(trial, parent, store))
        _pairs(connection, "params", trial.run_id, trial.config.flat())
        values = curves(trial, size)
        rows = (
            (key, value, began + round(1000 * EPOCH_S * step), step, trial.run_id)
            for step, line in enumerate(values.tolist(), 1)
            for key, value in zip(keys, line, strict=True)
        )
        connection.executemany(f"INSERT INTO metrics {POINT}", rows)
        last = [
            (key, value, began + length, size.epochs, trial.run_id)
            for key, value in zip(keys, values[-1].tolist(), strict=True)
        ]
        connection.executemany(f"INSERT INTO latest_metrics {POINT}", last)


def _run(
    connection: sqlite3.Connection,
    run_id: str,
    name: str,
    status: str,
    began: int,
    length: int,
    experiment: str,
    artifacts: Path,
) -> None:
    row = {
        **{"run_uuid": run_id, "name": name, "status": status, "start_time": began, "end_time": began + length},
        **{"source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "user_id": "lipkd"},
        **{"source_version": "", "lifecycle_stage": "active", "experiment_id": int(experiment)},
        "artifact_uri": f"{artifacts.as_uri()}/{run_id}/artifacts",
    }
    places = ", ".join(f":{column}" for column in row)
    connection.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({places})", row)


def _pairs(connection: sqlite3.Connection, table: str, run_id: str, pairs: dict[str, str]) -> None:
    rows = [(key, value, run_id) for key, value in pairs.items()]
    connection.executemany(f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)", rows)


def _tags(trial: Made, parent: str, store: ClipStore) -> dict[str, str]:
    config = trial.config
    return {
        "lipkd.kind": "trial",
        "lipkd.sweep": SWEEP,
        "lipkd.trial": config.trial_name(),
        "mlflow.runName": config.trial_name(),
        "mlflow.parentRunId": parent,
        "lipkd.store": str(store.path),
        "lipkd.store_digest": store.meta["digest"],
        "lipkd.folder": f"/mlruns/sweeps/{SWEEP}/{config.trial_name()}",
        "lipkd.state": trial.state,
        "lipkd.reason": "FloatingPointError: train/loss is not finite" if trial.state == "failed" else "",
        "method": config.cohort.method,
        "peers": str(config.cohort.peers),
        "width": f"{config.network.width:g}",
        "batch_size": str(config.training.batch_size),
        "seed": str(config.seed),
        "commit": "0" * 40,
    }


def _write_files(trials: Sequence[Made], store: ClipStore, artifacts: Path) -> None:
    """What a trial that has ended leaves in MLflow, checkpoints aside."""
    clips = [clip for clip in store.clips if clip.speaker == VALIDATION]
    others = [clip.id for clip in store.clips if clip.speaker != VALIDATION]
    split = {"train": others, "val": [clip.id for clip in clips], "test": [], "store_digest": store.meta["digest"]}
    for trial in with_files(trials):
        folder = artifacts / trial.run_id / "artifacts"
        (folder / "predictions").mkdir(parents=True)
        write_json(folder / "config.json", trial.config.to_json())
        write_json(folder / "split.json", split)
        said = _said(trial, clips)
        write_jsonl(
            folder / "predictions" / "best.jsonl",
            [
                {"id": c.id, "reference": c.text, "hypotheses": s, "ensemble": s[0]}
                for c, s in zip(clips, said, strict=True)
            ],
        )
        seen = {c.id: posteriors_of(s, c.n_frames) for c, s in zip(clips, said, strict=True)}
        content = safetensors.numpy.save(seen, {"alphabet": trial.config.data.alphabet})
        (folder / "predictions" / "best_posteriors.safetensors").write_bytes(content)


def _said(trial: Made, clips: Sequence[Clip]) -> list[list[str]]:
    rng = np.random.default_rng([2, int(trial.run_id[:8], 16)])
    return [[misread(clip.text, trial.floor, rng) for _ in range(trial.config.cohort.peers)] for clip in clips]
