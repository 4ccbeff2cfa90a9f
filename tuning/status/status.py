"""`lipkd sweep FILE --status`: a table of what every trial is doing, once or again and again.

It reads the sweep's folder and nothing else, so it works beside the process that runs the sweep, and after it.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lipkd.errors import LipkdError
from lipkd.lock import is_held
from lipkd.trial import ENDED, Report
from tuning import stop_request
from tuning.plan.planner import Planned
from tuning.status.result_table import columns
from tuning.sweep_folder import DAMAGED, SweepRecord, driver_lock, load, read_trial, trial_folders

WATCH_S = 2.0
RECENT = 5  # epochs that say how long the next one takes
ORDER = ("running", "failed", DAMAGED, "abandoned", "waiting", "not begun", "stopped", "finished")
CLEAR = "\x1b[H\x1b[J"  # cursor home, erase what is below


@dataclass(frozen=True)
class TrialStatus:
    """A trial in the table: `epoch` of `epochs`, its last and best word error rate (None before the first epoch),
    the seconds that one epoch takes (None when not known)."""

    trial: str
    state: str
    epoch: int
    epochs: int
    wer: float | None
    best: float | None
    epoch_s: float | None
    reason: str

    @property
    def left_s(self) -> float | None:
        """Seconds that the trial still needs: 0 when it has ended, None when nothing is known."""
        if self.state in ENDED:
            return 0.0
        return None if self.epoch_s is None else (self.epochs - self.epoch) * self.epoch_s


@dataclass(frozen=True)
class SweepStatus:
    """A sweep at one moment; `running` is whether a process works on it, `stopping` whether that is to end."""

    name: str
    running: bool
    stopping: bool
    trials: tuple[TrialStatus, ...]

    @property
    def left_s(self) -> float | None:
        """Seconds to the end if as many trials go on running at a time as now, each to its last epoch; a trial
        that has no epoch yet is taken to be as fast as the others. None when no trial has one."""
        known = [t.epoch_s for t in self.trials if t.epoch_s is not None]
        if not known:
            return None
        usual = median(known)
        rest = sum((t.epochs - t.epoch) * (t.epoch_s or usual) for t in self.trials if t.state not in ENDED)
        return rest / max(1, sum(t.state == "running" for t in self.trials))


def read_status(folder: Path) -> SweepStatus:
    """The status of the sweep in `folder` now; raises LipkdError when it holds no trials."""
    record = load(folder)
    alive = is_held(driver_lock(folder))
    trials = [_trial(record, trial, alive) for trial in record.trials] or list(_unrecorded(folder, alive))
    if not trials:
        raise LipkdError(f"{folder}: no sweep has started there")
    return SweepStatus(folder.name, alive, alive and stop_request.requested(folder), tuple(trials))


def _trial(record: SweepRecord, trial: Planned, alive: bool) -> TrialStatus:
    reading = read_trial(record.trial_folder(trial), driver_alive=alive)
    last = reading.reports[-1].metrics if reading.reports else {}
    return TrialStatus(
        trial.name,
        reading.status,
        len(reading.reports),
        trial.config.training.epochs,
        last.get("val/wer"),
        last.get("best/wer"),
        seconds_per_epoch(reading.reports),
        reading.reason,
    )


def _unrecorded(folder: Path, alive: bool) -> Iterator[TrialStatus]:
    """The trials of a folder without sweep.json, such as those of `lipkd train`."""
    for trial in trial_folders(folder):
        try:
            planned = Planned(trial.name, trial.config())
        except LipkdError as error:
            yield TrialStatus(trial.name, DAMAGED, 0, 0, None, None, None, " ".join(str(error).split()))
        else:
            yield _trial(SweepRecord(folder), planned, alive)


def seconds_per_epoch(reports: Sequence[Report]) -> float | None:
    """The median of the last epochs' times, which one slow epoch, or a pause between two, does not move."""
    times = [report.metrics["time/epoch_s"] for report in reports[-RECENT:] if "time/epoch_s" in report.metrics]
    return median(times) if times else None


def status_text(status: SweepStatus, *, width: int | None = None, height: int | None = None) -> str:
    """A line on the whole and a table: what runs first, then what failed, what waits, what has ended, best first.

    Lines are cut at `width` characters; trials beyond `height` lines are counted instead of shown.
    """
    rows = sorted(status.trials, key=lambda t: (ORDER.index(t.state), t.best is None, t.best or 0.0, t.trial))
    head = ("trial", "state", "epoch", "wer", "best wer", "left", "reason")
    lines = [head, *(_cells(row) for row in rows)]
    text = [_headline(status), *columns(lines, words=("trial", "state", "reason"))]
    if height is not None and len(text) > height:
        hidden = len(text) - (height - 1)
        text = [*text[: height - 1], f"… and {hidden} more"]
    return "\n".join(line[:width] for line in text)


def _headline(status: SweepStatus) -> str:
    over = sum(trial.state in ENDED for trial in status.trials)
    failed, damaged = (sum(trial.state == state for trial in status.trials) for state in ("failed", DAMAGED))
    at_work = ("stopping" if status.stopping else "running") if status.running else "not running"
    text = f"sweep {status.name}: {at_work}, {over} of {len(status.trials)} trials over"
    text += f", {failed} failed" if failed else ""
    text += f", {damaged} damaged" if damaged else ""
    left = status.left_s
    return text + (f", at most {duration(left)} left" if status.running and not status.stopping and left else "")


def _cells(row: TrialStatus) -> tuple[str, ...]:
    rates = ("–" if rate is None else f"{rate:.3f}" for rate in (row.wer, row.best))
    left = "–" if row.left_s is None else (duration(row.left_s) if row.left_s else "")
    return (row.trial, row.state, f"{row.epoch}/{row.epochs}", *rates, left, row.reason)


def duration(seconds: float) -> str:
    """H:MM:SS, with days before it when there are any."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour}:{minute:02d}:{second:02d}"
    return f"{days} d {clock}" if days else clock


def show_status(folder: Path, *, watch: bool, sleep: Callable[[float], None] = time.sleep) -> int:
    """Print the table; with `watch` again every two seconds for as long as a process works on the sweep.

    Returns 0, or 1 when a trial has failed or is damaged. On a terminal each table takes the place of the one before.
    """
    terminal = sys.stdout.isatty()
    for status in _moments(folder, watch, sleep):
        if terminal and watch:
            size = shutil.get_terminal_size()
            print(CLEAR + status_text(status, width=size.columns, height=size.lines - 1), flush=True)
        else:
            print(status_text(status), flush=True)
    return 1 if any(trial.state in ("failed", DAMAGED) for trial in status.trials) else 0


def _moments(folder: Path, watch: bool, sleep: Callable[[float], None]) -> Iterator[SweepStatus]:
    status = read_status(folder)
    yield status
    while watch and status.running:
        sleep(WATCH_S)
        status = read_status(folder)
        yield status
