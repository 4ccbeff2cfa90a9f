"""From the clip store to batches: pick, augment, standardise, pad.

The order of the clips and every random choice follow from (seed, epoch) alone, not from the cohort: a
vanilla trial and a cohort with the same seed see the same batches.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipkd.augment import change_light, change_pictures, frame_indices
from lipkd.config import AugmentConfig
from lipkd.pictures import Channels, fitted, own_light, scaled, stacked, standardising
from lipkd.store import Clip, ClipStore, Frames
from lipkd.text import Alphabet, letters

IGNORE = -100  # a frame label that no loss counts
CACHE_BYTES = 4 << 30
WINDOW = 16  # batches among which clips are sorted by length


@dataclass(frozen=True)
class Batch:
    """Clips padded at the end to the longest. T frames, L target letters."""

    clips: tuple[Clip, ...]
    frames: Tensor  # (B, T, H, W, C) uint8, as in the store
    gain: Tensor  # (B, C) and
    offset: Tensor  # (B, C): value = frame · gain + offset, standardised by the clip's own light, then augmented
    lengths: Tensor  # (B,) frames of each clip, on the CPU
    targets: Tensor  # (B, L) symbol indices, 0 where padded
    target_lengths: Tensor  # (B,) letters of each transcript, on the CPU
    words: Tensor  # (B, T) index of the word spoken, 0 silence, IGNORE where padded or not known

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; lengths stay on the CPU, where CTC and packing want them."""
        if device.type == "cpu":
            return self
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("frames", "gain", "offset", "targets", "words")
        }
        return replace(self, **moved)

    def values(self) -> Tensor:
        """Standardised values (B, C, T, H, W) float32, channels last in memory; computed where the batch lies."""
        return scaled(self.frames, self.gain, self.offset)


@dataclass(frozen=True)
class _Shown:
    """A clip as it is shown once: pictures (T', H, W, C), the source frame of each, its own light (C,), and gain
    and offset that the augmentation adds to it."""

    clip: Clip
    frames: Frames
    indices: NDArray[np.int64]
    mean: Channels
    std: Channels
    gain: float
    offset: float


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
        self._light: dict[str, tuple[Channels, Channels]] = {}
        self._cached_bytes = 0

    def pictures(self, clip: Clip) -> Frames:
        """The clip's frames (T, H, W, C) at the reader's size; resized ones are kept up to CACHE_BYTES."""
        frames = self.store.read(clip)
        if frames.shape[1:3] == self.size and self.zoom == 1:
            return frames
        if clip.id not in self._cache:
            small = fitted(frames, self.size, self.zoom)
            if self._cached_bytes + small.nbytes > CACHE_BYTES:
                return small
            self._cache[clip.id] = small
            self._cached_bytes += small.nbytes
        return self._cache[clip.id]

    def light(self, clip: Clip) -> tuple[Channels, Channels]:
        """Mean and deviation (C,) of the clip's own values."""
        if clip.id not in self._light:
            self._light[clip.id] = own_light(self.pictures(clip))
        return self._light[clip.id]

    def training(
        self, clips: Sequence[Clip], *, seed: int, epoch: int, batch_size: int, augment: AugmentConfig
    ) -> Iterator[Batch]:
        """The batches of one epoch, in that epoch's own order; the next is made while one is used.

        Clips of like length go together, within windows of WINDOW batches: with silence trimmed, a batch
        would otherwise be mostly padding (a quarter of the frames, measured on the Italian corpus).
        """
        rng = np.random.default_rng([seed, epoch])
        drawn = []
        for index in rng.permutation(len(clips)):
            # A clip's draws follow from its place in the split, so they don't depend on the order.
            own = np.random.default_rng([seed, epoch, int(index) + 1])
            clip = clips[index]
            drawn.append((clip, frame_indices(clip, augment, least_frames(self.alphabet.encode(clip.text)), own), own))
        jobs = []
        for begin in range(0, len(drawn), WINDOW * batch_size):
            window = sorted(drawn[begin : begin + WINDOW * batch_size], key=lambda item: len(item[1]))
            jobs += [window[b : b + batch_size] for b in range(0, len(window), batch_size)]

        def make(job: list[tuple[Clip, NDArray[np.int64], np.random.Generator]]) -> Batch:
            return self._pad([self._augmented(clip, indices, augment, own) for clip, indices, own in job])

        yield from _ahead(make, [jobs[i] for i in rng.permutation(len(jobs))])

    def plain(self, clips: Sequence[Clip], batch_size: int) -> Iterator[Batch]:
        """Batches without augmentation, in the order given."""
        jobs = [list(clips[b : b + batch_size]) for b in range(0, len(clips), batch_size)]

        def make(job: list[Clip]) -> Batch:
            return self._pad(
                [_Shown(c, self.pictures(c), np.arange(c.n_frames), *self.light(c), 1.0, 0.0) for c in job]
            )

        yield from _ahead(make, jobs)

    def _augmented(
        self, clip: Clip, indices: NDArray[np.int64], augment: AugmentConfig, rng: np.random.Generator
    ) -> "_Shown":
        mean, std = self.light(clip)
        frames = change_pictures(self.pictures(clip)[indices], mean, augment, rng)
        return _Shown(clip, frames, indices, mean, std, *change_light(augment, rng))

    def _pad(self, shown: list["_Shown"]) -> Batch:
        encoded = [self.alphabet.encode(s.clip.text) for s in shown]
        frames = stacked([s.frames for s in shown])
        words = np.full(frames.shape[:2], IGNORE, np.int64)
        targets = np.zeros((len(shown), max(map(len, encoded))), np.int64)
        for row, s in enumerate(shown):
            words[row, : len(s.frames)] = self._word_labels(s.clip)[s.indices]
            targets[row, : len(encoded[row])] = encoded[row]
        light = [standardising(s.mean, s.std, s.gain, s.offset) for s in shown]
        return Batch(
            clips=tuple(s.clip for s in shown),
            frames=torch.from_numpy(frames),
            gain=torch.from_numpy(np.stack([gain for gain, _ in light]).astype(np.float32)),
            offset=torch.from_numpy(np.stack([offset for _, offset in light]).astype(np.float32)),
            lengths=torch.tensor([len(s.frames) for s in shown]),
            targets=torch.from_numpy(targets),
            target_lengths=torch.tensor([len(e) for e in encoded]),
            words=torch.from_numpy(words),
        )

    def _word_labels(self, clip: Clip) -> NDArray[np.int64]:
        if not clip.words or not self.vocabulary:
            return np.full(clip.n_frames, IGNORE, np.int64)
        labels = np.zeros(clip.n_frames, np.int64)
        for word, first, end in clip.words:
            labels[first:end] = self.vocabulary.get(letters(word), IGNORE)
        return labels


def least_frames(encoded: list[int]) -> int:
    """Frames that CTC needs for a transcript: one a letter, and a blank between equal neighbours."""
    return len(encoded) + sum(a == b for a, b in itertools.pairwise(encoded))


Job = TypeVar("Job")


def _ahead(make: Callable[[Job], Batch], jobs: Sequence[Job]) -> Iterator[Batch]:
    """make(job) for each job, the next one computed in a thread while the caller uses the last."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(make, jobs[0])
        for job in jobs[1:]:
            ready, following = following, thread.submit(make, job)
            yield ready.result()
        yield following.result()
