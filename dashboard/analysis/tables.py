"""Rows of the pages' tables, plain dicts: which columns a table has is decided and tested here."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashboard.analysis.matched_pairs import Gain
from dashboard.errors.word_edits import ClipEdits
from dashboard.tracking.records import Prediction, Trial
from lipkd.evaluation.matching import differing

if TYPE_CHECKING:
    from lipkd.evaluation.comparison import Difference

METHOD = "cohort.method"
MOST_NAMED = 3  # trials that are not comparable
DIGEST = re.compile(r"[0-9a-f]{8,12}")  # at the end of a trial's name


def short_names(trials: Sequence[Trial]) -> dict[str, str]:
    """Per run id the trial's name without the parts that all names share, and without the digest at its end where the
    rest is unique: columns say them already. Whole names where the short ones would not tell the trials apart."""
    parts = {trial.run_id: trial.name.split("-") for trial in trials}
    without = {run_id: own[:-1] if DIGEST.fullmatch(own[-1]) else own for run_id, own in parts.items()}
    for names in (without, parts):
        shared = set.intersection(*map(set, names.values())) if len(names) > 1 else set()
        short = {run_id: "-".join(part for part in own if part not in shared) for run_id, own in names.items()}
        if all(short.values()) and len(set(short.values())) == len(short):
            return short
    return {trial.run_id: trial.name for trial in trials}


def short_label(labels: Mapping[str, Trial]) -> Callable[[str], str]:
    """How a menu of trials writes their labels: short, where labels are the whole names."""
    short = short_names(list(labels.values()))
    return lambda label: short[labels[label].run_id] if labels[label].name == label else label


def leaderboard_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """A row per trial; rates 0–1, time in minutes."""
    return [
        {
            "trial": t.name,
            "sweep": t.sweep,
            "state": t.state,
            "method": t.method,
            "peers": t.peers,
            "width": t.width,
            "batch_size": t.batch_size,
            "seed": t.seed,
            "best_wer": t.best_wer,
            "best_cer": t.best_cer,
            "wer_best_peer": t.wer_best_peer,
            "wer_ensemble": t.wer_ensemble,
            "best_epoch": t.best_epoch,
            "wer": t.wer,
            "cer": t.cer,
            "epochs": t.epochs,
            "minutes": None if t.seconds is None else t.seconds / 60,
            "reason": t.reason or t.incomparable_reason,
            "commit": t.commit,
            "run_id": t.run_id,
        }
        for t in trials
    ]


def differing_parameters(trials: Sequence[Trial]) -> list[dict[str, str]]:
    """A row per parameter in which the trials differ: `parameter`, then a column per trial name. One network alone has
    the method `vanilla`, as on all pages, whatever its configuration calls it."""
    configs = [t.config | {METHOD: t.method} if METHOD in t.config else t.config for t in trials]
    return [
        {"parameter": name} | {t.name: own.get(name, "–") for t, own in zip(trials, configs, strict=True)}
        for name in differing(configs)
    ]


def clip_rows(
    predictions: Sequence[Prediction], a: Sequence[ClipEdits], b: dict[str, ClipEdits]
) -> list[dict[str, Any]]:
    """A row per clip of trial A with its rates; those of trial B where it was validated on the same clip."""
    rows = []
    for prediction, edits in zip(predictions, a, strict=True):
        other = b.get(prediction.clip_id)
        rows.append(
            {
                "clip": prediction.clip_id,
                "speaker": prediction.speaker,
                "wer_a": edits.wer,
                "cer_a": edits.cer,
                "wer_b": other.wer if other else None,
                "cer_b": other.cer if other else None,
                "reference": prediction.reference,
            }
        )
    return rows


def incomparable_summary(trials: Sequence[Trial]) -> str:
    """Which trials are in no comparison, being more than their configurations say, and why; empty for none."""
    found = [trial for trial in trials if trial.incomparable_reason]
    if not found:
        return ""
    named = ", ".join(trial.name for trial in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"Left out: {named}{more}, not comparable ({found[0].incomparable_reason})."


def verdict_number(difference: "Difference", level: float) -> str:
    """A difference in points with its interval, below 0 better: `-3.0 points, 95 % interval -5.1 to -0.9`."""
    points = f"{100 * difference.mean:+.1f} points"
    if difference.low is None or difference.high is None:
        return f"{points}, one seed: no interval"
    return f"{points}, {100 * level:g} % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}"


ORDERS = ("worst first", "best first", "A worse than B", "B worse than A", "by name")


def ordered(rows: Sequence[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """Clip rows in one of ORDERS; ties by CER, then by name."""
    if order == "by name":
        return sorted(rows, key=lambda row: row["clip"])

    def difference(row: dict[str, Any]) -> tuple[float, float]:
        if row["wer_b"] is None:
            return (float("-inf"), 0.0)
        return (row["wer_a"] - row["wer_b"], row["cer_a"] - row["cer_b"])

    def badness(row: dict[str, Any]) -> tuple[float, float]:
        wer, cer = difference(row) if "worse than" in order else (row["wer_a"], row["cer_a"])
        if order == "B worse than A" and row["wer_b"] is not None:
            return (-wer, -cer)
        return (wer, cer)

    sign = 1 if order == "best first" else -1
    return sorted(rows, key=lambda row: (*(sign * value for value in badness(row)), row["clip"]))


def _change(points: float) -> str:
    """A gain in points as words; what rounds to nothing is no difference."""
    if round(abs(points), 1) == 0:
        return "unchanged"
    return f"{abs(points):.1f} points {'lower' if points > 0 else 'higher'}"


def verdicts(found: Sequence[Gain], baseline: str) -> list[str]:
    """A sentence per group: by how much it is better or worse than the baseline, and in how many pairs."""
    sentences = []
    for group in dict.fromkeys(gain.group for gain in found):
        mine = [gain for gain in found if gain.group == group]
        pairs = sum(gain.pairs for gain in mine)
        wer = sum(gain.wer_points * gain.pairs for gain in mine) / pairs
        cer = sum(gain.cer_points * gain.pairs for gain in mine) / pairs
        better = sum(gain.better for gain in mine)
        compared = "one pair" if pairs == 1 else f"{pairs} pairs"
        sentences.append(
            f"{group} against {baseline}: WER {_change(wer)}, CER {_change(cer)}; "
            f"mean of {compared} of trials that differ only in the method and its settings, "
            f"lower WER in {better} of {pairs}."
        )
    return sentences
