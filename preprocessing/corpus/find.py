"""The clips of a corpus: its layout, decided by what explains its files, their alignments, and what is left over."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError
from preprocessing.corpus.alignments import NO_ALIGNMENTS, with_alignments
from preprocessing.corpus.clip_ids import same_name_speakers, with_distinct_ids
from preprocessing.corpus.clip_table import find_table
from preprocessing.corpus.files import CorpusFiles, list_files, named
from preprocessing.corpus.layouts import (
    NOBODY,
    PARTS,
    Frames,
    Grid,
    Italian,
    Layout,
    Speakers,
    Table,
    Words,
    clips,
    layouts,
)
from preprocessing.corpus.source import Source, as_text, natural_key
from preprocessing.corpus.transcripts import grid_words, text_file, text_of

AUTO = "auto"
MOST_CORPORA = 20  # more folders than that are speakers or words
# What folders of a corpus are called after what is in them, never speakers.
NO_SPEAKERS = frozenset(
    {"align", "audio", "clips", "commands", "data", "digits", "faces", "frames", "letters", "mouth", "phrases"}
    | {"sentences", "video", "videos", "words"}
)


@dataclass(frozen=True)
class Corpus:
    """A corpus as it was read: layout, clips, and lines that say what was taken for what and what was not used."""

    layout: Layout
    sources: list[Source]
    lines: tuple[str, ...]


def find_corpus(src: Path, layout: str = AUTO, align: Path | None = None, anywhere: bool = False) -> Corpus:
    """The clips of a corpus or a table in the layout of that name, or in the one that explains most of its files.

    `align` is where alignments lie, `anywhere` allows a table to name files outside its folder. Raises LipkdError for
    an unknown layout, a folder that is missing or without clips, one that can be read in two ways, and alignments
    that belong to no clip.
    """
    readers = layouts(src, anywhere)
    if layout not in (AUTO, *(reader.name for reader in readers)):
        raise LipkdError(f"layout {layout!r}: must be one of auto, {', '.join(reader.name for reader in readers)}")
    files = list_files(src.parent if src.is_file() else src)
    if layout == AUTO:
        reader = recognise(src, files)
    else:
        reader = next(reader for reader in readers if reader.name == layout)
    found = reader.find(files)
    if not found:
        where = f" (layout {reader.name})" if layout != AUTO else ""
        raise LipkdError(
            f"0 clips found in {src}{where}: expected speaker/name.mp4 or speaker/name/*.png, "
            "or a table clips.csv with path, speaker and text"
        )
    if isinstance(reader, Table) and align is None:
        align = NO_ALIGNMENTS  # the files of a table's clips need not lie as those of a corpus do
    aligned = with_alignments(with_distinct_ids(found, reader.forms), files, align)
    lines = []
    if isinstance(reader, Frames | Speakers) and any(_is_deep(source, files) for source in found):
        speakers = sorted({source.speaker for source in aligned.sources}, key=natural_key)
        lines.append(f"there are folders in folders: the outer ones are the speakers ({_some(speakers)})")
    if isinstance(reader, Words):
        lines.append(_on_words(found, files, sure=layout != AUTO))
    used = _files_of(aligned.sources, files) | aligned.used
    if not src.is_file() and (left := files.without(used | set(aligned.unused))):
        lines.append(f"{len(left)} files are not used: {named(left, files.root)}")
    if aligned.unused and not src.is_file():
        lines.append(f"{len(aligned.unused)} alignments belong to no clip: {named(list(aligned.unused), files.root)}")
    if files.stores:
        lines.append(f"clip stores in it are passed over: {named(list(files.stores), files.root)}")
    lines += _on_speakers(found, aligned.sources)
    return Corpus(reader, aligned.sources, tuple(lines))


def recognise(src: Path, files: CorpusFiles) -> Layout:
    """The layout that explains most files of a corpus: clips with their words, and what these stand in; then clips.

    A table is taken at its word. Raises LipkdError when two layouts explain as many files and find other clips, and
    for a folder of several corpora.
    """
    (best, score, best_clips), *others = _ranked(src, files)
    if several := _several_corpora(files, best):
        raise LipkdError(
            f"source {src}: holds several corpora, {_some(several, 8)}; prepare each by itself, or say with --layout "
            "how to read all of it"
        )
    for other, other_score, other_clips in others:
        # That names code sentences tells GRID, wherever its speakers' folders lie.
        as_good = other_score == score and other_clips != best_clips and not isinstance(best, Grid)
        # Folders that are words, but not for all clips: some have other words beside them.
        disputed = isinstance(best, Words) and score[0] < score[1] and other_score[0] > 0
        if score > (0, 0) and (as_good or disputed):
            raise LipkdError(
                f"source {src}: can be read as layout {best.name} or as layout {other.name}, which explain "
                f"{max(score)} and {max(other_score)} files; say which with --layout"
            )
    return best


Ranked = tuple[Layout, tuple[int, int], set[tuple[str, Path]]]


def _ranked(src: Path, files: CorpusFiles) -> list[Ranked]:
    """The layouts a corpus may have, with how much each explains and its clips, the best first; a table alone."""
    readers = layouts(src)
    if find_table(src) is not None:
        return [(readers[0], (1, 1), set())]
    candidates: list[Ranked] = []
    for reader in readers[1:]:
        found = with_distinct_ids(reader.find(files), reader.forms)
        if isinstance(reader, Words) and not _are_words(found, files):
            continue
        candidates.append((reader, _explained(found, files), {(source.id, source.path) for source in found}))
    # Stable: the most particular of equals stays first.
    return sorted(candidates, key=lambda candidate: candidate[1], reverse=True)


def _several_corpora(files: CorpusFiles, best: Layout) -> list[str]:
    """The folders of a corpus that are corpora themselves, each with its layout; none where it is one corpus.

    They are when their layouts differ, and when they are called like what a corpus consists of (`words`, `phrases`):
    a reading of the whole would take such names for speakers or words.
    """
    if isinstance(best, Table | Italian):
        return []
    parts = _parts_with_clips(files)
    while len(parts) == 1:  # a folder that holds all
        parts = _parts_with_clips(parts[0])
    parts = [part for part in parts if part.root.name.lower() not in PARTS and _has_folders(part)]
    if not 1 < len(parts) <= MOST_CORPORA:
        return []
    read: list[tuple[str, Layout]] = []
    for part in parts:
        reader, (with_words, all_files), _ = _ranked(part.root, part)[0]
        # Clips without words are a corpus too, but among GRID's or as arrays they are something that lies there.
        wordless = isinstance(reader, Words | Frames | Speakers) and not isinstance(best, Grid)
        if with_words > 0 or (all_files > 0 and wordless):
            read.append((part.root.name, reader))
    kinds = {Speakers.name if isinstance(reader, Frames) else reader.name for _, reader in read}
    called = [name.lower() in NO_SPEAKERS for name, _ in read]
    wrong_names = all(called) if isinstance(best, Words) else any(called) and isinstance(best, Frames | Speakers)
    if len(read) < 2 or not (len(kinds) > 1 or wrong_names):
        return []
    read.sort(key=lambda name_and_reader: natural_key(name_and_reader[0]))
    return [f"{as_text(name)} (layout {reader.name})" for name, reader in read]


def _parts_with_clips(files: CorpusFiles) -> list[CorpusFiles]:
    return [part for part in files.parts() if part.videos or part.picture_folders or part.suffixed(".npy")]


def _has_folders(files: CorpusFiles) -> bool:
    """Whether all clips lie in folders of their own below the root."""
    return all(path.parent != files.root for path in (*clips(files), *files.suffixed(".npy")))


def _is_deep(source: Source, files: CorpusFiles) -> bool:
    """Whether folders lie between a clip and its speaker's."""
    return source.path.parent.name != source.speaker and source.path.parent != files.root


def _are_words(found: Sequence[Source], files: CorpusFiles) -> bool:
    """Whether all videos in folders lie in folders that may be words, at least two of them."""
    in_folders = [path for path in files.videos if path.parent != files.root]
    return len(found) == len(in_folders) and len({source.label for source in found}) > 1


def _explained(sources: Sequence[Source], files: CorpusFiles) -> tuple[int, int]:
    """How many files are clips with words or hold these words, and how many belong to clips at all."""
    try:
        aligned = with_alignments(sources, files, None).sources
    except LipkdError:
        aligned = list(sources)
    with_words = [source for source in aligned if _has_words(source)]
    aligns = {source.align for source in with_words if source.align is not None}
    return len(_files_of(with_words, files) | aligns), len(_files_of(aligned, files))


def _has_words(source: Source) -> bool:
    """Whether something tells what is said in a clip; a folder's name only where nothing else tells otherwise."""
    if source.label is not None:
        beside = text_file(source.path)
        told = source.align is not None or grid_words(source.path.stem) is not None
        return not told and (beside is None or _same(source, beside))
    try:
        return source.align is not None or text_of(source) is not None
    except LipkdError:
        return False


def _same(source: Source, beside: Path) -> bool:
    """Whether a text file beside a clip holds no other words than its folder's name."""
    try:
        content = text_of(Source(source.id, source.speaker, source.path, None))
    except LipkdError:
        return True  # it describes the clip and says no words
    return content is None or content.text.strip(" .!?").casefold() == source.text


def _files_of(sources: Sequence[Source], files: CorpusFiles) -> set[Path]:
    """The files of clips: videos, all pictures of a folder, and text files beside them."""
    used: set[Path] = set()
    for source in sources:
        used.update(files.picture_folders.get(source.path, (source.path,)))
        if source.text is None and source.align is None and (beside := text_file(source.path)) is not None:
            used.add(beside)
    return used


def _on_words(found: Sequence[Source], files: CorpusFiles, sure: bool) -> str:
    """What the folders of a layout `words` were taken for. Nothing but their names tells when no folder is in them."""
    labels = sorted({source.label or "" for source in found}, key=natural_key)
    line = f"the names of the folders are the words that are said: {_some(labels)}"
    speakers = sorted({source.speaker for source in found} - {NOBODY}, key=natural_key)
    if speakers:
        return f"{line}; the folders in them are the speakers: {_some(speakers)}"
    flat = all(len(source.path.relative_to(files.root).parts) == 2 for source in found)
    return f"{line}; if they are speakers, say --layout speakers" if flat and not sure else line


def _on_speakers(found: Sequence[Source], named_: Sequence[Source]) -> list[str]:
    lines = []
    if called := sorted({source.speaker for source in named_ if source.speaker.lower() in NO_SPEAKERS}):
        lines.append(
            f"a folder is taken for a speaker by the name of {' and '.join(called)}; name it after the speaker"
        )
    forms: dict[str, set[str]] = {}
    for before, after in zip(found, named_, strict=True):
        forms.setdefault(after.speaker, set()).add(before.speaker)
    if two := [speaker for speaker, written in forms.items() if len(written) > 1]:
        lines.append(f"speakers written in two forms of Unicode are one: {_some(two)}")
    for group in same_name_speakers(source.speaker for source in named_):
        apart = ", ".join(f"[{name}]" for name in group)
        lines.append(
            f"speakers {' and '.join(group)} differ in case or form only: one person in every split, unless "
            f"data.same_person says [{apart}]"
        )
    return lines


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


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
    return sorted(wanted, key=lambda s: natural_key(s.id))[:limit]
