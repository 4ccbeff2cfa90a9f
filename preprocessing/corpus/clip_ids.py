"""One id for one clip: names in one form, and the folder in the id where names repeat within a speaker."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from preprocessing.corpus.source import Source, as_name


def with_distinct_ids(sources: Sequence[Source], forms: bool = False) -> list[Source]:
    """The sources with ids and speakers in one form (NFC, printable text). Where files of one name lie in several
    folders of a speaker and their bytes differ, their ids get the folder: `anna/session1-0001`.

    Clips that are the same keep one id: files of equal bytes, and one name in two forms (`a.mpg` and `a.mp4`, or
    a folder of pictures) in one folder. With `forms` folders hold forms of the same clips, and no id gets a folder.
    """
    named = [replace(source, id=as_name(source.id), speaker=as_name(source.speaker)) for source in sources]
    if forms:
        return named
    by_id: defaultdict[str, list[int]] = defaultdict(list)
    for index, source in enumerate(named):
        by_id[source.id].append(index)
    for indices in by_id.values():
        paths = [named[index].path for index in indices]
        if len({path.parent for path in paths}) > 1:
            for index, folder in zip(indices, _folders(paths), strict=True):
                speaker, _, name = named[index].id.partition("/")
                if folder:
                    named[index] = replace(named[index], id=f"{speaker}/{as_name(folder)}-{name}")
    return named


def _folders(paths: Sequence[Path]) -> list[str]:
    """For each path the part of its folders that tells it from the others; the same one for equal contents."""
    first: dict[object, Path] = {}
    parents = [list(first.setdefault(_content(path), path).parent.parts) for path in paths]
    for end in (0, -1):  # what all have in common at the front, then at the back
        while all(parents) and len({parts[end] for parts in parents}) == 1:
            for parts in parents:
                parts.pop(end)
    return ["-".join(parts) for parts in parents]


def _content(path: Path) -> object:
    """What tells whether two files are the same: the digest of the bytes; a path that is no file is itself."""
    try:
        if not path.is_file():
            return path
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return path


def same_name_speakers(speakers: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of speakers whose names differ in case or form only, in order of their first."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for speaker in dict.fromkeys(speakers):
        groups[unicodedata.normalize("NFKC", speaker).casefold()].append(speaker)
    return [tuple(group) for group in groups.values() if len(group) > 1]
