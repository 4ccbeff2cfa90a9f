"""A tracking database with one sweep, written through MlflowClient as docs/formats.md says."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from numpy.typing import NDArray

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import Clip, ClipStore
from lipkd.text import LETTERS, letters

BEGAN = 1_760_000_000.0


@dataclass(frozen=True)
class Planned:
    """A trial to be tracked: its WER and CER per epoch decide everything else."""

    wers: Sequence[float]
    cers: Sequence[float]
    method: str = "independent"
    peers: int = 1
    width: float = 1.0
    batch_size: int = 4
    seed: int = 0
    state: str = "finished"
    reason: str = ""
    alphabet: str = LETTERS


def spikes(text: str, frames: int, characters: str = LETTERS) -> NDArray[np.float16]:
    """Posteriors (T, V) whose best path says `text`: 0.9 on one frame a letter, evenly spread, else blank."""
    values = np.full((frames, len(characters) + 1), 0.1 / len(characters), np.float16)
    values[:, 0] = 0.9
    for number, letter in enumerate(text):
        frame = (2 * number + 1) * frames // (2 * len(text))
        values[frame, 0] = 0.1 / len(characters)
        values[frame, characters.index(letter) + 1] = 0.9
    return values


def misread(text: str, share: float, rng: np.random.Generator, characters: str = LETTERS) -> str:
    """A hypothesis: some words replaced, some left out, some said twice."""
    said = []
    for word in letters(text, characters).split():
        if rng.random() >= share:
            said.append(word)
        elif (lot := rng.random()) < 0.6:
            said.append(word[::-1])
        elif lot < 0.8:
            said += [word, "e"]
    return " ".join(said)


def track_sweep(
    folder: Path, name: str, store: ClipStore, val: Sequence[Clip], plan: Sequence[Planned], *, began: float = 0.0
) -> str:
    """Write the sweep into `folder/mlflow.db` (artifacts beside it), `began` seconds after BEGAN; returns the URI."""
    folder.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(uri)
    known = client.get_experiment_by_name("lipkd")
    experiment = (
        known.experiment_id
        if known
        else client.create_experiment("lipkd", artifact_location=(folder / "artifacts").as_uri())
    )
    start = int(1000 * (BEGAN + began))
    tags = {"lipkd.kind": "sweep", "lipkd.sweep": name}
    parent = client.create_run(experiment, start_time=start, run_name=name, tags=tags).info.run_id
    for planned in plan:
        _track_trial(client, experiment, folder, name, parent, store, val, planned)
    client.set_terminated(parent, "FINISHED", end_time=start + 1000)
    return uri


def _track_trial(
    client: MlflowClient,
    experiment: str,
    folder: Path,
    sweep: str,
    parent: str,
    store: ClipStore,
    val: Sequence[Clip],
    planned: Planned,
) -> None:
    config = parse_config(
        {
            "seed": planned.seed,
            "data": {
                "store": str(store.path),
                "scenario": "unseen",
                "val_speakers": sorted({c.speaker for c in val}) or ["x"],
                "alphabet": planned.alphabet,
            },
            "network": {"width": planned.width},
            "cohort": {"method": planned.method, "peers": planned.peers},
            "training": {"batch_size": planned.batch_size, "epochs": max(len(planned.wers), 1)},
        }
    )
    tags = {
        "lipkd.kind": "trial",
        "lipkd.sweep": sweep,
        "lipkd.trial": config.trial_name(),
        "mlflow.parentRunId": parent,
        "lipkd.store": str(store.path),
        "lipkd.store_digest": store.meta["digest"],
        "lipkd.folder": "/nowhere",
        "lipkd.state": planned.state,
        "lipkd.reason": planned.reason,
        "method": planned.method,
        "peers": str(planned.peers),
        "width": f"{planned.width:g}",
        "batch_size": str(planned.batch_size),
        "seed": str(planned.seed),
        "commit": "0123abc",
    }
    began = int(1000 * BEGAN)
    run = client.create_run(experiment, start_time=began, run_name=config.trial_name(), tags=tags).info.run_id
    params = [Param(key, value) for key, value in config.flat().items()]
    client.log_batch(run, params=params, tags=[RunTag("mlflow.note.content", "made by a test")])
    metrics = [
        Metric(key, value, began + 10_000 * step, step)
        for step, row in enumerate(_journal(planned), 1)
        for key, value in row.items()
    ]
    for first in range(0, len(metrics), 1000):
        client.log_batch(run, metrics=metrics[first : first + 1000])
    if planned.wers:
        _log_artifacts(client, run, folder, config, val, planned)
    status = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}.get(planned.state)
    if status:
        client.set_terminated(run, status, end_time=began + 10_000 * len(planned.wers))


def _journal(planned: Planned) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    best: tuple[float, float, float] = (9.0, 9.0, 0.0)
    for epoch, (wer, cer) in enumerate(zip(planned.wers, planned.cers, strict=True), 1):
        best = min(best, (wer, cer, float(epoch)))
        row = {"val/wer": wer, "val/cer": cer, "best/wer": best[0], "best/cer": best[1], "best/epoch": best[2]}
        row |= {"val/wer_ensemble": 0.9 * wer, "val/wer_best_peer": wer if planned.peers == 1 else 0.95 * wer}
        at = int(best[2]) - 1
        row |= {"best/wer_ensemble": 0.9 * planned.wers[at]}
        row |= {"best/wer_best_peer": (1.0 if planned.peers == 1 else 0.95) * planned.wers[at]}
        row |= {"train/loss": 3 * wer, "time/epoch_s": 5.0 + epoch}
        row["time/total_s"] = sum(row["time/epoch_s"] for row in (*rows, row))
        rows.append(row)
    return rows


def _log_artifacts(
    client: MlflowClient, run: str, folder: Path, config: TrialConfig, val: Sequence[Clip], planned: Planned
) -> None:
    rng = np.random.default_rng(planned.seed + 10 * planned.peers + int(100 * planned.width))
    rows, posteriors = [], {}
    for clip in val:
        said = [misread(clip.text, min(planned.wers), rng, planned.alphabet) for _ in range(planned.peers)]
        rows.append({"id": clip.id, "reference": clip.text, "hypotheses": said, "ensemble": said[-1]})
        posteriors[clip.id] = np.stack([spikes(text, clip.n_frames, planned.alphabet) for text in said])
    client.log_dict(run, config.to_json(), "config.json")
    client.log_dict(run, {"train": [], "val": [clip.id for clip in val], "test": [], "store_digest": "d"}, "split.json")
    client.log_text(run, "".join(json.dumps(row) + "\n" for row in rows), "predictions/best.jsonl")
    file = folder / "best_posteriors.safetensors"
    file.write_bytes(safetensors.numpy.save(posteriors, {"alphabet": planned.alphabet}))
    client.log_artifact(run, str(file), "predictions")
    file.unlink()


HOSTILE = "<img src=x onerror=alert(a)> ![x](http://stranger/x.png) [l](javascript:alert(b)) ' \" ../../etc ${alert(c)}"


def track_hostile(folder: Path, store: ClipStore, *, began: float = 0.0) -> str:
    """A sweep, called HOSTILE, whose trials, clips, transcripts, hypotheses and parameters are hostile, too."""
    clips = [dataclasses.replace(clip, id=f"{HOSTILE}/{n}", text=HOSTILE) for n, clip in enumerate(store.clips[:3])]
    plan = [Planned((0.9, 0.5), (0.5, 0.2), method, 2, seed=n) for method in ("dml", "attention") for n in range(4)]
    plan.append(Planned((), (), "sequence", 2, state="failed", reason=HOSTILE))
    uri = track_sweep(folder, HOSTILE, store, clips, plan, began=began)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lipkd")
    assert experiment is not None
    for number, run in enumerate(client.search_runs([experiment.experiment_id], "tags.`lipkd.kind` = 'trial'")):
        if run.data.tags["lipkd.sweep"] != HOSTILE:
            continue
        client.update_run(run.info.run_id, name=f"{HOSTILE} {number}")
        client.log_param(run.info.run_id, "x.note", f"{HOSTILE} {number % 2}")
        if run.data.tags["lipkd.state"] == "finished":
            said = {"hypotheses": [HOSTILE, f"</script>{HOSTILE}"], "ensemble": HOSTILE}
            rows = [{"id": clip.id, "reference": clip.text} | said for clip in clips]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            client.log_text(run.info.run_id, text, "predictions/best.jsonl")
    return uri
