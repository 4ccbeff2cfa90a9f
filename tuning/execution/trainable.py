"""What runs in a worker of Ray Tune: lipkd's training loop on one trial folder.

No Tune checkpoints: the trial folder is on storage that every node sees and holds its own atomic
checkpoints, so a trial that is started again, on this node or another, goes on from there. A Tune
checkpoint would be a second copy of the same file each epoch. Weights of a population are copied in the same way, from
folder to folder, while none of its trials runs (tuning/pbt/generations.py).
"""

import contextlib
import traceback
from pathlib import Path
from typing import Any

from ray import tune

from lipkd.config.trial_config import parse_config
from lipkd.errors import LipkdError
from lipkd.files import disk_is_full, write_json
from lipkd.training.train import fit
from lipkd.trial import Cause, TrialFolder
from tuning import stop_request
from tuning.gpu import cuda
from tuning.gpu.cuda import out_of_memory
from tuning.gpu.memory_table import GPU
from tuning.pbt.lineage import schedule_changes
from tuning.sweep_folder import reported

STALLED = "stalled"
FULL = "the disk is full"


def train_trial(trial: dict[str, Any]) -> None:
    """Train `trial` (`folder`, `config`, `metric`, `mode`, `command` of the driver; for one of a population `until`, an
    epoch or None, and `watched` keys), or go on with it.

    The epochs that are already in its journal are reported first, so that a scheduler sees all of them.
    What goes wrong in training is recorded as the trial's state and not raised: Tune tries again only when
    the process itself dies, which another attempt can mend. When the sweep is requested to stop, the trial ends
    at its next checkpoint, its state still `running`. So it does when the disk is full: no other trial would get
    on either, so the driver gets a report (`STALLED`, beside the last epoch's metrics) and pauses the sweep.
    """
    folder = TrialFolder(Path(trial["folder"]))
    config = parse_config(trial["config"], f"trial {folder.name}")
    sweep = folder.path.parent

    last = reported(0, {}, trial["metric"], trial["mode"])

    def report(step: int, metrics: dict[str, float]) -> None:
        nonlocal last
        last = reported(step, metrics, trial["metric"], trial["mode"])
        tune.report(last)

    def report_or_pause(step: int, metrics: dict[str, float]) -> None:
        report(step, metrics)
        training = config.training
        if step % training.checkpoint_every == 0 and step < training.epochs and stop_request.requested(sweep):
            raise stop_request.Paused

    if stop_request.requested(sweep):
        return
    try:
        for past in folder.reports():
            report(past.step, past.metrics)
        keep_to_share(folder, trial.get("gpus", 0.0), trial.get("context_mb", 0.0))
        fit(
            config,
            folder.path,
            on_report=report_or_pause,
            until=trial.get("until"),
            changes=schedule_changes(folder),
            watched=trial.get("watched", ()),
            command=trial.get("command"),
        )
    except stop_request.Paused:
        return
    except Exception as error:
        if disk_is_full(error):
            with contextlib.suppress(OSError):
                folder.set_state("running", FULL, Cause.DISK_FULL)
            tune.report({**last, STALLED: f"{FULL} ({' '.join(str(error).split())})"})
        else:
            record_failure(folder, config.to_json(), error)


def keep_to_share(folder: TrialFolder, share: float, context_mb: float) -> None:
    """Note on what GPU a trial runs, for the table of memory, and keep it from taking its neighbours' part.

    `context_mb` is what CUDA takes of the share beside PyTorch. Raises LipkdError when that leaves nothing.
    """
    card = cuda.card() if share else None
    if card is None:
        return
    write_json(folder.path / GPU, {"device": card.name, "total_mb": round(card.total_mb, 1), "share": share})
    if share < 1:
        left = share - context_mb / card.total_mb
        if left <= 0:
            raise LipkdError(f"resources.gpus = {share:g}: less than CUDA's own {context_mb:.0f} MiB of a {card.name}")
        cuda.limit(left)


def record_failure(folder: TrialFolder, config: dict[str, Any], error: Exception) -> None:
    """State, configuration and traceback of a trial that failed, wherever it did."""
    if not (folder.path / "config.json").is_file():
        write_json(folder.path / "config.json", config)
    (folder.path / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
    reason = str(error) if type(error).__name__ == "LipkdError" else f"{type(error).__name__}: {error}"
    folder.set_state("failed", " ".join(reason.split()), Cause.OUT_OF_MEMORY if out_of_memory(error) else Cause.ERROR)
