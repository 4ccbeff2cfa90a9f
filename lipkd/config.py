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
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lipkd.errors import LipkdError
from lipkd.store import store_digest
from lipkd.text import LETTERS, Alphabet, letters

Model = TypeVar("Model", bound=BaseModel)
Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[float, Field(gt=0, le=8)]


# Where and how often, not what: these never change the numbers. What `data.store` holds is in `data.digest`, what
# `training.init_from` holds in `training.init_digest`.
MACHINE = ("data.store", "training.device", "training.threads", "training.checkpoint_every", "training.init_from")


class Strict(BaseModel):
    """Frozen, and a field that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Strict):
    """Which clips, and who is held out.

    `random` holds out `val_share` and `test_share` of all clips; `unseen` holds out all clips of
    `val_speakers` and `test_speakers`; `overlapped` holds out `val_clips` and `test_clips` clips of
    every speaker. `crop` (height, width) resizes the store's pictures, `zoom` shows their middle only
    (1/zoom of each side). Clips and speakers named in `exclude` take no part at all. `parse_config` fills in
    `digest`, which says what the store holds, wherever it lies.
    """

    store: str
    digest: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    scenario: Literal["random", "unseen", "overlapped"] = "random"
    split_seed: int = Field(0, ge=0)
    val_speakers: tuple[str, ...] = ()
    test_speakers: tuple[str, ...] = ()
    val_clips: int = Field(2, ge=1)
    test_clips: int = Field(0, ge=0)
    val_share: Share = 0.1
    test_share: Share = 0.0
    exclude: tuple[str, ...] = ()
    crop: tuple[Annotated[int, Field(ge=16, le=512)], Annotated[int, Field(ge=16, le=512)]] | None = None
    zoom: float = Field(1.0, ge=1, le=4)
    alphabet: str = LETTERS

    @model_validator(mode="after")
    def _consistent(self) -> "DataConfig":
        Alphabet(self.alphabet)
        if self.scenario == "unseen" and not self.val_speakers:
            raise ValueError("scenario 'unseen' needs data.val_speakers")
        if both := set(self.val_speakers) & set(self.test_speakers):
            raise ValueError(f"speakers {sorted(both)} are in val_speakers and in test_speakers")
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share + test_share must stay below 1")
        return self


class NetworkConfig(Strict):
    """A LipNet by name, its channels and hidden units multiplied by `width` (lipkd/network.py)."""

    name: Literal["lipnet", "lipnet-256", "lipnet-128"] = "lipnet"
    width: Width = 1.0
    dropout: float = Field(0.2, ge=0, lt=1)


class CohortConfig(Strict):
    """How many peers learn together, and how (lipkd/methods). One peer is vanilla, whatever the method.

    `weight` is λ: 0 for the first `start_share` of the epochs, then rising to its full value within
    `ramp_share` of them (see `distill_weight`); `temperature` is τ. `widths` gives each
    peer its own multiplier instead of `network.width`. `frames` says which frames of a target teach:
    `all`, only its `spikes` (no blank), or a `window` of `window` frames on either side of each spike.
    `views` says whether all peers see the same augmentation of a clip or each its own; in `consistency` it
    is each its own, with `time_mask_factor` times as many time masks as `augment.time_masks`.
    """

    method: Literal[
        "independent",
        "dml",
        "kdcl-mean",
        "kdcl-best-loss",
        "kdcl-min-logit",
        "attention",
        "one",
        "sequence",
        "consistency",
    ] = "independent"
    peers: int = Field(1, ge=1, le=8)
    widths: tuple[Width, ...] | None = None
    weight: float = Field(1.0, ge=0, le=100)
    temperature: float = Field(3.0, gt=0, le=100)
    start_share: Share = 0.0
    ramp_share: Share = 0.3
    frames: Literal["all", "spikes", "window"] = "all"
    window: int = Field(2, ge=1, le=50)
    views: Literal["shared", "per-peer"] = "shared"
    time_mask_factor: float = Field(2.5, ge=0, le=20)

    @model_validator(mode="after")
    def _consistent(self) -> "CohortConfig":
        if self.widths is not None and len(self.widths) != self.peers:
            raise ValueError(f"cohort.widths lists {len(self.widths)} widths for {self.peers} peers")
        if self.method == "one" and len(set(self.widths or ())) > 1:
            raise ValueError("cohort.widths must be all the same for method 'one', whose peers share a trunk")
        return self


class TrainingConfig(Strict):
    """Optimisation. `optimizer` moves all weights by AdamW, or the recurrent matrices by Muon (lipkd/optimizer.py).
    `word_weight` is the strength of the word-level warm start, gone after `word_share`
    of the epochs (`fading_weight`); `patience` 0 means no early stopping; `ema` is the decay per step of the
    averaged weights that are evaluated and kept instead of the trained ones (lipkd/averaging.py), 0 for none.

    `init_from` is a trial folder or a checkpoint whose best peer is where the peers start, as far as layers fit
    (lipkd/initial.py); all peers but the first mix in `init_spread` of their own fresh weights. `parse_config`
    fills in `init_digest`, which says what the weights are, wherever they lie."""

    epochs: int = Field(100, ge=1, le=100_000)
    batch_size: int = Field(8, ge=1, le=4096)
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = Field(6e-4, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0, le=1)
    warmup_share: Share = 0.1
    clip_norm: float = Field(5.0, gt=0)
    word_weight: float = Field(1.0, ge=0, le=100)
    word_share: Share = 0.5
    ema: float = Field(0.0, ge=0, lt=1)
    init_from: str | None = None
    init_digest: str | None = Field(None, pattern="^[0-9a-f]{16}$")
    init_spread: Share = 0.1
    patience: int = Field(0, ge=0)
    checkpoint_every: int = Field(1, ge=1)
    precision: Literal["auto", "float32", "bf16"] = "auto"
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    threads: int = Field(0, ge=0, le=1024)

    @model_validator(mode="after")
    def _consistent(self) -> "TrainingConfig":
        if self.init_digest and not self.init_from:
            raise ValueError("init_digest says what is in training.init_from, which is missing")
        return self


class EvaluationConfig(Strict):
    """How hypotheses are read, beside greedily: `sentences` is a closed list, of which the likeliest is taken;
    `train` stands for the sentences of the training clips."""

    sentences: Literal["train"] | tuple[str, ...] | None = None


class AugmentConfig(Strict):
    """Augmentation of training clips; every probability or extent 0 turns its part off.

    `flip`: probability of mirroring; `shift`: largest move as a share of each side; `jitter`: share of
    frames dropped or doubled; `speed`: largest change of pace; `trim`: probability of cutting silence
    at both ends; `brightness`, `contrast`: largest change; masks: how many, and their largest extent
    (frames, share of the side).
    """

    flip: Share = 0.5
    shift: float = Field(0.06, ge=0, le=0.5)
    jitter: float = Field(0.05, ge=0, le=0.5)
    speed: float = Field(0.1, ge=0, le=0.5)
    trim: Share = 0.8
    brightness: float = Field(0.2, ge=0, le=1)
    contrast: float = Field(0.2, ge=0, le=0.9)
    time_masks: int = Field(2, ge=0, le=20)
    time_mask_frames: int = Field(6, ge=1, le=1000)
    patch_masks: int = Field(1, ge=0, le=20)
    patch_mask_share: float = Field(0.3, gt=0, le=1)


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
    (lipkd/schedule.py)."""

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
            if self.evaluation.sentences != "train":
                Alphabet(self.data.alphabet).encode(sentence)
        return self

    def closed_list(self, transcripts: Iterable[str]) -> tuple[str, ...]:
        """The sentences to choose from, given those of the training clips; empty when there is no closed list."""
        sentences = self.evaluation.sentences
        return tuple(sorted({letters(t) for t in transcripts})) if sentences == "train" else sentences or ()

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

    def signature(self) -> str:
        """Eight hex digits of what decides the numbers: what the store holds and not where it lies, for instance;
        device and thread count are not part of it either.

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
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def trial_name(self) -> str:
        """A folder name that says what the trial is: method, peers, width, batch size, seed, signature."""
        widths = "+".join(f"{w:g}" for w in dict.fromkeys(self.widths))
        kind = "vanilla" if self.cohort.peers == 1 else f"{self.cohort.method}-p{self.cohort.peers}"
        return f"{kind}-w{widths}-b{self.training.batch_size}-s{self.seed}-{self.signature()}"


def parse_config(value: Any, where: str = "configuration") -> TrialConfig:
    """A TrialConfig from plain data; raises LipkdError with one sentence that names every bad field.

    The digests of the clip store and of the weights to start from, if any, are looked up; a configuration that has
    them, such as every one on disk, can be read where store and weights are not. A store that is missing is no
    error here.
    """
    config = validate(TrialConfig, value, where)
    if config.data.digest is None and (digest := store_digest(config.data.store)):
        config = config.model_copy(update={"data": config.data.model_copy(update={"digest": digest})})
    if config.training.init_from is None or config.training.init_digest is not None:
        return config
    from lipkd.initial import weights_digest  # torch, for those alone who need it

    try:
        digest = weights_digest(config.training.init_from)
    except LipkdError as error:
        raise LipkdError(f"{where}: {error}") from error
    return config.model_copy(update={"training": config.training.model_copy(update={"init_digest": digest})})


def validate(model: type[Model], value: Any, where: str) -> Model:
    """`model` from plain data; raises LipkdError in words instead of pydantic's listing."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise LipkdError(f"{where}: " + "; ".join(_sentence(item) for item in error.errors())) from error


def _sentence(item: Any) -> str:
    field = ".".join(str(part) for part in item["loc"]) or "whole"
    if item["type"] == "extra_forbidden":
        return f"{field} is not a known field"
    if item["type"] == "missing":
        return f"{field} is missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{field}: {message}"
    return f"{field} = {item['input']!r}: {message[0].lower()}{message[1:]}"


def load_yaml(path: str | Path) -> Any:
    """The content of a YAML file; raises LipkdError when it is missing or not YAML."""
    path = Path(path)
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise LipkdError(f"{path}: cannot be read ({reason})") from error
    except yaml.YAMLError as error:
        raise LipkdError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error


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
