"""What trials measured, less what no two trainings share."""

from pathlib import Path

from lipkd.trial import TrialFolder

OF_THE_MACHINE = ("time/", "memory/", "system/")  # how metrics begin that measure the machine


def numbers(folder: Path, *, beside: tuple[str, ...] = ()) -> list[dict[str, float]]:
    """Every metric of every epoch but those of the machine, and those that begin with one of `beside`; the steps of
    the journal are 1, 2, …"""
    reports = TrialFolder(folder).reports()
    assert [report.step for report in reports] == list(range(1, len(reports) + 1))
    return [of_the_training(report.metrics, *beside) for report in reports]


def of_the_training(metrics: dict[str, float], *beside: str) -> dict[str, float]:
    """The metrics but for those of the machine, and those that begin with one of `beside`."""
    return {k: v for k, v in metrics.items() if not k.startswith((*OF_THE_MACHINE, *beside))}
