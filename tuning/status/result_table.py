"""The results of a sweep's trials, read from their folders, as a table: no Ray needed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tuning.plan.pareto import best_value, trade_offs, usual_value
from tuning.plan.planner import Planned
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import DAMAGED, SweepRecord, read_trial


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


def result_rows(record: SweepRecord) -> tuple[Row, ...]:
    """A row for each recorded trial, in order, when no process works on the sweep any more."""
    return tuple(result_row(record, trial) for trial in record.trials)


def result_row(record: SweepRecord, trial: Planned) -> Row:
    """A trial's status on disk: its best rates, its epochs and the time that they took."""
    config, reading = trial.config, read_trial(record.trial_folder(trial), driver_alive=False)
    reports = reading.reports
    last = reports[-1].metrics if reports else {}
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
        reading.status,
        reading.reason,
    )


def result_text(rows: Sequence[Row], record: SweepRecord, sweep: SweepConfig) -> str:
    """The table of a sweep that has run, and what follows from it: trade-offs, and where the best schedule is."""
    lines = [result_table(rows)]
    if sweep.cost:
        lines.append(_trade_off_text(record, sweep.metric, sweep.mode, sweep.cost))
    if sweep.stopping.name == "pbt" and any(row.wer is not None for row in rows):
        lines.append(
            f"the best schedule, to be trained from the beginning: lipkd sweep {record.folder} --best-schedule"
        )
    return "\n".join(lines)


def _trade_off_text(record: SweepRecord, metric: str, mode: str, cost: str) -> str:
    """The trials that no other beats in both values."""
    values: dict[str, tuple[float, float]] = {}
    for trial in record.ended():
        reports = record.reports(trial)
        best, usual = best_value(reports, metric, mode), usual_value(reports, cost)
        if best is not None and usual is not None:
            values[trial.name] = (best, usual)
    lines = [f"  {name}: {values[name][0]:.3f}, {values[name][1]:.4g}" for name in trade_offs(values, mode)]
    return "\n".join([f"not beaten in {metric} and {cost} by any other:", *lines])


def result_table(rows: Sequence[Row]) -> str:
    """A text table, the lowest word error rate first, then what went wrong."""
    head = ("trial", "method", "peers", "width", "batch", "seed", "epochs", "best wer", "best cer", "minutes", "state")
    lines: list[tuple[str, ...]] = [head]
    for row in sorted(rows, key=lambda r: (r.wer is None, r.wer or 0.0, r.cer or 0.0, r.trial)):
        rates = ("–" if rate is None else f"{rate:.3f}" for rate in (row.wer, row.cer))
        numbers = (row.peers, row.width, row.batch, row.seed, row.epochs)
        lines.append((row.trial, row.method, *map(str, numbers), *rates, f"{row.minutes:.1f}", row.state))
    text = columns(lines, words=("trial", "method", "state"))
    return "\n".join(
        text + [f"{row.trial} {row.state}: {row.reason}" for row in rows if row.state in ("failed", DAMAGED)]
    )


def columns(lines: Sequence[tuple[str, ...]], words: Collection[str]) -> list[str]:
    """Lines of equal columns, the first line their names; those in `words` to the left, numbers to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(_cell(*item, words) for item in zip(line, widths, lines[0], strict=True)).rstrip() for line in lines
    ]


def _cell(text: str, width: int, column: str, words: Collection[str]) -> str:
    return text.ljust(width) if column in words else text.rjust(width)
