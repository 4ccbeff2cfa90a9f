"""Which words are said in a clip: from a table, an alignment, a folder's name, a text file, or the name of a GRID file.

A table of transcripts (any of `table_file`) has a column `text` and one that names the clip: `id` (`speaker/name`) or
`path` (relative to the source; that of a clip stands for the clip's id). Without one a clip's words are looked for in
its `.align` file (the times are not used), in the corpus's table of clips or the name of a one-word corpus's folder,
in `NAME.txt` beside it, and in its name. Of a text file like those of LRS (`Text:  …`, `Conf:  …`) the text is taken.
"""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lipkd.errors import LipkdError
from preprocessing.corpus.align_file import MARKUP, is_silence, read_align
from preprocessing.corpus.source import VIDEO_SUFFIXES, Source, as_name
from preprocessing.corpus.table_file import Row, Rows
from preprocessing.corpus.table_file import text_of as one_line
from preprocessing.corpus.text_file import read_text, split_lines
from preprocessing.rejects import CannotAlign

FIELD = re.compile(r"([A-Za-z][\w -]{0,30}):\s")  # `Text:  …` in a file of a corpus that describes its clips
MEDIA_SUFFIXES = VIDEO_SUFFIXES | {".wav", ".flac", ".mp3", ".m4a", ".npy"}  # of a clip in a form that a table may name
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
        raise LipkdError(f"{where}: {found[0]!r} is not a spoken word")
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
    raise CannotAlign("no transcript", f"no {name}.align, no {name}.txt beside it, and the name is not a GRID code")


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


def read_transcripts(path: Path, sources: Sequence[Source] = (), root: Path = Path()) -> dict[str, str]:
    """Clip id → text of a table; raises LipkdError naming the file, the line and what is wrong.

    A path is that of one of the `sources`, relative to their corpus `root`, whatever its suffix, and stands for the id
    that this clip has. Of other paths the last folder (or the row's speaker) and the stem are taken for the id.
    """
    rows = Rows(path, ("id", "path", "text", "speaker"))
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        rows.require("text")
    by_place: defaultdict[str, dict[str, Source]] = defaultdict(dict)  # place → id → clip
    for source in sources:
        if source.path.is_relative_to(root):
            place = source.path.relative_to(root)
            for form in {place, place if source.path.is_dir() else place.with_suffix("")}:
                by_place[as_name(form.as_posix())][source.id] = source
    texts: dict[str, str] = {}
    for number, row in rows:
        if not isinstance(row.get("text"), str):
            raise rows.fault(number, "has no text; columns id (or path) and text are needed")
        name = row.get("id") or row.get("path")
        if not isinstance(name, str):
            raise rows.fault(number, "names no clip; columns id (or path) and text are needed")
        text = one_line(row["text"])
        found = None if row.get("id") else _clip_at(row, by_place)
        clip = _clip_id(row, name) if found is None else found.id
        if "/" not in clip:
            raise rows.fault(number, f"{clip!r} is not of the form speaker/name")
        # Files of equal bytes are one clip, and each may have its row.
        if clip in texts and (found is None or texts[clip] != text):
            raise rows.fault(number, f"{clip} appears twice")
        texts[clip] = text
    return texts


def _clip_at(row: Row, by_place: Mapping[str, Mapping[str, Source]]) -> Source | None:
    """The clip at a row's path, of several parts of one video the one with its start; None where it is none of them."""
    place = PurePosixPath(posixpath.normpath(row["path"].replace("\\", "/")))
    start = _start(row)
    known = place.suffix.lower() in MEDIA_SUFFIXES
    for form in (place, place.with_suffix("")) if known else (place,):
        found = [
            source
            for source in by_place.get(as_name(str(form)), {}).values()
            if start is None or source.span is None or source.span[0] == start
        ]
        if len(found) == 1:
            return found[0]
    return None


def _clip_id(row: Row, name: str) -> str:
    """The id that a row names, NFC; by a path it is the folder, or the row's speaker, and the file's stem, and where
    the row has a start, as a table of clips does, that too."""
    if not row.get("id"):
        path = PurePosixPath(name.replace("\\", "/"))
        folder = str(row.get("speaker") or path.parent.name)
        start = _start(row)
        stem = path.stem if start is None else f"{path.stem}@{start:g}"
        name = f"{folder}/{stem}" if folder else stem
    return unicodedata.normalize("NFC", name)


def _start(row: Row) -> float | None:
    start = str(row.get("start", "")).replace(",", ".")
    return float(start) if re.fullmatch(r"\d+(\.\d*)?", start) else None
