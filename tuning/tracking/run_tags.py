"""What a trial's run says of it as tags, whose run it is, and which files go to it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lipkd.config.trial_config import TrialConfig
from lipkd.errors import LipkdError
from lipkd.trial import TrialFolder
from tuning.sweep_folder import SweepRecord, load

AT_ONCE = ("config.json", "split.json", "lineage.jsonl", "provenance.json")  # sent before the trial has ended
PREDICTIONS: tuple[Literal["last", "best", "test"], ...] = ("last", "best", "test")
# The file that has all of a tag that is too long for MLflow.
WHOLE_IN = {"lipkd.reason": "failure.txt", "lipkd.command": "provenance.json", "lipkd.versions": "provenance.json"}


def fixed_tags(trial: TrialFolder, config: TrialConfig) -> dict[str, str]:
    """Tags that never change."""
    return {
        "lipkd.trial": trial.name,
        "method": config.cohort.method,
        "peers": str(config.cohort.peers),
        "width": "+".join(f"{w:g}" for w in dict.fromkeys(config.widths)),
        "batch_size": str(config.training.batch_size),
        "seed": str(config.seed),
    }


def current_tags(trial: TrialFolder, config: TrialConfig, state: dict[str, Any], status: str) -> dict[str, str]:
    """Tags that follow the trial: its state, where it and its store lie now, and what its last start was made with.

    Where and with what it was trained comes from the trial's own record (lipkd/runtime/provenance.py), never from the
    machine that syncs; a trial without a record has no such tags. Raises LipkdError that names a damaged file.
    """
    tags = {
        "lipkd.state": status,
        "lipkd.reason": str(state["reason"]),
        "lipkd.store": str(trial.store()),
        "lipkd.store_digest": str(trial.split().get("store_digest", "")),
        "lipkd.folder": str(trial.path.absolute()),
    }
    if incomparable := trial.incomparable_reason():
        tags |= {"lipkd.comparable": "false", "lipkd.incomparable_reason": incomparable}
    starts = trial.provenance()
    if starts:
        tags |= provenance_tags(starts[-1], trial.provenance_file)
    return tags


def provenance_tags(start: Any, file: Path) -> dict[str, str]:
    """Source, machine, command and versions of a start; raises LipkdError for an entry that lacks them."""
    try:
        return {
            "commit": str(start["commit"]),
            "lipkd.host": str(start["host"]),
            "lipkd.command": str(start["command"]),
            "lipkd.versions": ", ".join(f"{name} {version}" for name, version in start["versions"].items()),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise LipkdError(f"{file}: damaged (the last start lacks {error}); remove it") from error


def artifacts(trial: TrialFolder) -> Iterator[tuple[str, Path]]:
    """Files of a trial that go to MLflow: name there, path here."""
    predictions = sorted((trial.path / "predictions").glob("[!.]*"))
    alone = [trial.path / name for name in (*AT_ONCE, "init_report.json", "failure.txt")]
    for path in (*alone, *predictions, trial.checkpoint("best")):
        if path.is_file():
            yield str(path.relative_to(trial.path)), path


def refuse_damaged(trial: TrialFolder, name: str) -> None:
    """Raises LipkdError for a file of predictions that is damaged; it would be shown as the trial's in MLflow."""
    for which in PREDICTIONS:
        if name == f"predictions/{which}.jsonl":
            trial.read_predictions(which)


def original_of_trial(tags: dict[str, str], trial: TrialFolder, config: TrialConfig, mlruns: Path | None) -> str:
    """The folder of the trial that a run with these tags is of, when `trial` is a copy of it; else empty.

    A run is of the folder in its tag `lipkd.folder`. Where that folder is gone, the project was moved, and the run goes
    with it. `mlruns` is the tracking folder whose own database is synced to: it was copied together with what lies in
    it, so a run in it is not of a folder elsewhere.
    """
    there = tags.get("lipkd.folder", "")
    if not _is_another(there, trial.path, mlruns) or not Path(there, "config.json").is_file():
        return ""
    try:
        same = TrialFolder(Path(there)).config().identity() == config.identity()
    except LipkdError:
        same = True  # damaged, and there
    return there if same else ""


def original_of_sweep(tags: dict[str, str], record: SweepRecord, mlruns: Path | None) -> str:
    """The same of a sweep: a copy of a sweep was planned at the same moment. Trials without a record have none."""
    there = tags.get("lipkd.folder", "")
    if not record.created or not _is_another(there, record.folder, mlruns):
        return ""
    try:
        same = load(Path(there)).created == record.created
    except LipkdError:
        same = Path(there, "sweep.json").is_file()
    return there if same else ""


def _is_another(there: str, here: Path, mlruns: Path | None) -> bool:
    if not there or not Path(there).is_dir() or os.path.samefile(there, here):
        return False
    if mlruns is None or not here.resolve().is_relative_to(mlruns.resolve()):
        return True
    return Path(there).resolve().is_relative_to(mlruns.resolve())
