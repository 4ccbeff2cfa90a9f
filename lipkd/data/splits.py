"""Who trains and who is held out: a scenario and a seed give train, validation and test clip ids.

The split is made from clip ids before any augmentation. Clips with exactly the same frames (the store names them) lie
on one side, and so do the speakers that are one person: those that `data.same_person` lists together, and those whose
names differ in case or Unicode form only, unless it lists them apart.
"""

import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from lipkd.config.sections import DataConfig
from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError, did_you_mean
from lipkd.text import AUTO, Alphabet, letters_of

PARTS = ("train", "val", "test")


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

    Raises LipkdError when a named speaker or clip is not in the store, when no clip is left to train or to validate on,
    when a clip has no letter to be read, and when `unseen` would hold out a clip and train on its copy.
    """
    clips = _taken(store, data)
    persons = _persons(store, data)
    copies = _copies(store, clips, data)
    if data.scenario == "unseen":
        part = _one_side(store, _by_speaker(store, clips, persons, data), copies, data)
    else:
        part = _by_lot(store, clips, persons, copies, data)
    ids = {name: tuple(c.id for c in clips if part.get(c.id) == name) for name in PARTS}
    for name in ("train", "val"):
        if not ids[name]:
            raise LipkdError(f"data.scenario {data.scenario!r} on {store.path}: the split leaves no clip for {name!r}")
    if data.alphabet != AUTO:
        alphabet = Alphabet(data.alphabet)
        for clip in clips:
            if clip.id in part and not alphabet.letters(clip.text):
                raise LipkdError(
                    f"clip {clip.id} of {store.path}: its transcript {clip.text!r} holds no letter; "
                    "name it in data.exclude"
                )
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
    """All clips but those that `exclude` names, by speaker or by id, and those that `copies: drop` leaves out."""
    names = {name for clip in store.clips for name in (clip.id, clip.speaker)}
    excluded = {unicodedata.normalize("NFC", name) for name in data.exclude}
    if unknown := [name for name in data.exclude if not {name, unicodedata.normalize("NFC", name)} & names]:
        raise LipkdError(f"data.exclude: no speaker or clip {', '.join(unknown)} in {store.path}")
    excluded |= set(data.exclude)
    return [clip for clip in store.clips if not {clip.id, clip.speaker} & excluded]


def _persons(store: ClipStore, data: DataConfig) -> dict[str, str]:
    """Speaker → person, whose name is that of the first speaker that is this person."""
    speakers = store.speakers()
    listed = {name: group for group in data.same_person for name in group}
    if unknown := [name for name in listed if name not in speakers]:
        raise LipkdError(f"data.same_person: no {', '.join(unknown)} in {store.path}; it has {', '.join(speakers)}")
    by_form = {_form(name): group for name, group in reversed(listed.items())}
    first: dict[object, str] = {}
    persons = {}
    for speaker in speakers:
        form = _form(speaker)
        persons[speaker] = first.setdefault(listed.get(speaker, by_form.get(form, form)), speaker)
    return persons


def _form(name: str) -> str:
    """What names that differ in case or Unicode form only have in common."""
    return unicodedata.normalize("NFKC", name).casefold()


def _copies(store: ClipStore, clips: list[Clip], data: DataConfig) -> dict[str, tuple[str, ...]]:
    """Clip → all taken clips with exactly its frames, for clips that have copies; empty where copies are allowed."""
    if data.copies == "allow":
        return {}
    taken = {clip.id for clip in clips}
    groups = (tuple(clip_id for clip_id in group if clip_id in taken) for group in store.copies)
    return {clip_id: group for group in groups if len(group) > 1 for clip_id in group}


def _by_speaker(store: ClipStore, clips: list[Clip], persons: dict[str, str], data: DataConfig) -> dict[str, str]:
    named: dict[str, str] = {}
    for field, part in (("val_speakers", "val"), ("test_speakers", "test")):
        given = [_known(name, persons) for name in getattr(data, field)]
        if missing := [name for name, speaker in zip(getattr(data, field), given, strict=True) if speaker is None]:
            meant = did_you_mean(missing[0], list(persons))
            raise LipkdError(
                f"data.{field}: no {', '.join(missing)} in {store.path}{meant}; it has {', '.join(persons)}"
            )
        for speaker in filter(None, given):
            if named.setdefault(persons[speaker], part) != part:
                raise LipkdError(
                    f"data.{field}: {speaker} is the same person as one of data.val_speakers (data.same_person)"
                )
    return {clip.id: named.get(persons[clip.speaker], "train") for clip in clips}


def _known(name: str, persons: dict[str, str]) -> str | None:
    """The speaker of that name, in whichever Unicode form."""
    forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return next((form for form in forms if form in persons), None)


def _one_side(
    store: ClipStore, part: dict[str, str], copies: dict[str, tuple[str, ...]], data: DataConfig
) -> dict[str, str]:
    """Clip → part with no group of copies on two sides; a group that is goes, as `data.copies` says, or is refused."""
    moved = dict(part)
    for group in dict.fromkeys(copies.values()):
        held = [name for name in ("test", "val") if name in {part[clip] for clip in group}]
        sides = {part[clip] for clip in group}
        if len(sides) == 1:
            continue
        side = held[0]
        kept = next(clip for clip in group if part[clip] == side)
        for clip in group:
            if part[clip] == side:
                continue
            if data.copies is None:
                raise LipkdError(
                    f"data.scenario 'unseen' on {store.path}: clip {clip} ({part[clip]}) has exactly the frames of "
                    f"{kept} ({side}); name it in data.exclude, or set data.copies: drop, keep-together or allow"
                )
            if data.copies == "drop":
                del moved[clip]
            else:
                moved[clip] = side
    return moved


def _by_lot(
    store: ClipStore,
    clips: list[Clip],
    persons: dict[str, str],
    copies: dict[str, tuple[str, ...]],
    data: DataConfig,
) -> dict[str, str]:
    """`random` draws from all clips, `overlapped` the same number from every person. A clip takes its copies along."""
    if data.copies == "drop":
        clips = [clip for clip in clips if copies.get(clip.id, (clip.id,))[0] == clip.id]
        copies = {}
    rng = np.random.default_rng(data.split_seed)
    if data.scenario == "random":
        groups = [clips]
        counts = [(round(data.val_share * len(clips)), round(data.test_share * len(clips)))]
    else:
        own = dict.fromkeys(persons[clip.speaker] for clip in clips)
        groups = [[clip for clip in clips if persons[clip.speaker] == person] for person in own]
        counts = [(data.val_clips, data.test_clips)] * len(groups)
        held = data.val_clips + data.test_clips
        if short := [g[0].speaker for g in groups if len(g) <= held]:
            raise LipkdError(
                f"data.val_clips + data.test_clips = {held}: speaker {short[0]} of {store.path} has no more than that"
            )
    part: dict[str, str] = {}
    for group, (n_val, n_test) in zip(groups, counts, strict=True):
        ids = [clip.id for clip in group]
        here = set(ids)
        free = Counter({"val": n_val, "test": n_test}) - Counter(part[clip] for clip in ids if clip in part)
        for index in rng.permutation(len(ids)):
            clip = ids[index]
            if clip not in part:
                side = next((name for name in ("val", "test") if free[name] > 0), "train")
                together = copies.get(clip, (clip,))
                part |= dict.fromkeys(together, side)
                free[side] -= len(here.intersection(together))
    return part
