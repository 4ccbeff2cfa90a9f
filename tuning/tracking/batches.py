"""What goes into one call to MLflow: whole reports, so many entries, texts no longer than it takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from lipkd.trial import Report


def grouped(reports: Sequence[Report], most: int) -> Iterator[list[Report]]:
    """Runs of whole reports with at most `most` metrics each; a bigger report comes alone."""
    group: list[Report] = []
    count = 0
    for report in reports:
        if group and count + len(report.metrics) > most:
            yield group
            group, count = [], 0
        group.append(report)
        count += len(report.metrics)
    if group:
        yield group


def parts(items: list[Any], most: int) -> Iterator[list[Any]]:
    """The items in order, at most `most` at a time."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def cut(text: str, most: int, whole_in: str) -> str:
    """The text, or as much of it as fits into `most` characters with a note of the file that has all of it."""
    note = f"… (whole in {whole_in})"
    return text if len(text) <= most else text[: most - len(note)] + note
