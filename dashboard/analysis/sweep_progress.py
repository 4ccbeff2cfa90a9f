"""How far a sweep is: trials by state, epochs done and to come, what it has cost, how long it will still take."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dashboard.tracking.records import Sweep, Trial
from lipkd.trial import ENDED

OVER = ("finished", "stopped", "failed", "abandoned")
COMPLETE = ("finished", "stopped")  # with all of its results
MOST_CHECKED = 10  # sweeps
NAMED = 5  # abandoned trials
SINGLE = "single"  # the sweep that holds all trials of `lipkd train`


@dataclass(frozen=True)
class SweepProgress:
    """`done` and `planned` are epochs: what was reported, and what the configurations ask of the trials that go on or
    were abandoned, plus what the others have done. Times in seconds; `left` is None when nobody can know it."""

    states: dict[str, int]
    done: int
    planned: int
    cost: float
    left: float | None
    best_wer: float | None
    best_cer: float | None
    clips_per_s: float | None
    memory_mb: float | None

    @property
    def share(self) -> float:
        """How much of the sweep is done, 0–1."""
        return min(self.done / self.planned, 1.0) if self.planned else 0.0


def progress(trials: Sequence[Trial], now: float) -> SweepProgress:
    """How far trials are at the time `now` (Unix seconds).

    What is left goes as fast as it went so far: epochs to come over epochs per second since the first trial
    that is still going began. That holds however many trials run side by side.
    """
    running = [trial for trial in trials if trial.state not in OVER]
    done = sum(trial.epochs for trial in trials)
    planned = sum(t.epochs + (remaining_epochs(t) if t.state not in ENDED else 0) for t in trials)
    rate = sum(t.epochs for t in running) / max(now - min(t.began for t in running), 1.0) if running else 0.0
    wers = [trial.best_wer for trial in trials if trial.best_wer is not None]
    cers = [trial.best_cer for trial in trials if trial.best_cer is not None]
    return SweepProgress(
        states=dict(Counter(trial.state for trial in trials)),
        done=done,
        planned=planned,
        cost=sum(trial.seconds or 0.0 for trial in trials),
        left=sum(map(remaining_epochs, running)) / rate if rate else None,
        best_wer=min(wers, default=None),
        best_cer=min(cers, default=None),
        clips_per_s=_sum(running, "time/clips_per_s"),
        memory_mb=_sum(running, "memory/peak_mb"),
    )


def epochs_of(trial: Trial) -> int:
    """How many epochs a trial's configuration asks for, 0 when it does not say."""
    epochs = trial.config.get("training.epochs", "")
    return int(epochs) if epochs.isdecimal() else 0


def remaining_epochs(trial: Trial) -> int:
    """How many epochs its configuration asks of a trial yet."""
    return max(epochs_of(trial) - trial.epochs, 0)


def abandoned_summary(trials: Sequence[Trial]) -> str:
    """Which trials nobody works on any more although they are not over, and at which epoch they are; empty when there
    are none."""
    left = [trial for trial in trials if trial.state == "abandoned"]
    if not left:
        return ""
    where = [f"{t.name} after epoch {t.epochs}" + (f" of {n}" if (n := epochs_of(t)) else "") for t in left[:NAMED]]
    more = f", and {len(left) - NAMED} more" if len(left) > NAMED else ""
    are = "1 trial is" if len(left) == 1 else f"{len(left)} trials are"
    return f"{are} abandoned: no process works on {'it' if len(left) == 1 else 'them'} any more: " + (
        f"{', '.join(where)}{more}."
    )


def may_change(sweep: Sweep, trials: Sequence[Trial]) -> bool:
    """Whether a sweep may still change: itself, or one of its trials, has not ended."""
    return sweep.state == "running" or any(trial.state not in OVER for trial in trials)


def initial_sweep(sweeps: Sequence[Sweep], trials_of: Callable[[Sweep], Sequence[Trial]]) -> Sweep:
    """The sweep that the pages open first, of one or more with the latest first: the latest in which a trial has ended
    with a result, else the latest with any result, else the latest. Single trials (`lipkd train`) only where there is
    nothing else."""
    sweeps = [sweep for sweep in sweeps if sweep.name != SINGLE] or sweeps
    any_result = None
    for sweep in sweeps[:MOST_CHECKED]:
        states = {trial.state for trial in trials_of(sweep) if trial.best_epoch is not None}
        if states & set(COMPLETE):
            return sweep
        any_result = any_result or (sweep if states else None)
    return any_result or sweeps[0]


def _sum(trials: Sequence[Trial], metric: str) -> float | None:
    values = [trial.latest[metric] for trial in trials if metric in trial.latest]
    return sum(values) if values else None
