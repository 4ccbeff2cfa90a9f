"""Which clips are hard: what many trials have read of each, counted.

A clip counts where it was read: trials of one sweep may be validated on different clips.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.errors.word_edits import Comparison, compare_all, corpus_rates, rate
from dashboard.tracking.records import Prediction

MISSED = 3  # words that are named for a clip
MOST_REASONS = 3  # why a trial is left out


@dataclass(frozen=True)
class Reading:
    """What a trial read of a clip: edits and words, its hypothesis in letters, and the words that it lacks."""

    edits: int
    words: int
    reference: str
    hypothesis: str
    missed: tuple[str, ...]

    @property
    def wer(self) -> float:
        return rate(self.edits, self.words)


@dataclass(frozen=True)
class Readings:
    """What one voice of a trial (`peer 0`, …) read, by clip id."""

    voice: str
    clips: Mapping[str, Reading]


@dataclass(frozen=True)
class HardClip:
    """A clip over the trials that have read it: `wrong` of `read` not word for word; `best` is the place of the trial
    with the `lowest_wer` (the first of several). `missed` are the words that most lack, with in how many trials;
    `hypothesis` the wrong one that most have, in `alike` trials."""

    clip: str
    reference: str
    wrong: int
    read: int
    mean_wer: float
    lowest_wer: float
    best: int
    missed: tuple[tuple[str, int], ...]
    hypothesis: str
    alike: int


def readings(predictions: Sequence[Prediction]) -> Readings:
    """What the peer with the lowest WER read (ties by CER, then the first): the one that Replay shows at first."""
    references = [prediction.reference for prediction in predictions]
    peers = range(len(predictions[0].hypotheses) if predictions else 0)
    said = {f"peer {i}": compare_all(references, [p.hypotheses[i] for p in predictions]) for i in peers}
    voice = min(said, key=lambda name: corpus_rates(said[name]), default="")
    rows = zip(predictions, said.get(voice, ()), strict=True)
    return Readings(voice, {p.clip_id: _reading(p.reference, comparison) for p, comparison in rows})


def _reading(reference: str, comparison: Comparison) -> Reading:
    return Reading(
        edits=comparison.word_edits,
        words=comparison.words,
        reference=reference,
        hypothesis=" ".join(edit.hypothesis for edit in comparison.edits if edit.hypothesis),
        missed=tuple(edit.reference for edit in comparison.edits if edit.reference and edit.kind != "equal"),
    )


def hard_clips(trials: Sequence[Readings]) -> list[HardClip]:
    """Every clip that a trial has read, the hardest first: by the share of trials that read it wrong, then by how
    many read it at all, then by the mean of its WERs."""
    by_clip: dict[str, list[tuple[int, Reading]]] = defaultdict(list)
    for place, trial in enumerate(trials):
        for clip, reading in trial.clips.items():
            by_clip[clip].append((place, reading))
    rows = [_hard_clip(clip, found) for clip, found in by_clip.items()]
    return sorted(rows, key=lambda row: (-row.wrong / row.read, -row.read, -row.mean_wer, row.clip))


def _hard_clip(clip: str, found: Sequence[tuple[int, Reading]]) -> HardClip:
    best, lowest = min(found, key=lambda pair: pair[1].wer)
    wrong = [reading for _, reading in found if reading.edits]
    missed = Counter(word for reading in wrong for word in set(reading.missed))
    hypothesis, alike = _commonest(Counter(reading.hypothesis for reading in wrong))[0] if wrong else ("", 0)
    return HardClip(
        clip=clip,
        reference=lowest.reference,
        wrong=len(wrong),
        read=len(found),
        mean_wer=sum(reading.wer for _, reading in found) / len(found),
        lowest_wer=lowest.wer,
        best=best,
        missed=tuple(_commonest(missed)[:MISSED]),
        hypothesis=hypothesis,
        alike=alike,
    )


def _commonest(counts: Counter[str]) -> list[tuple[str, int]]:
    """The commonest first, ties by name: the order in which trials are read does not count."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def told(rows: Sequence[HardClip], trials: Sequence[Readings], of: int) -> list[str]:
    """How many clips no trial reads right and how many every one does, and which trials these are; in sentences. There
    are `of` trials in all."""
    none, every = sum(row.wrong == row.read for row in rows), sum(row.wrong == 0 for row in rows)
    clips = f"{none} of {len(rows)} clips {'is' if none == 1 else 'are'} read right by "
    looked_at = f"Looked at: {len(trials)} of {of} trials, the best first; of a cohort its best peer."
    sentences = [f"{clips}no trial, {every} by every trial.", looked_at]
    if len({frozenset(trial.clips) for trial in trials}) > 1:
        sentences.append("They were not all validated on the same clips: a clip counts where it was read.")
    return sentences


def left_out(lacking: Mapping[str, Exception]) -> list[str]:
    """Which trials are not looked at, and why; a few of them, if there are many."""
    some = [f"Left out: {label}, {reason}." for label, reason in list(lacking.items())[:MOST_REASONS]]
    more = len(lacking) - len(some)
    return [*some, f"Left out for the like: {more} more."] if more else some


def table_rows(rows: Sequence[HardClip], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows for a table; `names` are those of the trials, rates 0–1."""
    return [
        {
            "clip": row.clip,
            "wrong": row.wrong,
            "read": row.read,
            "mean": row.mean_wer,
            "lowest": row.lowest_wer,
            "reference": row.reference,
            "missed": ", ".join(f"{word} ({times})" for word, times in row.missed),
            "hypothesis": f"{row.hypothesis or '(nothing)'} ({row.alike})" if row.alike else "",
            "best": names[row.best],
        }
        for row in rows
    ]
