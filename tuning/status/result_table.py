"""How the trials of a sweep stand, read from their folders: the result table, and the one to watch while it runs.

Ray isn't needed, so both work beside a running sweep, after it, and on a machine that has only the folder.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tuning.plan.planner import Planned
from tuning.sweep_folder import SweepRecord, standing


@dataclass(frozen=True)
class Row:
    """A trial in the result table; numbers are None where the trial has none."""

    trial: str
    method: str
    peers: int
    width: str
    batch: int
    seed: int
    epochs: int
    wer: float | None
    cer: float | None
    minutes: float
    state: str
    reason: str


def result_row(record: SweepRecord, trial: Planned, *, driver_alive: bool = False) -> Row:
    """How a trial stands on disk: its best rates, its epochs and the time that they took."""
    folder, config = record.trial_folder(trial), trial.config
    reports = folder.reports()
    last = reports[-1].metrics if reports else {}
    begun = (folder.path / "config.json").is_file()
    return Row(
        trial.name,
        "vanilla" if config.cohort.peers == 1 else config.cohort.method,
        config.cohort.peers,
        "+".join(f"{w:g}" for w in dict.fromkeys(config.widths)),
        config.training.batch_size,
        config.seed,
        len(reports),
        last.get("best/wer"),
        last.get("best/cer"),
        sum(report.metrics.get("time/epoch_s", 0.0) for report in reports) / 60,
        standing(folder, driver_alive=driver_alive) if begun else "not begun",
        str(folder.state()["reason"]) if begun else "",
    )


def result_table(rows: Sequence[Row]) -> str:
    """A text table, the lowest word error rate first, then what went wrong."""
    head = ("trial", "method", "peers", "width", "batch", "seed", "epochs", "best wer", "best cer", "minutes", "state")
    lines: list[tuple[str, ...]] = [head]
    for row in sorted(rows, key=lambda r: (r.wer is None, r.wer or 0.0, r.cer or 0.0, r.trial)):
        rates = ("–" if rate is None else f"{rate:.3f}" for rate in (row.wer, row.cer))
        numbers = (row.peers, row.width, row.batch, row.seed, row.epochs)
        lines.append((row.trial, row.method, *map(str, numbers), *rates, f"{row.minutes:.1f}", row.state))
    text = columns(lines, words=("trial", "method", "state"))
    return "\n".join(text + [f"{row.trial} failed: {row.reason}" for row in rows if row.state == "failed"])


def columns(lines: Sequence[tuple[str, ...]], words: Collection[str]) -> list[str]:
    """Lines of equal columns, the first line their names; those in `words` to the left, numbers to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(_cell(*item, words) for item in zip(line, widths, lines[0], strict=True)).rstrip() for line in lines
    ]


def _cell(text: str, width: int, column: str, words: Collection[str]) -> str:
    return text.ljust(width) if column in words else text.rjust(width)
