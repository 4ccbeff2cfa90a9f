"""Which alignment file belongs to which clip, and which belong to none.

An alignment lies beside its clip under the same name, or in a folder named like the speaker: under the corpus or in
`align/` beside it, or under the folder that was given. Names are compared in NFC.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lipkd.errors import LipkdError
from preprocessing.corpus.files import CorpusFiles, list_files, named
from preprocessing.corpus.source import Source, as_name

ALIGN_FOLDER = "align"
NO_ALIGNMENTS = Path("none")  # as --align: do without


@dataclass(frozen=True)
class Alignments:
    """The sources, each with its alignment if it has one, and the alignment files that belong to none of them."""

    sources: list[Source]
    used: frozenset[Path]
    unused: tuple[Path, ...]


def with_alignments(sources: Sequence[Source], files: CorpusFiles, align: Path | None) -> Alignments:
    """Find the alignments of clips, in `align` if given, else under the corpus and in `align/` beside it.

    Raises LipkdError when `align` is no folder, and when there are alignments and not one fits a clip.
    """
    if align == NO_ALIGNMENTS:
        return Alignments(list(sources), frozenset(), ())
    if align is not None and not align.is_dir():
        raise LipkdError(f"alignments {align}: no such folder")
    beside = files.root.parent / ALIGN_FOLDER
    if align is not None:
        places = [list_files(align)]
    else:
        places = [files, *([list_files(beside)] if beside.is_dir() and beside != files.root else [])]
    by_name: defaultdict[str, list[tuple[int, Path, Path]]] = defaultdict(list)
    for rank, place in enumerate(places):
        for path in place.aligns:
            by_name[as_name(path.stem)].append((rank, place.root, path))
    found = [replace(source, align=_belonging(source, by_name)) for source in sources]
    used = frozenset(source.align for source in found if source.align is not None)
    own = [path for place in places[:1] for path in place.aligns]
    if own and not used and sources:
        raise LipkdError(
            f"alignments {places[0].root}: none of {len(own)} files belongs to a clip: they are like "
            f"{named(own, places[0].root, 1)}, clips like {sources[0].id}; name them so, or do without (--align none)"
        )
    return Alignments(found, used, tuple(path for path in own if path not in used))


def _belonging(source: Source, by_name: dict[str, list[tuple[int, Path, Path]]]) -> Path | None:
    """The alignment of a clip: beside it, else that of its speaker whose folders are most like the clip's."""
    name = source.id.partition("/")[2]
    stem = as_name(source.path.name if source.path.is_dir() else source.path.stem)
    names = [name] if source.span is not None or stem == name else [name, stem]
    folders = [as_name(part) for part in source.path.parent.parts]
    best: tuple[tuple[int, int, int], Path] | None = None
    for wanted in names:
        for rank, root, path in by_name.get(wanted, ()):
            own = [as_name(part) for part in path.relative_to(root).parts[:-1]]
            if path.parent == source.path.parent:
                score = (1, 0, 0)
            elif source.speaker in (own or [as_name(root.name)]):
                score = (0, -rank, sum(part in folders for part in own))
            else:
                continue
            if best is None or score > best[0]:
                best = score, path
    return best[1] if best else None
