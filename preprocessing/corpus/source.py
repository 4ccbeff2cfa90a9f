"""Where the clips of a corpus lie, and which alignment belongs to which.

Two layouts, as the corpora have them: a video per clip, `SPEAKER/NAME.mp4`, or a folder of numbered
pictures per clip, `SPEAKER/NAME/mouth_000.png`. The source is either the folder of the speakers or a
corpus root that holds it as `mouth/` (and pictures as `frames/`). Alignments, `NAME.align`, lie beside
the clip, in `align/SPEAKER/` inside the source, or in `align/SPEAKER/` beside it.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mpg", ".mpeg", ".mkv", ".webm", ".wmv", ".flv", ".ogv", ".3gp", ".ts", ".mts")
)
ALIGN_FOLDER = "align"
CLIP_FOLDERS = ("mouth", "frames")


@dataclass(frozen=True)
class Source:
    """One clip on disk: a video file, a folder of pictures or an array, and its alignment if there is one.

    `text` is what a table of clips says is said, `label` the word that a one-word corpus's folder says;
    `span` is the part of the video in seconds.
    """

    id: str
    speaker: str
    path: Path
    align: Path | None
    text: str | None = None
    span: tuple[float, float] | None = None
    label: str | None = None


def natural_key(name: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """Sorting key that puts s2 before s10."""
    parts = re.findall(r"(\D*)(\d*)", name)
    return tuple((text, int(digits or -1)) for text, digits in parts), name


def as_text(name: str) -> str:
    """A file name with the bytes that are no UTF-8 shown as �."""
    return os.fsencode(name).decode(errors="replace")


def below(path: Path, src: Path) -> str:
    """The path relative to the corpus `src`, as text; as it is when it lies elsewhere."""
    return as_text((path.relative_to(src) if path.is_relative_to(src) else path).as_posix())


def find_clips(src: Path, *, align: Path | None = None) -> list[Source]:
    """All clips under `src` in natural order of speaker, then name; a clip may occur in two forms.

    `align` overrides where alignments are looked for. Raises LipkdError when a folder is missing or no clip is found.
    """
    for name, folder in (("source", src), ("alignments", align)):
        if folder is not None and not folder.is_dir():
            raise LipkdError(f"{name} {folder}: no such folder")
    bases = [src / name for name in CLIP_FOLDERS if (src / name).is_dir()] if (src / "mouth").is_dir() else [src]
    folders = [folder for base in bases for folder in _folders(base) if folder.name != ALIGN_FOLDER]
    sources = [
        Source(f"{folder.name}/{name}", folder.name, path, _find_align(src, folder, name, align))
        for folder in folders
        for name, path in _clips(folder)
    ]
    if not sources:
        raise LipkdError(f"0 clips found in {src}: expected speaker/name.mp4 or speaker/name/*.png")
    return sorted(sources, key=lambda source: natural_key(source.id))  # stable: mouth/ comes before frames/


def _visible(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.name.startswith("."))


def _folders(base: Path) -> list[Path]:
    return [path for path in _visible(base.iterdir()) if path.is_dir()]


def _clips(folder: Path) -> list[tuple[str, Path]]:
    """(name, path) of a speaker's clips: videos, and folders with pictures in them or nothing at all."""
    found = []
    for path in _visible(folder.iterdir()):
        if path.is_dir():
            content = _visible(path.iterdir())
            if not content or any(entry.suffix.lower() == ".png" for entry in content):
                found.append((path.name, path))
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            found.append((path.stem, path))
    return found


def _find_align(src: Path, folder: Path, name: str, align: Path | None) -> Path | None:
    elsewhere = (src / ALIGN_FOLDER, src.parent / ALIGN_FOLDER) if align is None else (align,)
    candidates = [base / folder.name / f"{name}.align" for base in elsewhere]
    if align is None:
        candidates.insert(0, folder / f"{name}.align")
    return next((path for path in candidates if path.is_file()), None)
