"""From raw recordings to a clip store: any layout, whole faces or mouth crops, in parallel, killed and resumed.

Crops of faces are expensive, so each is kept in `OUT.work/` as soon as it is made, under a name that says
what it was made from; a run that was killed finds them there. Transcripts are cheap and always read anew.
The store is packed by one process in natural order, so its bytes depend on the clips alone.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lipkd.data.store import Frames, StoreWriter, first_look, require_free
from lipkd.errors import LipkdError
from lipkd.lock import only_one
from lipkd.text import AUTO, LETTERS, Alphabet
from preprocessing.corpus.find import choose, find_corpus
from preprocessing.corpus.layouts import Layout
from preprocessing.corpus.source import Source, as_text
from preprocessing.corpus.utterance import alphabet_of, find_utterance, timed
from preprocessing.face.crop import CropOptions
from preprocessing.face.crop_cache import FaceCache, Seen
from preprocessing.face.model_file import digest_of, find_bundle
from preprocessing.process_pool import check_all
from preprocessing.progress import OnProgress
from preprocessing.rejects import BadClip
from preprocessing.video.mouth_clips import LARGEST_CROP, picture_width, read_crops, to_grey
from preprocessing.write_store import Prepared, Summary, write_store

Face = Literal["auto", "yes", "no"]
LOOK_AT = 20  # clips, to see whether a corpus shows faces or mouths


def prepare_corpus(
    src: Path,
    out: Path,
    *,
    layout: str = "auto",
    face: Face = "auto",
    align: Path | None = None,
    options: CropOptions | None = None,
    landmarker: Path | None = None,
    limit: int | None = None,
    speakers: Sequence[str] | None = None,
    pattern: str | None = None,
    alphabet: str = LETTERS,
    strict: bool = False,
    anywhere: bool = False,
    workers: int | None = None,
    report: Callable[[str], None] = lambda line: None,
    on_progress: OnProgress | None = None,
) -> Summary:
    """Write the clips of `src` to a new clip store `out`; a run that was killed goes on where it was.

    `alphabet` are the letters that transcripts may have, `auto` those that they do have; `strict` rejects clips whose
    alignment is broken instead of going without word times; `anywhere` allows a table to name files outside its
    folder. With `limit` the store is a first look, which the next run of that name replaces.
    `report` gets lines that say what was taken for what. A clip that cannot be used is noted in the store's rejects.
    Raises LipkdError when there is nothing to read, it can be read in two ways, an option is out of range, `out`
    exists, the face model cannot be had, or every clip was rejected.
    """
    options = options or CropOptions()
    check_options(options, limit=limit, workers=workers)
    src, out = src.expanduser().absolute(), out.expanduser().absolute()
    if alphabet != AUTO:
        Alphabet(alphabet)
    require_free(out)
    corpus = find_corpus(src, layout, align, anywhere)
    everything = choose(corpus.sources, speakers=speakers, pattern=pattern, limit=None)
    sources = everything[:limit]
    limited = limit if len(sources) < len(everything) else None
    faces = shows_faces(corpus.layout, sources) if face == "auto" else face == "yes"
    report(f"layout {corpus.layout.name}: {len(sources)} clips, {'whole faces' if faces else 'mouth crops'}")
    for line in corpus.lines:
        report(line)
    if limited:
        report(f"a first look, at {len(sources)} of {len(everything)} clips: the next run replaces {out.name}")
    elif first_look(out) is not None:
        report(f"{out.name} was a first look and is replaced")
    letters = alphabet_of(alphabet, sources)
    if alphabet == AUTO:
        report(f"alphabet: {letters.characters.strip()} ({letters.size - 2} letters and the space)")
    root = src if src.is_dir() else src.parent
    work = out.with_name(out.name + ".work")
    bundle = find_bundle(landmarker) if faces else None
    with only_one(work / "lock", f"clip store {out}"):
        cache = FaceCache(work, options, bundle, digest_of(bundle)) if bundle else None
        preparer = Preparer(options, letters, cache, strict)
        summary = _write(root, out, sources, preparer, workers, on_progress, limited)
        shutil.rmtree(work)
    return summary


def _write(
    root: Path,
    out: Path,
    sources: list[Source],
    preparer: "Preparer",
    workers: int | None,
    on_progress: OnProgress | None,
    limit: int | None,
) -> Summary:
    started = time.monotonic()
    kept = sum(map(preparer.cache.has, sources)) if preparer.cache else 0
    faces = preparer.cache is not None  # a decoder or a model that dies of a clip must not take this process along
    results = check_all(preparer, sources, workers or os.cpu_count() or 1, inline=not faces)
    channels = 1 if preparer.options.grey else 3
    height, width = preparer.options.size
    writer = StoreWriter(
        out,
        height=height,
        width=width,
        channels=channels,
        source_root=as_text(str(root)),
        alphabet=preparer.alphabet.characters,
        limit=limit,
    )
    return write_store(writer, root, sources, results, preparer.alphabet, started, on_progress, kept)


def check_options(options: CropOptions, *, limit: int | None, workers: int | None) -> None:
    """Raise LipkdError for a number that is out of its range."""
    for name, value, least, most in (
        ("limit", limit, 1, None),
        ("workers", workers, 1, None),
        ("height", options.size[0], 8, 1000),
        ("width", options.size[1], 8, 1000),
        ("margin", options.margin, -0.25, 5),
        ("max-missing", options.max_missing, 0, 0.9),
    ):
        if value is not None and not (least <= value and (most is None or value <= most)):
            allowed = f"at least {least}" if most is None else f"from {least:g} to {most:g}"
            raise LipkdError(f"{name} {value:g}: must be {allowed}")


def shows_faces(layout: Layout, sources: Sequence[Source]) -> bool:
    """Whether a corpus shows faces: as its layout says, else as the width of its first readable clip tells."""
    if layout.face is not None:
        return layout.face
    widths = (picture_width(source.path) for source in sources[:LOOK_AT])
    return next((width for width in widths if width), 0) > LARGEST_CROP


@dataclass(frozen=True)
class Preparer:
    """Prepares one clip, in any process: whole faces through `cache`, mouth crops without one."""

    options: CropOptions
    alphabet: Alphabet
    cache: FaceCache | None
    strict: bool = False

    def __call__(self, source: Source) -> Prepared | BadClip:
        """Frames and words of a clip; what is wrong with it is returned, not raised."""
        try:
            if as_text(str(source.path)) != str(source.path):
                raise BadClip("file name is not UTF-8", "rename it")
            utterance = find_utterance(source, self.alphabet, self.strict)
            frames, seen = self._read(source)
            if len(frames) == 1:
                raise BadClip("a single picture", "a mouth must be visible in motion")
            utterance = timed(utterance, len(frames), self.alphabet, self.strict)
        except BadClip as reason:
            return reason
        except Exception as error:  # whatever one damaged file makes a decoder raise, the other clips go on
            return BadClip("unreadable", f"{type(error).__name__}: {error}")
        return Prepared(to_grey(frames) if self.options.grey else frames, utterance, seen)

    def _read(self, source: Source) -> tuple[Frames, Seen | None]:
        if self.cache is not None:
            return self.cache.crop(source)
        return read_crops(source.path, source.span, self.options.size), None
