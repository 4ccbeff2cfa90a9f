"""One's own data as a table: a row per clip with path, speaker, text, and start and end in seconds if it is a part.

    path,speaker,text,start,end
    interviews/anna.mp4,anna,good morning,12.4,14.1

Any table of `table_file`. Paths are relative to the table and lie below its folder, unless `anywhere` allows others.
"""

import math
import os
import unicodedata
from pathlib import Path
from typing import Any

from lipkd.errors import LipkdError
from preprocessing.corpus.source import Source
from preprocessing.corpus.table_file import SUFFIXES, Rows, text_of

COLUMNS = ("path", "speaker", "text")
OPTIONAL = ("start", "end")


def find_table(src: Path) -> Path | None:
    """`src` itself when it is a table, else the table named clips.csv (.tsv, .jsonl, .xlsx) in that folder, else None.

    Raises LipkdError where a folder holds two of them.
    """
    if src.suffix.lower() in SUFFIXES and src.is_file():
        return src
    if not src.is_dir():
        return None
    names = [f"clips{suffix}" for suffix in SUFFIXES]
    found = sorted(path for path in src.iterdir() if path.name.lower() in names and path.is_file())
    if len(found) > 1:
        raise LipkdError(f"source {src}: holds {' and '.join(path.name for path in found)}; name the one to read")
    return found[0] if found else None


def read_table(table: Path, anywhere: bool = False) -> list[Source]:
    """The clips of a table; raises LipkdError naming file, line and fault."""
    rows = Rows(table, (*COLUMNS, *OPTIONAL))
    if table.suffix.lower() not in (".jsonl", ".ndjson"):
        rows.require(*COLUMNS)
    sources = []
    for number, row in rows:
        try:
            sources.append(_source(row, table.parent, anywhere))
        except ValueError as error:
            raise rows.fault(number, str(error)) from error
    if not sources:
        raise LipkdError(f"table {table}: 0 clips, only a header or nothing")
    return sources


def _source(row: dict[str, Any], base: Path, anywhere: bool) -> Source:
    for name in COLUMNS:
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise ValueError(f"{name} is missing or empty")
    for name in ("path", "speaker"):
        if control := [c for c in row[name] if unicodedata.category(c) in ("Cc", "Zl", "Zp")]:
            raise ValueError(f"{name} {row[name]!r} must not contain {control[0]!r}")
    path = locate(base, row["path"].strip())
    slashed = Path(os.path.normpath(base / row["path"].strip().replace("\\", "/")))
    if not anywhere and not all(p.is_relative_to(os.path.normpath(base)) for p in (path, slashed)):
        raise ValueError(
            f"path {row['path']!r} leads out of {base}; --anywhere allows it, where the table can be trusted"
        )
    speaker = row["speaker"].strip()
    if "/" in speaker or speaker.startswith("."):
        raise ValueError(f"speaker {speaker!r} must not contain a slash or begin with a full stop")
    text = text_of(row["text"])
    given = [row.get(name) not in (None, "") for name in OPTIONAL]
    if any(given) and not all(given):
        raise ValueError("start and end belong together")
    if not all(given):
        return Source(f"{speaker}/{path.stem}", speaker, path, None, text)
    start, end = (_seconds(name, row[name]) for name in OPTIONAL)
    if end <= start:
        raise ValueError(f"end {end:g} must come after start {start:g}")
    return Source(f"{speaker}/{path.stem}@{start:g}", speaker, path, None, text, (start, end))


def locate(base: Path, given: str) -> Path:
    """The file that a table means: as it says, with the slashes of this system, or with accents composed otherwise."""
    path = Path(os.path.normpath(base / given))
    if os.path.lexists(path):
        return path
    slashed = Path(os.path.normpath(base / given.replace("\\", "/")))
    found = base
    for part in Path(os.path.relpath(slashed, base)).parts:
        following = found / part
        if not os.path.lexists(following) and found.is_dir():
            wanted = unicodedata.normalize("NFC", part)
            same = (p for p in sorted(found.iterdir()) if unicodedata.normalize("NFC", p.name) == wanted)
            following = next(same, following)
        found = following
    found = Path(os.path.normpath(found))
    return found if os.path.lexists(found) else path


def _seconds(name: str, value: object) -> float:
    """A time; a comma may be the decimal sign."""
    try:
        seconds = float(str(value).strip().replace(",", "."))
    except ValueError:
        seconds = -1.0
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{name} {value!r} must be seconds from 0 on")
    return seconds
