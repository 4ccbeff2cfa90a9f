"""One's own data as a table: a row per clip with path, speaker, text, and start and end in seconds if it is a part.

    path,speaker,text,start,end
    interviews/anna.mp4,anna,good morning,12.4,14.1

CSV (comma, semicolon or tab) with a header line, or JSONL with the same names. Paths are relative to the table.
"""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lipkd.errors import LipkdError
from preprocessing.corpus.source import Source

SUFFIXES = (".csv", ".tsv", ".jsonl")
NAMES = ("clips.csv", "clips.tsv", "clips.jsonl")
COLUMNS = ("path", "speaker", "text")
OPTIONAL = ("start", "end")


def find_table(src: Path) -> Path | None:
    """`src` itself when it is a table, else the table of the usual name in that folder, else None."""
    if src.suffix.lower() in SUFFIXES and src.is_file():
        return src
    return next((src / name for name in NAMES if (src / name).is_file()), None)


def read_table(table: Path) -> list[Source]:
    """The clips of a table; raises LipkdError naming file, line and fault."""
    try:
        content = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LipkdError(f"{table}: cannot be read as UTF-8 text ({error})") from error
    sources = []
    number = 1
    try:
        for number, row in _json_rows(content) if table.suffix.lower() == ".jsonl" else _csv_rows(content):  # noqa: B007
            sources.append(_source(row, table.parent))
    except (ValueError, csv.Error) as error:
        raise LipkdError(f"{table}, line {number}: {error}") from error
    if not sources:
        raise LipkdError(f"{table}: 0 clips, only a header or nothing")
    return sources


def _csv_rows(content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    header = content.partition("\n")[0]
    reader = csv.DictReader(content.splitlines(keepends=True), delimiter=max(",;\t", key=header.count), strict=True)
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise ValueError(
            f"no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}, and start and end if wanted"
        )
    for row in reader:
        yield reader.line_num, row


def _json_rows(content: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield number, _json_row(line)


def _json_row(line: str) -> dict[str, Any] | None:
    """The object of a line, None when there is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _source(row: dict[str, Any] | None, base: Path) -> Source:
    if row is None:
        raise ValueError("not a JSON object")
    for name in COLUMNS:
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise ValueError(f"{name} is missing or empty")
    path = base / row["path"].strip()
    speaker = row["speaker"].strip()
    if "/" in speaker or speaker.startswith("."):
        raise ValueError(f"speaker {speaker!r} must not contain a slash or begin with a full stop")
    given = [row.get(name) not in (None, "") for name in OPTIONAL]
    if any(given) and not all(given):
        raise ValueError("start and end belong together")
    if not all(given):
        return Source(f"{speaker}/{path.stem}", speaker, path, None, row["text"])
    start, end = (_seconds(name, row[name]) for name in OPTIONAL)
    if end <= start:
        raise ValueError(f"end {end:g} must come after start {start:g}")
    return Source(f"{speaker}/{path.stem}@{start:g}", speaker, path, None, row["text"], (start, end))


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{name} {value!r} must be seconds from 0 on")
    return seconds
