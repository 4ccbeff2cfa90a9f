"""The models that `lipkd deploy` has made: one folder each, with a card that says what it is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.notation import percent

CARD = "model.json"


@dataclass(frozen=True)
class Model:
    """A deployed model: its folder, and its card in a sentence."""

    folder: Path
    facts: str


def deployed_models(folder: Path) -> dict[str, Model]:
    """The models below `folder` by name; what has no card that can be read is no model."""
    found = {}
    for path in sorted(folder.glob("*/")):
        if not path.name.startswith(".") and (facts := _facts(path / CARD)):
            found[path.name] = Model(path, facts)
    return found


def _facts(path: Path) -> str:
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        origin, metrics = card["origin"], card["metrics"]
        return (
            f"Trial {origin['trial']}, peer {int(origin['peer'])} of {int(origin['peers'])}, "
            f"epoch {int(origin['epoch'])}: WER {percent(float(metrics['wer']))} on {int(metrics['clips'])} validation "
            f"clips, {card['cost']['parameters'] / 1e6:.2f} M parameters."
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""
