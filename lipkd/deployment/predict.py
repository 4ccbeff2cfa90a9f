"""Reading many clips with one model: loaded in windows, batched by length, handed back in the order given."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from lipkd.ctc.hypothesis import Hypothesis
from lipkd.ctc.options import DecodingOptions
from lipkd.data.store import Clip, ClipStore, Frames
from lipkd.data.transforms import resize
from lipkd.deployment.lipreader import LipReader
from lipkd.errors import LipkdError

WINDOW = 8  # batches whose clips are in memory at a time, and sorted by length


@dataclass(frozen=True)
class Source:
    """A clip by name, and how to get its frames (T, H, W, C); `load` raises LipkdError when it cannot."""

    name: str
    load: Callable[[], Frames]


def transcribe(
    reader: LipReader, sources: Iterable[Source], options: DecodingOptions
) -> Iterator[tuple[str, Hypothesis | LipkdError]]:
    """The name of each clip and its hypothesis, or why it cannot be read; in the order given.

    Raises LipkdError for a sentence of the closed list that the model cannot say, before anything is read.
    """
    options.check_letters(reader.alphabet)
    return _transcribe(reader, iter(sources), options)


def _transcribe(
    reader: LipReader, waiting: Iterator[Source], options: DecodingOptions
) -> Iterator[tuple[str, Hypothesis | LipkdError]]:
    batch_size = options.batch_size
    while window := list(islice(waiting, WINDOW * batch_size)):
        answers: dict[int, Hypothesis | LipkdError] = {}
        loaded: dict[int, Frames] = {}
        for place, source in enumerate(window):
            try:
                loaded[place] = source.load()
            except LipkdError as error:
                answers[place] = error
            except MemoryError:
                answers[place] = LipkdError("it needs more memory than is available")
        order = sorted(loaded, key=lambda place: len(loaded[place]))
        for begin in range(0, len(order), batch_size):
            places = order[begin : begin + batch_size]
            hypotheses = reader.read([loaded[place] for place in places], options)
            answers |= dict(zip(places, hypotheses, strict=True))
        yield from ((source.name, answers[place]) for place, source in enumerate(window))


def stored_clips(reader: LipReader, path: Path, ids: Sequence[str] | None) -> list[Source]:
    """Clips of a store, all or those named; raises LipkdError for a store of other pictures or an unknown id."""
    store = ClipStore.open(path)
    picture = (store.meta["height"], store.meta["width"], store.meta["channels"])
    if picture != reader.picture:
        raise LipkdError(f"clip store {store.path}: its pictures are {picture}, this model takes {reader.picture}")

    def source(clip: Clip) -> Source:
        return Source(clip.id, lambda: store.read(clip))

    return [source(clip) for clip in (store.clips if ids is None else map(store.clip, ids))]


def load_array(path: Path, picture: tuple[int, int, int]) -> Frames:
    """A clip saved by numpy, uint8 (T, H, W, C), brought to the height and width of `picture`.

    Raises LipkdError when the file is no such array or has other channels.
    """
    try:  # mapped: a header that promises more than the file holds is refused, not allocated
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy hands a damaged header to Python's tokenizer and parser, which raise many kinds
        raise LipkdError(f"not an array that numpy has saved, or damaged ({' '.join(str(error).split())})") from error
    channels = picture[2]
    wanted = f"uint8(frames, height, width, {channels})"
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or 0 in frames.shape:
        raise LipkdError(f"not a clip: expected {wanted}")
    if frames.shape[3] != channels:
        raise LipkdError(f"{frames.dtype}{frames.shape}: expected {wanted}")
    return np.array(frames) if frames.shape[1:3] == picture[:2] else resize(frames, picture[:2])
