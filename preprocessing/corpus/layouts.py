"""The layouts of corpora that `lipkd prepare` reads, each a reader: what it recognises, and the clips in it.

`recognise` tries them in the order of LAYOUTS, the most particular first. A reader only looks at names and
transcripts; whether a clip can be used is decided when it is prepared.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lipkd.errors import LipkdError
from preprocessing.corpus.clip_table import find_table, read_table
from preprocessing.corpus.source import ALIGN_FOLDER, VIDEO_SUFFIXES, Source, as_text, find_clips, natural_key
from preprocessing.corpus.transcripts import grid_words

SPEAKER = re.compile(r"s\d+$", re.IGNORECASE)
LABEL = re.compile(r"[^\W\d_]+$")


class Layout(Protocol):
    """A reader of one layout. `face` says what its videos show, None where that must be looked at."""

    @property
    def name(self) -> str: ...

    @property
    def face(self) -> bool | None: ...

    def recognises(self, src: Path) -> bool:
        """Whether `src` looks like this layout."""
        ...

    def find(self, src: Path, align: Path | None) -> list[Source]:
        """All clips, in any order; raises LipkdError when the corpus itself is broken."""
        ...


@dataclass(frozen=True)
class Table:
    """A CSV or JSONL file with path, speaker, text[, start, end], or a folder that holds it as clips.csv or .jsonl."""

    name: str = "table"
    face: bool | None = None

    def recognises(self, src: Path) -> bool:
        return find_table(src) is not None

    def find(self, src: Path, align: Path | None) -> list[Source]:
        table = find_table(src)
        if table is None:
            raise LipkdError(f"table {src}: expected a .csv or .jsonl file, or a folder with clips.csv or clips.jsonl")
        aligns = {} if align is None else index_aligns(src, align)
        return [replace(s, align=aligns.get((s.speaker, s.id.partition("/")[2]))) for s in read_table(table)]


@dataclass(frozen=True)
class Arrays:
    """`speaker/name.npy`, arrays (T, height, width, 3) of mouth crops, RGB."""

    name: str = "npy"
    face: bool | None = False

    def recognises(self, src: Path) -> bool:
        return any(path.suffix.lower() == ".npy" for path in walk(src))

    def find(self, src: Path, align: Path | None) -> list[Source]:
        aligns = index_aligns(src, align)
        return [
            Source(f"{path.parent.name}/{path.stem}", path.parent.name, path, aligns.get((path.parent.name, path.stem)))
            for path in walk(src)
            if path.suffix.lower() == ".npy"
        ]


@dataclass(frozen=True)
class Grid:
    """GRID: whole faces, `…/sN/…/name.mpg` at any depth, where the name codes the sentence."""

    name: str = "grid"
    face: bool | None = True

    def recognises(self, src: Path) -> bool:
        names = [path.stem for path in videos(src)]
        return bool(names) and sum(grid_words(name) is not None for name in names) >= 0.9 * len(names)

    def find(self, src: Path, align: Path | None) -> list[Source]:
        aligns = index_aligns(src, align)
        found = []
        for path in videos(src):
            speaker = speaker_of(path.relative_to(src)) or (src.name if SPEAKER.match(src.name) else path.parent.name)
            found.append(Source(f"{speaker}/{path.stem}", speaker, path, aligns.get((speaker, path.stem))))
        return found


@dataclass(frozen=True)
class Italian:
    """The Italian thesis corpus: mouth crops in `mouth/` (videos) and `frames/` (pictures), alignments in `align/`."""

    name: str = "italian"
    face: bool | None = False

    def recognises(self, src: Path) -> bool:
        return (src / "mouth").is_dir()

    def find(self, src: Path, align: Path | None) -> list[Source]:
        return find_clips(src, align=align)


@dataclass(frozen=True)
class Frames:
    """`speaker/name/*.png`, a folder of numbered pictures per clip."""

    name: str = "frames"
    face: bool | None = None

    def recognises(self, src: Path) -> bool:
        return not any(True for _ in videos(src)) and any(path.suffix.lower() == ".png" for path in walk(src))

    def find(self, src: Path, align: Path | None) -> list[Source]:
        return [source for source in find_clips(src, align=align) if source.path.is_dir()]


@dataclass(frozen=True)
class Words:
    """`word/name.mp4` or `word/speaker/name.mp4`, one word per clip, said by the folder's name."""

    name: str = "words"
    face: bool | None = None

    def recognises(self, src: Path) -> bool:
        if index_aligns(src, None):
            return False
        folders = {path.relative_to(src).parts[0] for path in videos(src) if len(path.relative_to(src).parts) > 1}
        return len(folders) > 1 and all(LABEL.match(folder) for folder in folders)

    def find(self, src: Path, align: Path | None) -> list[Source]:
        found = []
        for path in videos(src):
            label, *between, _ = (*path.relative_to(src).parts, "")[:-1] or ("",)
            if between or len(path.relative_to(src).parts) > 1:
                speaker = between[0] if between else "unknown"
                found.append(
                    Source(f"{speaker}/{label}-{path.stem}", speaker, path, None, label.casefold(), None, label)
                )
        return found


@dataclass(frozen=True)
class Speakers:
    """`speaker/name.mp4` with `name.align` beside it or in `align/`: videos of whole faces or of mouths."""

    name: str = "speakers"
    face: bool | None = None

    def recognises(self, src: Path) -> bool:
        return src.is_dir()

    def find(self, src: Path, align: Path | None) -> list[Source]:
        return find_clips(src, align=align)


LAYOUTS: tuple[Layout, ...] = (Table(), Italian(), Grid(), Arrays(), Frames(), Words(), Speakers())


def find_sources(src: Path, layout: str = "auto", align: Path | None = None) -> tuple[Layout, list[Source]]:
    """The layout of a corpus (a name of LAYOUTS, or `auto`) and its clips, alignments from `align` if given.

    Raises LipkdError for an unknown layout, a folder that is missing or one without clips.
    """
    reader = recognise(src) if layout == "auto" else layout_named(layout)
    found = reader.find(src, align)
    if not found:
        raise LipkdError(f"0 clips found in {src} (layout {reader.name})")
    return reader, found


def recognise(src: Path) -> Layout:
    """The first layout that recognises `src`; raises LipkdError when there is no such folder or table."""
    for layout in LAYOUTS:
        if layout.recognises(src):
            return layout
    raise LipkdError(f"source {src}: no such folder")


def layout_named(name: str) -> Layout:
    """The layout of that name; raises LipkdError when there is none."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise LipkdError(f"layout {name!r}: must be one of auto, {', '.join(layout.name for layout in LAYOUTS)}")


def choose(
    sources: list[Source], *, speakers: Sequence[str] | None, pattern: str | None, limit: int | None
) -> list[Source]:
    """The wanted clips in natural order of speaker, then name; raises LipkdError when none is left.

    `pattern` is a regular expression that must occur in the clip's id.
    """
    known = sorted({source.speaker for source in sources}, key=natural_key)
    if unknown := [name for name in speakers or () if name not in known]:
        raise LipkdError(f"speakers {', '.join(unknown)}: not in the corpus, which has {', '.join(known)}")
    try:
        matches = re.compile(pattern or "").search
    except re.error as error:
        raise LipkdError(f"pattern {pattern!r}: not a regular expression ({error})") from error
    wanted = [s for s in sources if (speakers is None or s.speaker in speakers) and matches(s.id)]
    if not wanted:
        raise LipkdError(f"pattern {pattern!r}: occurs in none of {len(sources)} clips, like {sources[0].id}")
    return [presentable(s) for s in sorted(wanted, key=lambda s: natural_key(s.id))[:limit]]


def presentable(source: Source) -> Source:
    """The source with an id that can be written as UTF-8; a file name need not be text."""
    return replace(source, id=as_text(source.id), speaker=as_text(source.speaker))


def speaker_of(path: Path) -> str | None:
    """The first folder of a path that is named like a GRID speaker (s1, s2, …)."""
    return next((part for part in path.parts[:-1] if SPEAKER.match(part)), None)


def index_aligns(src: Path, align: Path | None) -> dict[tuple[str, str], Path]:
    """Alignments by (speaker, clip name): from `align` if given, else from under `src` and from `align/` beside it."""
    if align is not None and not align.is_dir():
        raise LipkdError(f"alignments {align}: no such folder")
    places = [src.parent / ALIGN_FOLDER, src] if align is None else [align]
    found = {}
    for place in places:
        for path in walk(place):
            if path.suffix.lower() == ".align":
                below = path.relative_to(place)
                speaker = speaker_of(below) or (below.parts[-2] if len(below.parts) > 1 else src.name)
                found[speaker, path.stem] = path
    return found


def videos(src: Path) -> Iterator[Path]:
    """Everything under `src` that is named like a video, files or not."""
    return (path for path in walk(src) if path.suffix.lower() in VIDEO_SUFFIXES)


def walk(src: Path) -> Iterator[Path]:
    """All entries under `src` that are no folders, hidden ones left out, in order; links are followed, once."""
    seen = set()
    for folder, folders, files in os.walk(src, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))
