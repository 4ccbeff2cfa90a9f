"""Which words are said in a clip: from a table, an alignment, a folder's name, a text file, or the name of a GRID file.

A table of transcripts (CSV with a header, or JSON lines) has a column `text` and one that names the clip: `id`
(`speaker/name`) or `path` (relative to the source). Without one a clip's words are looked for in its
`.align` file (the times are not used), in the corpus's table of clips or the name of a one-word corpus's folder,
in `NAME.txt` beside it, and in its name.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lipkd.errors import LipkdError
from lipkd.files import read_jsonl
from preprocessing.corpus.align_file import SILENCE, read_align
from preprocessing.corpus.source import Source
from preprocessing.rejects import CannotAlign

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GRID_SLOTS: tuple[Mapping[str, str], ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},  # no w: it takes too long to say
    {"z": "zero"} | dict(zip("123456789", NUMBERS, strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


@dataclass(frozen=True)
class Text:
    """What is said in a clip as given, and where that stands: `table`, `folder`, `text file`, `file name`."""

    text: str
    origin: str


def text_of(source: Source) -> Text | None:
    """What is said in a clip when no alignment tells; raises LipkdError for a text file that cannot be read."""
    if source.text is not None:
        return Text(source.text, "folder" if source.label else "table")
    beside = (
        source.path.with_suffix(".txt") if source.path.is_file() else source.path.with_name(f"{source.path.name}.txt")
    )
    if beside.is_file():
        try:
            return Text(" ".join(beside.read_text(encoding="utf-8-sig").split()), "text file")
        except (OSError, UnicodeDecodeError) as error:
            raise LipkdError(f"{beside} is not UTF-8 text that can be read") from error
    words = grid_words(source.path.stem)
    return Text(" ".join(words), "file name") if words else None


@dataclass(frozen=True)
class Transcript:
    """The words of a clip as given, and where they come from: `alignment`, or an origin of Text."""

    words: tuple[str, ...]
    origin: str


def find_transcript(source: Source, table: Mapping[str, str] | None = None) -> Transcript:
    """The words of a clip; raises CannotAlign when there are none. With a table, nothing else is asked."""
    if table is not None:
        if source.id not in table:
            raise CannotAlign("no transcript", f"{source.id} is not in the table")
        return _transcript(table[source.id], "table")
    try:
        if source.align is not None:
            return _transcript(read_align(source.align).text, "alignment")
        if (said := text_of(source)) is not None:
            return _transcript(said.text, said.origin)
    except LipkdError as error:
        raise CannotAlign("broken transcript", str(error)) from error
    name = source.id.partition("/")[2]
    raise CannotAlign("no transcript", f"no {name}.align, no {name}.txt beside it, and the name is no GRID code")


def grid_words(name: str) -> tuple[str, ...] | None:
    """The sentence that a GRID file name stands for: bbaf3s is bin blue at f three soon; None for another name."""
    if len(name) != len(GRID_SLOTS):
        return None
    words = [slot.get(letter) for slot, letter in zip(GRID_SLOTS, name.lower(), strict=True)]
    return tuple(word for word in words if word is not None) if None not in words else None


def _transcript(text: str, origin: str) -> Transcript:
    words = tuple(word for word in text.split() if word not in SILENCE)
    if not words:
        raise CannotAlign("no transcript", f"the {origin} holds no word")
    return Transcript(words, origin)


def spoken_form(word: str) -> str:
    """What the synthesiser is to say for a word: letters, digits and apostrophes, no punctuation (it would pause)."""
    return re.sub(r"[^\w'’]|_", "", word)


def read_table(path: Path) -> dict[str, str]:
    """Clip id → text of a .csv or .jsonl table; raises LipkdError naming the file and what is wrong."""
    try:
        if path.suffix.lower() == ".csv":
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows: list[dict[str, Any]] = list(csv.DictReader(file, strict=True))
        elif path.suffix.lower() in (".jsonl", ".ndjson"):
            rows = list(read_jsonl(path))
        else:
            raise LipkdError(f"transcripts {path}: must be a .csv or a .jsonl file")
    except OSError as error:
        raise LipkdError(f"transcripts {path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LipkdError(f"transcripts {path}: no CSV in UTF-8 ({error})") from error
    except ValueError as error:
        raise error if isinstance(error, LipkdError) else LipkdError(f"transcripts {error}") from error
    return dict(_entries(path, rows))


def _entries(path: Path, rows: list[Any]) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        where = f"transcripts {path}, entry {number}"
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise LipkdError(f"{where}: has no text; columns id (or path) and text are needed")
        name = row.get("id") or row.get("path")
        if not isinstance(name, str):
            raise LipkdError(f"{where}: names no clip; columns id (or path) and text are needed")
        parts = PurePosixPath(name).parts[-2:]
        if row.get("speaker") and not row.get("id"):
            parts = (str(row["speaker"]), parts[-1])
        if len(parts) != 2:
            raise LipkdError(f"{where}: {name!r} is no speaker/name")
        clip = f"{parts[0]}/{parts[1] if row.get('id') else PurePosixPath(parts[1]).stem}"
        if clip in seen:
            raise LipkdError(f"{where}: {clip} appears twice")
        seen.add(clip)
        yield clip, row["text"]
