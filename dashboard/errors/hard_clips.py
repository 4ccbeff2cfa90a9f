"""Which clips are hard: the errors of many trials on each, counted.

A clip counts for the trials that were validated on it: trials of one sweep may have different validation clips.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.errors.word_edits import ClipEdits, clip_edits, corpus_rates
from dashboard.tracking.records import Prediction
from lipkd.ctc.metrics import error_rate
from lipkd.text import LETTERS

MISSED = 3  # words that are named for a clip
MOST_REASONS = 3  # why a trial is left out


@dataclass(frozen=True)
class ClipHypothesis:
    """A trial's hypothesis of a clip: edits, reference words, its text in letters, and the words that it misses."""

    edits: int
    words: int
    reference: str
    hypothesis: str
    missed: tuple[str, ...]

    @property
    def wer(self) -> float:
        return error_rate(self.edits, self.words)


@dataclass(frozen=True)
class TrialHypotheses:
    """The hypotheses of one output of a trial (`peer 0`, …), by clip id."""

    output: str
    clips: Mapping[str, ClipHypothesis]


@dataclass(frozen=True)
class HardClip:
    """A clip over the trials that were validated on it: `wrong` of `trials` have an error in it; `best` is the index of
    the trial with the `lowest_wer` (the first of several). `missed` are the words that most trials miss, with their
    number; `hypothesis` is the commonest wrong one, of `alike` trials."""

    clip: str
    reference: str
    wrong: int
    trials: int
    mean_wer: float
    lowest_wer: float
    best: int
    missed: tuple[tuple[str, int], ...]
    hypothesis: str
    alike: int


def best_peer_hypotheses(predictions: Sequence[Prediction], characters: str = LETTERS) -> TrialHypotheses:
    """The hypotheses of the peer with the lowest WER (ties by CER, then the first): the one that Replay opens on.
    Errors are counted in the letters of an alphabet of `characters`."""
    references = [prediction.reference for prediction in predictions]
    peers = range(len(predictions[0].hypotheses) if predictions else 0)
    edits = {f"peer {i}": clip_edits(references, [p.hypotheses[i] for p in predictions], characters) for i in peers}
    output = min(edits, key=lambda name: corpus_rates(edits[name]), default="")
    rows = zip(predictions, edits.get(output, ()), strict=True)
    return TrialHypotheses(output, {p.clip_id: _clip_hypothesis(p.reference, edits) for p, edits in rows})


def _clip_hypothesis(reference: str, edits: ClipEdits) -> ClipHypothesis:
    return ClipHypothesis(
        edits=edits.word_edits,
        words=edits.words,
        reference=reference,
        hypothesis=" ".join(edit.hypothesis for edit in edits.edits if edit.hypothesis),
        missed=tuple(edit.reference for edit in edits.edits if edit.reference and edit.kind != "equal"),
    )


def hard_clips(trials: Sequence[TrialHypotheses]) -> list[HardClip]:
    """Every validation clip, the hardest first: by the share of trials with an error in it, then by its number of
    trials, then by its mean WER."""
    by_clip: dict[str, list[tuple[int, ClipHypothesis]]] = defaultdict(list)
    for place, trial in enumerate(trials):
        for clip, hypothesis in trial.clips.items():
            by_clip[clip].append((place, hypothesis))
    rows = [_hard_clip(clip, found) for clip, found in by_clip.items()]
    return sorted(rows, key=lambda row: (-row.wrong / row.trials, -row.trials, -row.mean_wer, row.clip))


def _hard_clip(clip: str, found: Sequence[tuple[int, ClipHypothesis]]) -> HardClip:
    best, lowest = min(found, key=lambda pair: pair[1].wer)
    wrong = [one for _, one in found if one.edits]
    missed = Counter(word for one in wrong for word in set(one.missed))
    hypothesis, alike = _commonest(Counter(one.hypothesis for one in wrong))[0] if wrong else ("", 0)
    return HardClip(
        clip=clip,
        reference=lowest.reference,
        wrong=len(wrong),
        trials=len(found),
        mean_wer=sum(one.wer for _, one in found) / len(found),
        lowest_wer=lowest.wer,
        best=best,
        missed=tuple(_commonest(missed)[:MISSED]),
        hypothesis=hypothesis,
        alike=alike,
    )


def _commonest(counts: Counter[str]) -> list[tuple[str, int]]:
    """The commonest first, ties by name: the order of the trials does not count."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def summary(rows: Sequence[HardClip], trials: Sequence[TrialHypotheses], of: int) -> list[str]:
    """How many clips no trial has right and how many every one has, and which trials these are; in sentences. There are
    `of` trials in all."""
    none, every = sum(row.wrong == row.trials for row in rows), sum(row.wrong == 0 for row in rows)
    clips = f"{none} of {len(rows)} clips {'has' if none == 1 else 'have'} an error in every trial, {every} in none."
    counted = f"Counted: {len(trials)} of {of} trials, the best first; of a cohort its best peer."
    sentences = [clips, counted]
    if len({frozenset(trial.clips) for trial in trials}) > 1:
        sentences.append("They were not all validated on the same clips; a clip counts for those that were.")
    return sentences


def unavailable(missing: Mapping[str, Exception]) -> list[str]:
    """Which trials are not counted, and why; a few of them, if there are many."""
    some = [f"Left out: {label}, {reason}." for label, reason in list(missing.items())[:MOST_REASONS]]
    more = len(missing) - len(some)
    same = " for the same reason" if len(set(map(str, missing.values()))) == 1 else ""
    return [*some, f"{more} more {'was' if more == 1 else 'were'} left out{same}."] if more else some


def table_rows(rows: Sequence[HardClip], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows for a table; `names` are those of the trials, rates 0–1."""
    return [
        {
            "clip": row.clip,
            "wrong": row.wrong,
            "trials": row.trials,
            "mean": row.mean_wer,
            "lowest": row.lowest_wer,
            "reference": row.reference,
            "missed": ", ".join(f"{word} ({times})" for word, times in row.missed),
            "hypothesis": f"{row.hypothesis or '(nothing)'} ({row.alike})" if row.alike else "",
            "best": names[row.best],
        }
        for row in rows
    ]
