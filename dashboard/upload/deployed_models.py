"""The models that `lipkd deploy` has made: one folder each, with a card that says what it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.notation import percent

CARD = "model.json"


@dataclass(frozen=True)
class Model:
    """A deployed model: its folder, its card in sentences, and its WER (0–1) on its validation clips."""

    folder: Path
    facts: str
    wer: float


def deployed_models(folder: Path) -> dict[str, Model]:
    """The models below `folder` by name, the lowest WER first; what has no card that can be read is no model."""
    models = (_model(path) for path in folder.glob("*/") if not path.name.startswith("."))
    found = sorted(filter(None, models), key=lambda model: (model.wer, model.folder.name))
    return {model.folder.name: model for model in found}


def _model(folder: Path) -> Model | None:
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        origin, metrics = card["origin"], card["metrics"]
        facts = (
            f"Trial {origin['trial']}, peer {int(origin['peer'])} of {int(origin['peers'])}, "
            f"epoch {int(origin['epoch'])}: WER {percent(float(metrics['wer']))} on {int(metrics['clips'])} validation "
            f"clips, {card['cost']['parameters'] / 1e6:.2f} M parameters. {_training(origin)}"
        )
        return Model(folder, facts, float(metrics["wer"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _training(origin: Mapping[str, Any]) -> str:
    """What the model was trained on, as far as its card says, and what that means for other videos."""
    sweep = f"in the sweep {origin['sweep']} " if origin.get("sweep") else ""
    store = f"the clip store {str(origin['store_digest'])[:12]}" if origin.get("store_digest") else "one clip store"
    return (
        f"It was trained {sweep}on clips of {store} only: a video of another kind (drawn mouths or real faces, other "
        "words, another language) is read badly, and its confidence says nothing then."
    )
