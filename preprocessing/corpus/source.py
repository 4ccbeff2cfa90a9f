"""One clip on disk, and the names of clips, speakers and files as text."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mpg", ".mpeg", ".mkv", ".webm", ".wmv", ".flv", ".ogv", ".3gp", ".ts", ".mts")
)


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


def as_name(name: str) -> str:
    """The one form of a clip's or a speaker's name: NFC, what is no text shown as �, control characters too."""
    text = unicodedata.normalize("NFC", as_text(name))
    return "".join("�" if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)


def below(path: Path, src: Path) -> str:
    """The path relative to the corpus `src`, as text; as it is when it lies elsewhere."""
    return as_text((path.relative_to(src) if path.is_relative_to(src) else path).as_posix())
