"""How far a run over many clips is, and a line on the terminal that says so."""

import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a run is: clips `done` of `total`, `kept` of them from an earlier run; `rate` in new clips/s."""

    done: int
    total: int
    seconds: float
    kept: int = 0

    @property
    def rate(self) -> float:
        return max(0, self.done - self.kept) / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float:
        """Seconds to the end at this rate; infinite while nothing is known."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")


OnProgress = Callable[[Progress], None]


def print_progress(progress: Progress) -> None:
    """A progress line on stderr: rewritten in place on a terminal, else a line at every twentieth."""
    done, total = progress.done, progress.total
    left = "" if progress.left == float("inf") or done == total else f", {_clock(progress.left)} left"
    kept = f" ({progress.kept} from before)" if progress.kept else ""
    line = f"{done}/{total} clips{kept}, {progress.rate:.1f} clips/s{left}"
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done == total or done * 20 // total != (done - 1) * 20 // total:
        print(line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
