"""The parts of a trial's configuration: data, network, cohort, training, augmentation, evaluation.

Every field has a range. `lipkd.config.trial_config` puts the parts together, and turns a violation into a sentence.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lipkd.text import AUTO, LETTERS, Alphabet

Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[float, Field(gt=0, le=8)]


class Strict(BaseModel):
    """Frozen, and a field that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Strict):
    """Which clips, and who is held out.

    `random` holds out `val_share` and `test_share` of all clips; `unseen` holds out all clips of
    `val_speakers` and `test_speakers`; `overlapped` holds out `val_clips` and `test_clips` clips of
    every speaker. `crop` (height, width) resizes the store's pictures, `zoom` shows their middle only
    (1/zoom of each side). Clips and speakers named in `exclude` take no part at all. Each list of
    `same_person` names speakers who are one person for the split. Clips with exactly the same frames stay on one side;
    by `copies`, what `unseen` would hold out and train on as well is refused (the default), on the side of training
    left out (`drop`) or held out too (`keep-together`); `drop` takes one clip of each such group in the other
    scenarios; `allow` takes no notice of copies. `alphabet` `auto` stands for the letters of the training
    transcripts. `resolve` (lipkd/training/resolve.py) fills them in, and `digest`, which says what the store
    holds, wherever it lies.
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
    same_person: tuple[tuple[str, ...], ...] = ()
    copies: Literal["drop", "keep-together", "allow"] | None = None
    crop: tuple[Annotated[int, Field(ge=16, le=512)], Annotated[int, Field(ge=16, le=512)]] | None = None
    zoom: float = Field(1.0, ge=1, le=4)
    alphabet: str = LETTERS

    @model_validator(mode="after")
    def _consistent(self) -> "DataConfig":
        if self.alphabet != AUTO:
            Alphabet(self.alphabet)
        if self.scenario == "unseen" and not self.val_speakers:
            raise ValueError("scenario 'unseen' needs data.val_speakers")
        listed = [name for group in self.same_person for name in group]
        if twice := sorted({name for name in listed if listed.count(name) > 1}):
            raise ValueError(f"same_person names {', '.join(twice)} twice")
        if both := set(self.val_speakers) & set(self.test_speakers):
            raise ValueError(f"speakers {sorted(both)} are in val_speakers and in test_speakers")
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share + test_share must stay below 1")
        return self


class NetworkConfig(Strict):
    """A LipNet by name, its channels and hidden units multiplied by `width` (lipkd/model/lipnet.py)."""

    name: Literal["lipnet", "lipnet-256", "lipnet-128"] = "lipnet"
    width: Width = 1.0
    dropout: float = Field(0.2, ge=0, lt=1)


class CohortConfig(Strict):
    """How many peers learn together, and how (lipkd/model/methods). One peer is vanilla, whatever the method.

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
    """Optimisation. `optimizer` moves all weights by AdamW, or the recurrent matrices by Muon
    (lipkd/training/optimizer.py).
    `word_weight` is the strength of the word-level warm start, gone after `word_share` of the epochs (`fading_weight`);
    `patience` 0 means no early stopping; `ema` is the decay per step of the averaged weights that are evaluated and
    kept instead of the trained ones (lipkd/training/ema.py), 0 for none.

    `init_from` is a trial folder or a checkpoint whose best peer is where the peers start, as far as layers fit
    (lipkd/training/init_from.py); all peers but the first mix in `init_spread` of their own fresh weights.
    `resolve` (lipkd/training/resolve.py) fills in `init_digest`, which says what the weights are, wherever they lie."""

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
            raise ValueError("init_digest is the digest of training.init_from, which is missing")
        return self


class EvaluationConfig(Strict):
    """How hypotheses are read, beside greedily: `sentences` is a closed list, of which the likeliest is taken;
    `train` stands for the sentences of the training clips."""

    sentences: Literal["train"] | tuple[str, ...] | None = None


class AugmentConfig(Strict):
    """Augmentation of training clips; every probability or extent 0 turns its part off.

    `flip`: probability of mirroring; `shift`: largest move as a share of each side; `scale`: largest change of size;
    `turn`: largest turn, in degrees; what these bring into the picture is what the store has around it, as far as
    `data.zoom` leaves something there, and beyond that the edge repeated. `jitter`: share of frames dropped or
    doubled; `speed`: largest change of pace; `trim`: probability of cutting silence at both ends; `brightness`,
    `contrast`: largest change; masks: how many, and their largest extent (frames, share of the side).
    """

    flip: Share = 0.5
    shift: float = Field(0.06, ge=0, le=0.5)
    scale: float = Field(0.0, ge=0, le=0.5)
    turn: float = Field(0.0, ge=0, le=45)
    jitter: float = Field(0.05, ge=0, le=0.5)
    speed: float = Field(0.1, ge=0, le=0.5)
    trim: Share = 0.8
    brightness: float = Field(0.2, ge=0, le=1)
    contrast: float = Field(0.2, ge=0, le=0.9)
    time_masks: int = Field(2, ge=0, le=20)
    time_mask_frames: int = Field(6, ge=1, le=1000)
    patch_masks: int = Field(1, ge=0, le=20)
    patch_mask_share: float = Field(0.3, gt=0, le=1)
