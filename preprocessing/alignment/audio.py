"""The sound of a clip as the aligner takes it."""

from pathlib import Path

from preprocessing.rejects import BadClip, CannotAlign
from preprocessing.video.resample import Span
from preprocessing.video.sound import Sound, read_sound

RATE = 22050  # samples/s: what espeak speaks at
LONGEST = 60.0  # seconds of a clip


def clip_sound(path: Path, span: Span | None = None) -> Sound:
    """The sound of a video, or of its seconds `span`, at RATE; raises CannotAlign when there is none to use."""
    if not path.is_file():
        raise CannotAlign("no audio", "a folder of pictures has no sound")
    try:
        return read_sound(path, span, rate=RATE, longest=LONGEST)
    except BadClip as bad:
        raise CannotAlign(bad.kind, bad.detail) from bad
