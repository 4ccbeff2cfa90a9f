"""The configuration of one trial: validated once, frozen, saved beside what it produced.

Every field has a range; `load_config` and `parse_config` turn a violation into one sentence that
names the field, the value and what is allowed.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from lipkd.config.sections import (
    AugmentConfig,
    CohortConfig,
    DataConfig,
    EvaluationConfig,
    NetworkConfig,
    Strict,
    TrainingConfig,
)
from lipkd.config.yaml_file import load_yaml
from lipkd.errors import LipkdError, did_you_mean
from lipkd.text import AUTO, Alphabet, letters

Model = TypeVar("Model", bound=BaseModel)
MOST_FAULTS = 5  # of a configuration that are told at once

# Where and how often, not what: these never change the numbers. What `data.store` holds is in `data.digest`, what
# `training.init_from` holds in `training.init_digest`.
MACHINE = ("data.store", "training.device", "training.threads", "training.checkpoint_every", "training.init_from")


# What the training loop reads anew in every epoch. Shapes, batches, the split, the number of epochs and what is a
# share of them hold for the whole training.
MAY_CHANGE = (
    *(f"training.{name}" for name in ("learning_rate", "weight_decay", "clip_norm", "word_weight")),
    *("cohort.weight", "cohort.temperature", "network.dropout"),
    *(f"augment.{name}" for name in AugmentConfig.model_fields),
)
PARTS: dict[str, type[Strict]] = {
    "network": NetworkConfig,
    "cohort": CohortConfig,
    "training": TrainingConfig,
    "augment": AugmentConfig,
}


def changeable(key: str, value: Any) -> int | float:
    """A value that a schedule may give to a dotted key, as its field takes it; raises ValueError with a sentence."""
    if key not in MAY_CHANGE:
        raise ValueError(f"{key} cannot change in mid-training; what can: {', '.join(MAY_CHANGE)}")
    part, _, name = key.partition(".")
    try:
        taken: int | float = getattr(PARTS[part].model_validate({name: value}), name)
    except ValidationError as error:
        raise ValueError(f"{part}.{_sentence(error.errors()[0])}") from None
    return taken


class Change(Strict):
    """A step of a schedule: dotted keys of MAY_CHANGE and their values from the epoch that follows `after` on."""

    after: int = Field(ge=1)
    values: dict[str, int | float] = Field(min_length=1)

    @field_validator("values", mode="before")
    @classmethod
    def _taken(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("give a mapping from dotted keys, like training.learning_rate, to numbers")
        return {str(key): changeable(str(key), item) for key, item in value.items()}


class TrialConfig(Strict):
    """One trial: everything needed to train it again, whole. `schedule` changes some of it between two epochs
    (lipkd/config/schedule.py)."""

    seed: int = Field(0, ge=0, lt=2**31)
    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    cohort: CohortConfig = CohortConfig()
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    schedule: tuple[Change, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> "TrialConfig":
        after = [change.after for change in self.schedule]
        if any(later <= earlier for earlier, later in itertools.pairwise(after)):
            raise ValueError(f"schedule changes after epochs {after}: they must rise, and each may be named once")
        if after and after[-1] >= self.training.epochs:
            raise ValueError(f"schedule changes after epoch {after[-1]}, and training ends at {self.training.epochs}")
        if not self.training.word_weight and any(c.values.get("training.word_weight") for c in self.schedule):
            raise ValueError("schedule raises training.word_weight from 0, and a trial that begins with 0 has no words")
        return self

    @model_validator(mode="after")
    def _sayable(self) -> "TrialConfig":
        for sentence in self.evaluation.sentences or ():
            if self.evaluation.sentences != "train" and self.data.alphabet != AUTO:
                Alphabet(self.data.alphabet).encode(sentence)
        return self

    def closed_list(self, transcripts: Iterable[str]) -> tuple[str, ...]:
        """The sentences to choose from, given those of the training clips; empty when there is no closed list."""
        sentences = self.evaluation.sentences
        if sentences == "train":
            return tuple(sorted({letters(text, self.data.alphabet) for text in transcripts}))
        return sentences or ()

    @property
    def widths(self) -> tuple[float, ...]:
        """The width of every peer."""
        return self.cohort.widths or (self.network.width,) * self.cohort.peers

    @property
    def views(self) -> int:
        """How many augmentations of each clip a training batch shows: one for all peers, or one for each."""
        per_peer = self.cohort.views == "per-peer" or self.cohort.method == "consistency"
        return self.cohort.peers if per_peer else 1

    @property
    def shown(self) -> AugmentConfig:
        """The augmentation as it is done: with more time masks where peers of `consistency` see views of their own."""
        if self.cohort.method != "consistency" or self.cohort.peers == 1:
            return self.augment
        masks = math.floor(self.augment.time_masks * self.cohort.time_mask_factor + 0.5)
        return self.augment.model_copy(update={"time_masks": masks})

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def flat(self) -> dict[str, str]:
        """All fields by dotted name: words as they are, the rest as JSON."""
        return _flat(self.to_json())

    def identity(self) -> str:
        """What decides the numbers, as text: what the store holds and not where it lies, for instance; device and
        thread count are not part of it either. Two configurations are the same trial when theirs are equal.

        Fields at their defaults are left out, so that a new field does not make old trials strangers; so is
        the method of a single peer, which has nobody to learn from.
        """
        value = self.model_dump(mode="json", exclude_defaults=True)
        for field in MACHINE:
            part, _, name = field.partition(".")
            value.get(part, {}).pop(name, None)
        if self.data.digest is None:  # nothing else tells what the clips are
            value["data"]["store"] = self.data.store
        if self.cohort.peers == 1 or self.training.init_from is None:
            value.get("training", {}).pop("init_spread", None)
        if self.cohort.peers == 1 and "cohort" in value:
            value["cohort"] = {name: part for name, part in value["cohort"].items() if name == "widths"}
        value.get("cohort", {}).pop("views" if self.cohort.method == "consistency" else "time_mask_factor", None)
        value = {name: part for name, part in value.items() if part != {}}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    def signature(self) -> str:
        """Twelve hex digits of `identity`, for names."""
        return hashlib.sha256(self.identity().encode()).hexdigest()[:12]

    def trial_name(self) -> str:
        """A folder name that says what the trial is: method, peers, width, batch size, seed, signature."""
        widths = "+".join(f"{w:g}" for w in dict.fromkeys(self.widths))
        kind = "vanilla" if self.cohort.peers == 1 else f"{self.cohort.method}-p{self.cohort.peers}"
        return f"{kind}-w{widths}-b{self.training.batch_size}-s{self.seed}-{self.signature()}"


def parse_config(value: Any, where: str = "configuration") -> TrialConfig:
    """A TrialConfig from plain data; raises LipkdError with one sentence that names every bad field.

    It reads no file: what stands in the store and in other trials is filled in by lipkd/training/resolve.py.
    """
    return validate(TrialConfig, value, where)


def validate(model: type[Model], value: Any, where: str) -> Model:
    """`model` from plain data; raises LipkdError in words instead of pydantic's listing."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors()
        more = f"; and {len(found) - MOST_FAULTS} more" if len(found) > MOST_FAULTS else ""
        told = "; ".join(_sentence(item, model) for item in found[:MOST_FAULTS])
        raise LipkdError(f"{where}: {told}{more}") from error


def _sentence(item: Any, model: type[BaseModel] | None = None) -> str:
    field = ".".join(str(part) for part in item["loc"]) or "whole"
    if item["type"] == "extra_forbidden":
        known = _dotted_fields(model) if model else []
        elsewhere = [name for name in known if name.rpartition(".")[2] == item["loc"][-1]]
        return f"{field} is not a known field{did_you_mean(field, elsewhere or known)}"
    if item["type"] == "missing":
        return f"{field} is missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{field}: {message}"
    given = repr(item["input"])
    return f"{field} = {given if len(given) <= 100 else given[:99] + '…'}: {message[0].lower()}{message[1:]}"


def _dotted_fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, info in model.model_fields.items():
        names.append(prefix + name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            names += _dotted_fields(info.annotation, f"{prefix}{name}.")
    return names


def load_config(path: str | Path) -> TrialConfig:
    """A TrialConfig from a YAML or JSON file; relative paths in it are relative to the working folder."""
    return parse_config(load_yaml(path), str(path))


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = item if isinstance(item, str) else json.dumps(item)
    return flat


def differing_fields(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the leaves in which two configurations differ."""
    names = []
    for key in {**one, **other}:
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += differing_fields(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(prefix + key)
    return names
