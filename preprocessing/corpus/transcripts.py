"""Which words are said in a clip: from a table, an alignment, a folder's name, a text file, or the name of a GRID file.

A table of transcripts (any of `table_file`) has a column `text` and one that names the clip: `id`
(`speaker/name`) or `path` (relative to the source). Without one a clip's words are looked for in its
`.align` file (the times are not used), in the corpus's table of clips or the name of a one-word corpus's folder,
in `NAME.txt` beside it, and in its name. Of a text file like those of LRS (`Text:  …`, `Conf:  …`) the text is taken.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lipkd.errors import LipkdError
from preprocessing.corpus.align_file import MARKUP, is_silence, read_align
from preprocessing.corpus.source import Source
from preprocessing.corpus.table_file import Rows
from preprocessing.corpus.table_file import text_of as one_line
from preprocessing.corpus.text_file import read_text, split_lines
from preprocessing.rejects import CannotAlign

FIELD = re.compile(r"([A-Za-z][\w -]{0,30}):\s")  # `Text:  …` in a file of a corpus that describes its clips
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
    """What is said in a clip when no alignment tells; raises LipkdError for a text that cannot be what is said."""
    if source.text is not None:
        return Text(_spoken(source.text, "the text"), "folder" if source.label else "table")
    if (beside := text_file(source.path)) is not None:
        return Text(_spoken(_described(beside), str(beside)), "text file")
    words = grid_words(source.path.stem)
    return Text(" ".join(words), "file name") if words else None


def text_file(path: Path) -> Path | None:
    """`NAME.txt` beside a clip, the suffix in any case."""
    stem = path.name if path.is_dir() else path.stem
    for suffix in (".txt", ".TXT", ".Txt"):
        if (beside := path.with_name(stem + suffix)).is_file():
            return beside
    return None


def _described(path: Path) -> str:
    """The content of a text file in one line; of one that describes its clip in fields only the field `Text`."""
    lines = [line.strip() for line in split_lines(read_text(path)) if line.strip()]
    fields = {found[1].casefold(): line[found.end() :] for line in lines if (found := FIELD.match(line + " "))}
    if lines and (first := FIELD.match(lines[0] + " ")):
        if first[1].casefold() == "text" and len(fields) > 1:
            return fields["text"].strip()
        if len(lines) > 1 and len(fields) == len(lines) and "text" not in fields:
            raise LipkdError(f"{path}: describes the clip ({', '.join(fields)}) and has no field Text")
    return " ".join(" ".join(lines).split())


def _spoken(text: str, where: str) -> str:
    if found := MARKUP.search(text):
        raise LipkdError(f"{where}: {found[0]!r} is no word that is said")
    return text


@dataclass(frozen=True)
class WordList:
    """The words of a clip as given, and where they come from: `alignment`, or an origin of Text."""

    words: tuple[str, ...]
    origin: str


def find_words(source: Source, table: Mapping[str, str] | None = None) -> WordList:
    """The words of a clip; raises CannotAlign when there are none. With a table, nothing else is asked."""
    if table is not None:
        if source.id not in table:
            raise CannotAlign("no transcript", f"{source.id} is not in the table")
        return _words(table[source.id], "table")
    try:
        if source.align is not None:
            return _words(read_align(source.align).text, "alignment")
        if (text := text_of(source)) is not None:
            return _words(text.text, text.origin)
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


def _words(text: str, origin: str) -> WordList:
    words = tuple(word for word in text.split() if not is_silence(word))
    if not words:
        raise CannotAlign("no transcript", f"the {origin} holds no word")
    return WordList(words, origin)


def spoken_form(word: str) -> str:
    """What the synthesiser is to say for a word: letters, digits and apostrophes, no punctuation (it would pause)."""
    return re.sub(r"[^\w'’]|_", "", word)


def read_transcripts(path: Path) -> dict[str, str]:
    """Clip id → text of a table; raises LipkdError naming the file, the line and what is wrong."""
    rows = Rows(path, ("id", "path", "text", "speaker"))
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        rows.require("text")
    return dict(_entries(rows))


def _entries(rows: Rows) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for number, row in rows:
        if not isinstance(row.get("text"), str):
            raise rows.fault(number, "has no text; columns id (or path) and text are needed")
        clip = _clip_id(row)
        if clip is None:
            raise rows.fault(number, "names no clip; columns id (or path) and text are needed")
        if "/" not in clip:
            raise rows.fault(number, f"{clip!r} is no speaker/name")
        if clip in seen:
            raise rows.fault(number, f"{clip} appears twice")
        seen.add(clip)
        yield clip, one_line(row["text"])


def _clip_id(row: dict[str, Any]) -> str | None:
    """The id that a row names, NFC; by a path it is the folder, or the row's speaker, and the file's stem, and where
    the row has a start, as a table of clips does, that too."""
    name = row.get("id") or row.get("path")
    if not isinstance(name, str):
        return None
    if not row.get("id"):
        path = PurePosixPath(name.replace("\\", "/"))
        folder = str(row.get("speaker") or path.parent.name)
        start = str(row.get("start", "")).replace(",", ".")
        stem = f"{path.stem}@{float(start):g}" if re.fullmatch(r"\d+(\.\d*)?", start) else path.stem
        name = f"{folder}/{stem}" if folder else stem
    return unicodedata.normalize("NFC", name)
