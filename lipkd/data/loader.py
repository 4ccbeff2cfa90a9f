"""From the clip store to batches: pick, augment, standardise, pad.

The order of the clips and every random choice follow from (seed, epoch) alone, not from the cohort: a
vanilla trial and a cohort with the same seed see the same batches.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipkd.config.sections import AugmentConfig
from lipkd.data.augment import change_pictures, contrast_and_brightness, frame_indices
from lipkd.data.store import Clip, ClipStore, Frames
from lipkd.data.transforms import Channels, fitted, mean_and_std, scaled, stacked, standardising, with_surroundings
from lipkd.data.views import AS_TRAINED, View
from lipkd.text import Alphabet, least_frames

IGNORE = -100  # a frame label that no loss counts
CACHE_BYTES = 4 << 30
WINDOW = 16  # batches among which clips are sorted by length


@dataclass(frozen=True)
class BatchView:
    """The pictures of a batch in one view: of all peers, or of one."""

    frames: Tensor  # (B, T, H, W, C) uint8, as in the store
    gain: Tensor  # (B, C) and
    offset: Tensor  # (B, C): value = frame · gain + offset, standardised by the clip's own mean and std, then augmented

    def to(self, device: torch.device) -> "BatchView":
        """The view on a device."""
        return BatchView(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def values(self) -> Tensor:
        """Standardised values (B, C, T, H, W) float32, channels last in memory; computed where the view lies."""
        return scaled(self.frames, self.gain, self.offset)


@dataclass(frozen=True)
class Batch:
    """Clips padded at the end to the longest. T frames, L target letters.

    `views` holds one view for all peers, or one for each; frame t is the same moment in all of them.
    """

    clips: tuple[Clip, ...]
    views: tuple[BatchView, ...]
    lengths: Tensor  # (B,) frames of each clip, on the CPU
    targets: Tensor  # (B, L) symbol indices, 0 where padded
    target_lengths: Tensor  # (B,) letters of each transcript, on the CPU
    words: Tensor  # (B, T) index of the word spoken, 0 silence, IGNORE where padded or not known

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; lengths stay on the CPU, where CTC and packing want them."""
        if device.type == "cpu":
            return self
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in ("targets", "words")}
        return replace(self, views=tuple(view.to(device) for view in self.views), **moved)

    @property
    def n_frames(self) -> int:
        """T, the frames of the longest clip."""
        return self.words.shape[1]

    @property
    def device(self) -> torch.device:
        """Where all but the lengths lies."""
        return self.words.device

    def values(self) -> Tensor:
        """Standardised values (B, C, T, H, W) of the first view, often the only one."""
        return self.views[0].values()


@dataclass(frozen=True)
class _Prepared:
    """A clip as it goes into one view of a batch: pictures (T', H, W, C), the source frame of each, its own mean and
    std (C,), and gain and offset that the augmentation adds to it."""

    clip: Clip
    frames: Frames
    indices: NDArray[np.int64]
    mean: Channels
    std: Channels
    gain: float
    offset: float


@dataclass(frozen=True)
class _Drawn:
    """A clip, the source frames to show of it in all views, and the generator of each view's pictures."""

    clip: Clip
    indices: NDArray[np.int64]
    draws: tuple[np.random.Generator, ...]


class ClipReader:
    """Makes batches of a store at one picture size; `vocabulary` is word → index (1…) for frame labels."""

    def __init__(
        self,
        store: ClipStore,
        alphabet: Alphabet,
        crop: tuple[int, int] | None = None,
        vocabulary: dict[str, int] | None = None,
        zoom: float = 1.0,
    ) -> None:
        self.store = store
        self.alphabet = alphabet
        self.size = crop or (store.meta["height"], store.meta["width"])
        self.vocabulary = vocabulary or {}
        self.zoom = zoom
        self._cache: dict[str, Frames] = {}
        self._mean_and_std: dict[str, tuple[Channels, Channels]] = {}
        self._cached_bytes = 0

    def pictures(self, clip: Clip) -> Frames:
        """The clip's frames (T, H, W, C) at the reader's size; resized ones are kept up to CACHE_BYTES."""
        frames = self.store.read(clip)
        if frames.shape[1:3] == self.size and self.zoom == 1:
            return frames
        return self._kept(clip.id, lambda: fitted(frames, self.size, self.zoom))

    def around(self, clip: Clip) -> Frames:
        """The pictures in the middle of what the store has around them, for augmentation to move."""
        if self.zoom == 1:
            return self.pictures(clip)
        frames = self.store.read(clip)
        return self._kept(f"around {clip.id}", lambda: with_surroundings(frames, self.size, self.zoom))

    def _kept(self, name: str, make: Callable[[], Frames]) -> Frames:
        if name not in self._cache:
            small = make()
            if self._cached_bytes + small.nbytes > CACHE_BYTES:
                return small
            self._cache[name] = small
            self._cached_bytes += small.nbytes
        return self._cache[name]

    def mean_and_std(self, clip: Clip) -> tuple[Channels, Channels]:
        """Mean and standard deviation (C,) of the clip's own values, as it is shown without augmentation."""
        if clip.id not in self._mean_and_std:
            self._mean_and_std[clip.id] = mean_and_std(self.pictures(clip))
        return self._mean_and_std[clip.id]

    def training(
        self, clips: Sequence[Clip], *, seed: int, epoch: int, batch_size: int, augment: AugmentConfig, views: int = 1
    ) -> Iterator[Batch]:
        """The batches of one epoch, in that epoch's own order; the next is made while one is used.

        Several `views` of a clip have the same source frames, so that frame t is the same moment in each; flip,
        shift, masks, contrast and brightness are each view's own. The first is what there would be without the others.

        Clips of like length go together, within windows of WINDOW batches: with silence trimmed, a batch
        would otherwise be mostly padding (a quarter of the frames, measured on the Italian corpus).
        """
        rng = np.random.default_rng([seed, epoch])
        drawn = []
        for index in rng.permutation(len(clips)):
            # A clip's draws follow from its place in the split, so they don't depend on the order.
            own = np.random.default_rng([seed, epoch, int(index) + 1])
            others = (np.random.default_rng([seed, epoch, int(index) + 1, view]) for view in range(1, views))
            clip = clips[index]
            indices = frame_indices(clip, augment, least_frames(self.alphabet.encode(clip.text)), own)
            drawn.append(_Drawn(clip, indices, (own, *others)))
        jobs = []
        for begin in range(0, len(drawn), WINDOW * batch_size):
            window = sorted(drawn[begin : begin + WINDOW * batch_size], key=lambda item: len(item.indices))
            jobs += [window[b : b + batch_size] for b in range(0, len(window), batch_size)]

        def make(job: list[_Drawn]) -> Batch:
            return self._pad([[self._augmented(item, augment, view) for item in job] for view in range(views)])

        yield from _ahead(make, [jobs[i] for i in rng.permutation(len(jobs))])

    def plain(self, clips: Sequence[Clip], batch_size: int, view: View = AS_TRAINED) -> Iterator[Batch]:
        """Batches without augmentation, in the order given, of one view of each clip."""
        jobs = [list(clips[b : b + batch_size]) for b in range(0, len(clips), batch_size)]

        def make(job: list[Clip]) -> Batch:
            return self._pad([[self._prepared(clip, view) for clip in job]])

        yield from _ahead(make, jobs)

    def _prepared(self, clip: Clip, view: View) -> _Prepared:
        if view == AS_TRAINED:
            frames, statistics = self.pictures(clip), self.mean_and_std(clip)
        else:
            frames = view.apply(self.store.read(clip), self.size, self.zoom)
            statistics = mean_and_std(frames)
        return _Prepared(clip, frames, np.arange(clip.n_frames), *statistics, 1.0, 0.0)

    def _augmented(self, drawn: _Drawn, augment: AugmentConfig, view: int) -> _Prepared:
        mean, std = self.mean_and_std(drawn.clip)
        rng = drawn.draws[view]
        frames = change_pictures(self.around(drawn.clip)[drawn.indices], self.size, mean, augment, rng)
        return _Prepared(drawn.clip, frames, drawn.indices, mean, std, *contrast_and_brightness(augment, rng))

    def _pad(self, views: list[list[_Prepared]]) -> Batch:
        """Clips of a batch, in each of its views, all padded to the longest."""
        prepared = views[0]
        longest = max(len(s.frames) for s in prepared)
        encoded = [self.alphabet.encode(s.clip.text) for s in prepared]
        words = np.full((len(prepared), longest), IGNORE, np.int64)
        targets = np.zeros((len(prepared), max(map(len, encoded))), np.int64)
        for row, s in enumerate(prepared):
            words[row, : len(s.frames)] = self._word_labels(s.clip)[s.indices]
            targets[row, : len(encoded[row])] = encoded[row]
        return Batch(
            clips=tuple(s.clip for s in prepared),
            views=tuple(_view(view) for view in views),
            lengths=torch.tensor([len(s.frames) for s in prepared]),
            targets=torch.from_numpy(targets),
            target_lengths=torch.tensor([len(e) for e in encoded]),
            words=torch.from_numpy(words),
        )

    def _word_labels(self, clip: Clip) -> NDArray[np.int64]:
        if not clip.words or not self.vocabulary:
            return np.full(clip.n_frames, IGNORE, np.int64)
        labels = np.zeros(clip.n_frames, np.int64)
        for word, first, end in clip.words:
            labels[first:end] = self.vocabulary.get(self.alphabet.letters(word), IGNORE)
        return labels


def _view(prepared: list[_Prepared]) -> BatchView:
    scales = [standardising(s.mean, s.std, s.gain, s.offset) for s in prepared]
    return BatchView(
        frames=torch.from_numpy(stacked([s.frames for s in prepared])),
        gain=torch.from_numpy(np.stack([gain for gain, _ in scales]).astype(np.float32)),
        offset=torch.from_numpy(np.stack([offset for _, offset in scales]).astype(np.float32)),
    )


Job = TypeVar("Job")


def _ahead(make: Callable[[Job], Batch], jobs: Sequence[Job]) -> Iterator[Batch]:
    """make(job) for each job, the next one computed in a thread while the caller uses the last."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(make, jobs[0])
        for job in jobs[1:]:
            ready, following = following, thread.submit(make, job)
            yield ready.result()
        yield following.result()
