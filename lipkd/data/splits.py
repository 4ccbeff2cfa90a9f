"""Who trains and who is held out: a scenario and a seed give train, validation and test clip ids.

The split is made from clip ids before any augmentation, so no copy of a validation clip is ever trained on.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from lipkd.config.sections import DataConfig
from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError, did_you_mean
from lipkd.text import Alphabet, letters_of


@dataclass(frozen=True)
class Split:
    """Clip ids of the three parts, disjoint, each in manifest order."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        return {name: list(ids) for name, ids in asdict(self).items()}


def make_split(store: ClipStore, data: DataConfig) -> Split:
    """Split a store by `data.scenario` and `data.split_seed`.

    Raises LipkdError when a named speaker or clip is not in the store or when no clip is left to train or
    to validate on.
    """
    clips = _taken(store, data)
    part = _by_speaker(store, clips, data) if data.scenario == "unseen" else _by_lot(store, clips, data)
    ids = {n: tuple(c.id for c in clips if part.get(c.id, "train") == n) for n in ("train", "val", "test")}
    for name in ("train", "val"):
        if not ids[name]:
            raise LipkdError(f"data.scenario {data.scenario!r} on {store.path}: the split leaves no clip for {name!r}")
    return Split(**ids)


@lru_cache(maxsize=64)
def training_letters(data: DataConfig) -> str:
    """The letters of the training transcripts of a split, for an alphabet `auto`; raises LipkdError where a held-out
    clip has others. Cached by the configuration, whose digest says what the store holds."""
    store = ClipStore.open(data.store)
    if data.digest not in (None, store.meta["digest"]):
        raise LipkdError(f"clip store {store.path}: holds other clips than when this was planned")
    split = make_split(store, data)
    text = {clip.id: clip.text for clip in store.clips}
    characters = letters_of(text[clip] for clip in split.train)
    alphabet = Alphabet(characters)
    for clip in (*split.val, *split.test):
        if outside := alphabet.outside(text[clip]):
            raise LipkdError(
                f"data.alphabet 'auto': clip {clip}, which is held out, has {outside!r}, and no training clip has; "
                "name it in data.exclude, or write the letters in data.alphabet"
            )
    return characters


def _taken(store: ClipStore, data: DataConfig) -> list[Clip]:
    """All clips but those that `exclude` names, by speaker or by id."""
    names = {name for clip in store.clips for name in (clip.id, clip.speaker)}
    if unknown := [name for name in data.exclude if name not in names]:
        raise LipkdError(f"data.exclude: no speaker or clip {', '.join(unknown)} in {store.path}")
    return [clip for clip in store.clips if not {clip.id, clip.speaker} & set(data.exclude)]


def _by_speaker(store: ClipStore, clips: list[Clip], data: DataConfig) -> dict[str, str]:
    known = store.speakers()
    for field in ("val_speakers", "test_speakers"):
        if missing := [s for s in getattr(data, field) if s not in known]:
            meant = did_you_mean(missing[0], known)
            raise LipkdError(f"data.{field}: no {', '.join(missing)} in {store.path}{meant}; it has {', '.join(known)}")
    named = dict.fromkeys(data.val_speakers, "val") | dict.fromkeys(data.test_speakers, "test")
    return {clip.id: named.get(clip.speaker, "train") for clip in clips}


def _by_lot(store: ClipStore, clips: list[Clip], data: DataConfig) -> dict[str, str]:
    """`random` draws from all clips, `overlapped` the same number from every speaker."""
    rng = np.random.default_rng(data.split_seed)
    if data.scenario == "random":
        groups = [clips]
        counts = [(round(data.val_share * len(clips)), round(data.test_share * len(clips)))]
    else:
        speakers = dict.fromkeys(clip.speaker for clip in clips)
        groups = [[clip for clip in clips if clip.speaker == speaker] for speaker in speakers]
        counts = [(data.val_clips, data.test_clips)] * len(groups)
        held = data.val_clips + data.test_clips
        if short := [g[0].speaker for g in groups if len(g) <= held]:
            raise LipkdError(
                f"data.val_clips + data.test_clips = {held}: speaker {short[0]} of {store.path} has no more than that"
            )
    part: dict[str, str] = {}
    for group, (n_val, n_test) in zip(groups, counts, strict=True):
        order = [group[i].id for i in rng.permutation(len(group))]
        part |= dict.fromkeys(order[:n_val], "val") | dict.fromkeys(order[n_val : n_val + n_test], "test")
    return part
