"""What is in a clip store, in numbers: the facts that `lipkd inspect` shows."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lipkd.data.store import Clip, ClipStore, Frames
from lipkd.errors import LipkdError
from lipkd.files import read_jsonl
from lipkd.text import LETTERS, Alphabet

LOOKS = 5  # frames of a clip that its brightness is taken from: from end to end, evenly
DARK, BRIGHT = 30.0, 225.0  # mean grey level beyond which a clip shows next to nothing
SHORT = 2  # frames; the network cannot see a shorter word
LONG_S = 2.0  # seconds; more likely a word with a pause in it


@dataclass(frozen=True)
class SpeakerFacts:
    """One speaker: clips, their length, mean grey level and that of the darkest and brightest clip (0–255).

    `face_found` is the share of frames in which the face was found, None where nobody looked for one.
    """

    name: str
    clips: int
    seconds: float
    brightness: float
    darkest: float
    brightest: float
    face_found: float | None


@dataclass(frozen=True)
class Finding:
    """Something to look at before training, and the clips that have it."""

    what: str
    clips: tuple[str, ...]


@dataclass(frozen=True)
class StoreFacts:
    """A store in numbers. `word_frames` are the lengths of all words in frames; `rejects` count kinds of reason."""

    name: str
    clips: int
    seconds: float
    size: tuple[int, int, int]
    mean: tuple[float, ...]
    speakers: tuple[SpeakerFacts, ...]
    durations: tuple[float, ...]
    words: tuple[tuple[str, int], ...]
    word_frames: tuple[int, ...]
    as_written: tuple[tuple[str, int], ...]
    rejects: tuple[tuple[str, int, str], ...]
    findings: tuple[Finding, ...]


def gather(store: ClipStore, alphabet: Alphabet | None = None) -> StoreFacts:
    """The facts of a store; raises LipkdError when a file beside the manifest cannot be read."""
    alphabet = alphabet or Alphabet(store.alphabet or LETTERS)
    seen = {row["id"]: row for row in _rows(store, "seen.jsonl") if isinstance(row.get("id"), str)}
    greys = {clip.id: _grey(store.read(clip)) for clip in store.clips}
    of_speaker: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in store.clips:
        of_speaker[clip.speaker].append(clip)
    words = Counter(word for clip in store.clips for word in alphabet.letters(clip.text).split())
    characters = Counter(c for clip in store.clips for c in clip.text if c not in alphabet.characters)
    return StoreFacts(
        name=store.path.name,
        clips=len(store.clips),
        seconds=sum(map(_seconds, store.clips)),
        size=(store.meta["height"], store.meta["width"], store.meta["channels"]),
        mean=tuple(store.meta["mean"]),
        speakers=tuple(_speaker(name, clips, greys, seen) for name, clips in of_speaker.items()),
        durations=tuple(map(_seconds, store.clips)),
        words=tuple(words.most_common()),
        word_frames=tuple(end - first for clip in store.clips for _, first, end in clip.words),
        as_written=tuple(characters.most_common()),
        rejects=tuple(_rejects(_rows(store, "rejects.jsonl"))),
        findings=tuple(_findings(store, alphabet, greys, seen)),
    )


def _rows(store: ClipStore, name: str) -> list[dict[str, Any]]:
    path = store.path / name
    try:
        return list(read_jsonl(path)) if path.is_file() else []
    except ValueError as error:
        raise LipkdError(str(error)) from error


def _seconds(clip: Clip) -> float:
    return clip.n_frames / clip.fps


def _grey(frames: Frames) -> float:
    return float(frames[np.linspace(0, len(frames) - 1, LOOKS).round().astype(int)].mean())


def _speaker(name: str, clips: list[Clip], greys: dict[str, float], seen: dict[str, dict[str, Any]]) -> SpeakerFacts:
    own = [greys[clip.id] for clip in clips]
    found = [(seen[clip.id]["face_found"], clip.n_frames) for clip in clips if "face_found" in seen.get(clip.id, {})]
    frames = sum(n for _, n in found)
    return SpeakerFacts(
        name=name,
        clips=len(clips),
        seconds=sum(map(_seconds, clips)),
        brightness=sum(own) / len(own),
        darkest=min(own),
        brightest=max(own),
        face_found=sum(share * n for share, n in found) / frames if frames else None,
    )


def _rejects(rows: Iterable[dict[str, Any]]) -> Iterable[tuple[str, int, str]]:
    """(kind of reason, how many, an example), most frequent first; a reason is `kind: detail`."""
    kinds: Counter[str] = Counter()
    example: dict[str, str] = {}
    for row in rows:
        kind = str(row.get("reason", "")).partition(":")[0]
        kinds[kind] += 1
        example.setdefault(kind, f"{row.get('id')}: {row.get('reason')}")
    return [(kind, count, example[kind]) for kind, count in kinds.most_common()]


def _findings(
    store: ClipStore, alphabet: Alphabet, greys: dict[str, float], seen: dict[str, dict[str, Any]]
) -> Iterable[Finding]:
    """All that is odd, worst first; nothing for what is as it should be."""
    clips = store.clips

    def lengths(clip: Clip) -> list[int]:
        return [end - first for _, first, end in clip.words]

    outside = {clip.id: alphabet.outside(clip.text) for clip in clips}
    missing = "".join(sorted(set("".join(outside.values()))))
    folded = {clip.id: {f"{letter} as {form}" for letter, form in alphabet.folded(clip.text)} for clip in clips}
    forms = ", ".join(sorted(set().union(*folded.values())))
    copied = {clip_id for group in store.copies for clip_id in group}
    for what, odd in (
        (
            "only some of the clips (prepare --limit): the corpus has more",
            list(clips) if store.meta.get("limit") else [],
        ),
        (f"letters outside the alphabet: {missing}", [c for c in clips if outside[c.id]]),
        (f"letters that the alphabet lacks, read as {forms}", [c for c in clips if folded[c.id]]),
        ("copies of other clips, frame by frame", [c for c in clips if c.id in copied]),
        ("no transcript", [c for c in clips if not alphabet.letters(c.text)]),
        ("no word times", [c for c in clips if not c.words]),
        (
            "word times of other words than the transcript's",
            [c for c in clips if c.words and [w for w, _, _ in c.words] != c.text.split()],
        ),
        ("words of no length", [c for c in clips if 0 in lengths(c)]),
        (f"words under {SHORT} frames", [c for c in clips if any(0 < n < SHORT for n in lengths(c))]),
        (f"words over {LONG_S:g} s", [c for c in clips if any(n > LONG_S * c.fps for n in lengths(c))]),
        ("words outside the clip", [c for c in clips if any(end > c.n_frames for _, _, end in c.words)]),
        (f"dark (mean grey under {DARK:g})", [c for c in clips if greys[c.id] < DARK]),
        (f"overexposed (mean grey over {BRIGHT:g})", [c for c in clips if greys[c.id] > BRIGHT]),
        (
            "face missed in more than a tenth of the frames",
            [c for c in clips if seen.get(c.id, {}).get("face_found", 1) < 0.9],
        ),
        ("other faces in the picture", [c for c in clips if seen.get(c.id, {}).get("other_faces")]),
    ):
        if odd:
            yield Finding(what, tuple(clip.id for clip in odd))
