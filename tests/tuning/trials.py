"""Trial folders as the training loop leaves them, without training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.files import write_json
from lipkd.trial import Cause, State, TrialFolder

BEGAN = 1_760_000_000.0


def trial_config(**changes: Any) -> TrialConfig:
    """A configuration of three epochs; `changes` are merged into it, section by section."""
    content: dict[str, Any] = {"data": {"store": "/stores/tiny"}, "training": {"epochs": 3, "batch_size": 4}}
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return parse_config(content)


def journal_line(step: int, wer: float, *, time: float | None = None) -> str:
    metrics = {"val/wer": wer, "val/cer": wer / 2, "best/wer": wer, "best/cer": wer / 2, "time/epoch_s": 6.0}
    return json.dumps({"step": step, "time": BEGAN + 10 * step if time is None else time, "metrics": metrics}) + "\n"


def write_trial(
    sweep: Path,
    wers: Sequence[float],
    *,
    config: TrialConfig | None = None,
    state: State = "running",
    reason: str = "",
    cause: Cause | None = None,
    name: str | None = None,
) -> TrialFolder:
    """A trial that has reported these error rates, one per epoch, ten seconds apart; files when it has ended."""
    config = config or trial_config()
    folder = TrialFolder(sweep / (name or config.trial_name()))
    write_json(folder.path / "config.json", config.to_json())
    write_json(folder.path / "split.json", {"train": ["a/1"], "val": ["b/1"], "test": [], "store_digest": "d1"})
    folder.journal.write_text("".join(journal_line(i, wer) for i, wer in enumerate(wers, 1)), encoding="utf-8")
    folder.set_state(state, reason, cause)
    if state in ("finished", "stopped"):
        for path in (folder.predictions("best"), folder.posteriors, folder.checkpoint("best")):
            path.parent.mkdir(exist_ok=True)
            row = {"id": "b/1", "reference": "a", "hypotheses": ["a"], "ensemble": "a"}
            path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return folder
