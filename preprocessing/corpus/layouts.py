"""The layouts of corpora that `lipkd prepare` reads, each a reader that finds the clips in it.

Which one a corpus has is decided by what explains most of its files (`find.recognise`): clips that come with their
words, and the files that hold these. A reader only looks at names and transcripts; whether a clip can be used is
decided when it is prepared.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from preprocessing.corpus.clip_table import find_table, read_table
from preprocessing.corpus.files import CorpusFiles
from preprocessing.corpus.source import Source, natural_key
from preprocessing.corpus.transcripts import grid_words

SPEAKER = re.compile(r"s\d+$", re.IGNORECASE)
LABEL = re.compile(r"[^\W\d_]+$")
CLIP_FOLDERS = ("mouth", "frames")
ALIGN = "align"
# Parts of a corpus, which are no speakers.
PARTS = frozenset({"train", "training", "trainval", "pretrain", "val", "valid", "validation", "dev", "test", "main"})
NOBODY = "unknown"  # the speaker of a clip of which nothing tells


class Layout(Protocol):
    """A reader of one layout. `face` says what its videos show, None where that must be looked at; `forms` whether
    files of one name in several folders of a speaker are forms of one clip."""

    @property
    def name(self) -> str: ...

    @property
    def face(self) -> bool | None: ...

    @property
    def forms(self) -> bool: ...

    def find(self, files: CorpusFiles) -> list[Source]:
        """All clips, in any order, without alignments; none where the corpus is not laid out so."""
        ...


@dataclass(frozen=True)
class Table:
    """A table with path, speaker, text[, start, end], or a folder that holds it as clips.csv, .tsv, .jsonl or .xlsx."""

    src: Path
    anywhere: bool = False
    name: str = "table"
    face: bool | None = None
    forms: bool = False

    def find(self, files: CorpusFiles) -> list[Source]:
        table = find_table(self.src)
        return [] if table is None else read_table(table, self.anywhere)


@dataclass(frozen=True)
class Italian:
    """The Italian thesis corpus: mouth crops in `mouth/` (videos) and `frames/` (pictures), alignments in `align/`."""

    name: str = "italian"
    face: bool | None = False
    forms: bool = True

    def find(self, files: CorpusFiles) -> list[Source]:
        if not (files.root / "mouth").is_dir():
            return []
        found = []
        for path in clips(files):
            place, *folders = path.relative_to(files.root).parts[:-1] or ("",)
            if place in CLIP_FOLDERS and len(folders) == 1:
                found.append(_source(folders[0], path))
        return sorted(found, key=lambda s: CLIP_FOLDERS.index(s.path.relative_to(files.root).parts[0]))


@dataclass(frozen=True)
class Grid:
    """GRID: whole faces, `…/sN/…/name.mpg` at any depth, where the name codes the sentence."""

    name: str = "grid"
    face: bool | None = True
    forms: bool = True

    def find(self, files: CorpusFiles) -> list[Source]:
        root = files.root
        found = []
        for path in files.videos:
            if grid_words(path.stem) is not None:
                folder = next((part for part in path.relative_to(root).parts[:-1] if SPEAKER.match(part)), None)
                found.append(_source(folder or (root.name if SPEAKER.match(root.name) else path.parent.name), path))
        return found


@dataclass(frozen=True)
class Arrays:
    """`speaker/name.npy`, arrays (T, height, width, 3) of mouth crops, RGB."""

    name: str = "npy"
    face: bool | None = False
    forms: bool = False

    def find(self, files: CorpusFiles) -> list[Source]:
        return [_source(path.parent.name, path) for path in files.suffixed(".npy")]


@dataclass(frozen=True)
class Frames:
    """`speaker/name/*.png`, a folder of numbered pictures per clip."""

    name: str = "frames"
    face: bool | None = None
    forms: bool = False

    def find(self, files: CorpusFiles) -> list[Source]:
        found = [source for source in Speakers().find(files) if source.path.is_dir()]
        return found if any(source.path in files.picture_folders for source in found) else []


@dataclass(frozen=True)
class Words:
    """`word/name.mp4` or `word/speaker/name.mp4`, one word per clip, said by the folder's name."""

    name: str = "words"
    face: bool | None = None
    forms: bool = False

    def find(self, files: CorpusFiles) -> list[Source]:
        found = []
        for path in files.videos:
            folders = path.relative_to(files.root).parts[:-1]
            if folders and LABEL.match(folders[0]) and folders[0].lower() not in PARTS and folders[0] != ALIGN:
                label = folders[0]
                speaker = next((part for part in folders[1:] if part.lower() not in PARTS), NOBODY)
                clip_id = f"{speaker}/{label}-{path.stem}"
                found.append(Source(clip_id, speaker, path, None, label.casefold(), None, label))
        return found


@dataclass(frozen=True)
class Speakers:
    """`speaker/name.mp4` or `speaker/name/*.png`, with `name.align` or `name.txt` beside it, or alignments in `align/`.

    Folders that hold all clips, and parts of a corpus like `train`, may lie above the speakers, and any below them.
    """

    name: str = "speakers"
    face: bool | None = None
    forms: bool = False

    def find(self, files: CorpusFiles) -> list[Source]:
        found = [(path, _below_parts(path, files.root)) for path in clips(files)]
        found = [(path, folders) for path, folders in found if folders]
        while found and min(len(folders) for _, folders in found) > 1 and len({f[0] for _, f in found}) == 1:
            found = [(path, folders[1:]) for path, folders in found]
        sources = [_source(folders[0], path) for path, folders in found]
        return sorted(sources, key=lambda source: natural_key(source.id))


def layouts(src: Path, anywhere: bool = False) -> tuple[Layout, ...]:
    """All layouts, for a corpus or a table at `src`."""
    return (Table(src, anywhere), Italian(), Grid(), Arrays(), Frames(), Words(), Speakers())


def clips(files: CorpusFiles) -> list[Path]:
    """What may be a clip: videos, folders of pictures and empty folders in a folder of their own."""
    folders = [path for path in (*files.picture_folders, *files.empty) if path not in (files.root, *files.root.parents)]
    below = [path for path in folders if path.parent != files.root]
    return sorted([*files.videos, *below])


def _below_parts(path: Path, root: Path) -> tuple[str, ...]:
    """The folders between the corpus and a clip without the parts of a corpus that come first."""
    folders = path.relative_to(root).parts[:-1]
    while folders and folders[0].lower() in PARTS:
        folders = folders[1:]
    return () if folders[:1] == (ALIGN,) else folders


def _source(speaker: str, path: Path) -> Source:
    name = path.name if path.is_dir() else path.stem
    return Source(f"{speaker}/{name}", speaker, path, None)
