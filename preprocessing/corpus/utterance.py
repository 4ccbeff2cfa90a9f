"""What is said in a clip that is prepared: its text, in letters that the alphabet has, and when each word is said.

A broken alignment costs the word times, not the clip, as long as the words are sure; what was done is noted. `strict`
rejects such a clip.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.text import AUTO, Alphabet, least_frames, letters_of
from preprocessing.corpus.align_file import Alignment, Words, read_align
from preprocessing.corpus.source import Source
from preprocessing.corpus.transcripts import text_of
from preprocessing.rejects import BadClip

NO_TIMES = "no word times"


@dataclass(frozen=True)
class Utterance:
    """The text of a clip as given, and its word times: `words`, once `timed` knows how long the clip is. `notes` say
    what is not as it should be, as (kind, detail)."""

    text: str
    alignment: Alignment | None = None
    words: Words = ()
    notes: tuple[tuple[str, str], ...] = ()


def find_utterance(source: Source, alphabet: Alphabet, strict: bool = False) -> Utterance:
    """What is said in a clip, in letters that the alphabet has; raises BadClip."""
    utterance = read_utterance(source, strict)
    if outside := alphabet.outside(utterance.text):
        raise BadClip("letters outside the alphabet", f"{outside!r} in {utterance.text!r}")
    if not alphabet.encode(utterance.text):
        raise BadClip("no letter in the transcript", f"{utterance.text!r}")
    return utterance


def read_utterance(source: Source, strict: bool = False) -> Utterance:
    """What is said in a clip, whatever its letters; raises BadClip when nothing tells."""
    broken = None
    if source.align is not None:
        try:
            return _of_alignment(source, read_align(source.align), strict)
        except LipkdError as error:
            broken = BadClip("broken alignment", str(error))
            if strict:
                raise broken from error
    try:
        text = text_of(source)
    except LipkdError as error:
        raise broken or BadClip("broken transcript", str(error)) from error
    if text is None:
        if broken is not None:
            raise broken
        raise BadClip("no transcript", f"no {source.id}.align and no {Path(source.id).name}.txt found")
    return Utterance(text.text, notes=() if broken is None else ((NO_TIMES, broken.detail),))


def _of_alignment(source: Source, alignment: Alignment, strict: bool) -> Utterance:
    if strict and (wrong := alignment.faults or alignment.mended):
        raise BadClip("broken alignment", f"{source.align}, {wrong[0]}")
    notes = tuple(("silence left out", detail) for detail in alignment.mended[:1])
    if source.text is not None and _plain(source.text) != _plain(alignment.text):
        note = f"the alignment has other words ({alignment.text!r}) than the {'folder' if source.label else 'table'}"
        if strict:
            raise BadClip("broken alignment", note)
        return Utterance(source.text, notes=((NO_TIMES, note),))
    if alignment.faults:
        return Utterance(alignment.text, notes=((NO_TIMES, alignment.faults[0]),))
    return Utterance(alignment.text, alignment, notes=notes)


def _plain(text: str) -> str:
    """The words of a text without case, accents and punctuation, whatever the alphabet."""
    return Alphabet(letters_of([text])).letters(text)


def timed(utterance: Utterance, n_frames: int, alphabet: Alphabet, strict: bool = False) -> Utterance:
    """The utterance of a clip of so many frames, with its word times; raises BadClip where CTC could not say it."""
    if utterance.alignment is not None:
        try:
            words, unit = utterance.alignment.in_frames(n_frames)
            converted = () if unit is None else ((f"word times in {unit}, converted", f"clip of {n_frames} frames"),)
            utterance = Utterance(utterance.text, None, words, (*utterance.notes, *converted))
        except LipkdError as error:
            if strict:
                raise BadClip("words outside the clip", str(error)) from error
            utterance = Utterance(utterance.text, notes=(*utterance.notes, (NO_TIMES, f"words outside: {error}")))
    needed = least_frames(alphabet.encode(utterance.text))
    if n_frames < needed:
        raise BadClip("too few frames", f"{n_frames} for a transcript of {needed} symbols")
    return utterance


def alphabet_of(characters: str, sources: Iterable[Source]) -> Alphabet:
    """The alphabet of these characters; `auto` takes the letters of all clips whose words can be read."""
    if characters != AUTO:
        return Alphabet(characters)
    texts = []
    for source in sources:
        try:
            texts.append(read_utterance(source).text)
        except BadClip:
            continue  # it will be rejected with this reason
    return Alphabet(letters_of(texts))
