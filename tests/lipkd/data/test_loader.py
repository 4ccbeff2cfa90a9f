import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lipkd.data.augment
from lipkd.config.sections import AugmentConfig
from lipkd.data.augment import change_pictures, contrast_and_brightness, frame_indices, turn_and_scale
from lipkd.data.loader import IGNORE, Batch, BatchView, ClipReader
from lipkd.data.store import Clip, ClipStore, Frames, StoreWriter
from lipkd.data.transforms import centre, fitted, resize, with_surroundings
from lipkd.text import Alphabet, least_frames

PLAIN = {"flip": 0, "shift": 0, "jitter": 0, "speed": 0, "trim": 0, "brightness": 0, "contrast": 0}
NO_MASKS = {"time_masks": 0, "patch_masks": 0}
VOCABULARY = {"bin": 1, "blue": 2, "lay": 3, "now": 4, "red": 5, "set": 6}


def augment(**fields: Any) -> AugmentConfig:
    return AugmentConfig.model_validate({**PLAIN, **NO_MASKS, **fields})


def clip_of(words: list[tuple[str, int, int]], n_frames: int = 40) -> Clip:
    return Clip("a/1", "a", 0, n_frames, 25.0, " ".join(w for w, _, _ in words), tuple(words), "1.mp4")


def reader(store: ClipStore, **fields: Any) -> ClipReader:
    return ClipReader(store, Alphabet(), vocabulary=VOCABULARY, **fields)


def same(one: Batch, other: Batch) -> bool:
    names = ("lengths", "targets", "words")
    equal = one.clips == other.clips and all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)
    pairs = zip(one.views, other.views, strict=True)
    return equal and all(same_view(a, b) for a, b in pairs)


def same_view(one: BatchView, other: BatchView) -> bool:
    return all(torch.equal(getattr(one, n), getattr(other, n)) for n in ("frames", "gain", "offset"))


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own(tiny_store: ClipStore) -> None:
    def epoch(seed: int, number: int, size: int = 4) -> list[Batch]:
        draw = reader(tiny_store).training(
            tiny_store.clips, seed=seed, epoch=number, batch_size=size, augment=AugmentConfig()
        )
        return list(draw)

    first = epoch(0, 0)
    assert sorted(c.id for b in first for c in b.clips) == sorted(c.id for c in tiny_store.clips)
    assert all(same(a, b) for a, b in zip(first, epoch(0, 0), strict=True))
    orders = [[c.id for b in batches for c in b.clips] for batches in (first, epoch(0, 1), epoch(1, 0))]
    assert len({tuple(order) for order in orders}) == 3
    # A clip is augmented the same way in whatever batch it stands.
    alone = {b.clips[0].id: b for b in epoch(0, 0, size=1)}
    for batch in first:
        for row, clip in enumerate(batch.clips):
            n = int(batch.lengths[row])
            assert torch.equal(batch.views[0].frames[row, :n], alone[clip.id].views[0].frames[0])


def test_views_of_a_clip_share_their_moments_and_nothing_else(tiny_store: ClipStore) -> None:
    """With pictures left as they are two views are the same frames, whatever pace and trimming do; the first view
    is what there is without the second."""

    def epoch(views: int, **fields: Any) -> list[Batch]:
        draw = AugmentConfig.model_validate(fields)
        return list(
            reader(tiny_store).training(tiny_store.clips, seed=1, epoch=2, batch_size=4, augment=draw, views=views)
        )

    still = {**NO_MASKS, "flip": 0, "shift": 0, "brightness": 0, "contrast": 0}
    for batch in epoch(2, speed=0.3, jitter=0.3, trim=1, **still):
        assert same_view(*batch.views)
    for batch, alone in zip(epoch(3), epoch(1), strict=True):
        assert same(alone, replace(batch, views=batch.views[:1]))
        assert len(batch.views) == 3 and not any(same_view(batch.views[0], view) for view in batch.views[1:])
        assert not same_view(*batch.views[1:])
        assert all(view.frames.shape == batch.views[0].frames.shape for view in batch.views)


def test_plain_batches_are_standardised_and_padded(tiny_store: ClipStore) -> None:
    short, long = tiny_store.clips[0], tiny_store.clips[1]
    batch = next(reader(tiny_store).plain([short, long], 2))
    assert batch.lengths.tolist() == [18, 25]
    values = batch.values()
    assert values.shape == (2, 3, 25, 24, 48)
    for row, n in enumerate((18, 25)):
        assert values[row, :, :n].mean((1, 2, 3)).abs().max() < 0.01
        assert values[row, :, :n].std((1, 2, 3)).sub(1).abs().max() < 0.01
    assert batch.words[0].tolist() == [0] * 2 + [1] * 7 + [5] * 7 + [0] * 2 + [IGNORE] * 7
    assert batch.targets[0, : batch.target_lengths[0]].tolist() == Alphabet().encode("bin red")


def test_no_augmentation_changes_nothing(tiny_store: ClipStore) -> None:
    one = next(reader(tiny_store).training(tiny_store.clips[:1], seed=3, epoch=5, batch_size=1, augment=augment()))
    assert same(one, next(reader(tiny_store).plain(tiny_store.clips[:1], 1)))


def test_trim_never_cuts_speech() -> None:
    clip = clip_of([("a", 15, 20), ("b", 20, 25)])
    for seed in range(200):
        kept = frame_indices(clip, augment(trim=1), 3, np.random.default_rng(seed))
        assert kept[0] <= 11 and kept[-1] >= 28
        assert (np.diff(kept) == 1).all()


def test_speed_and_jitter_keep_order_and_change_length() -> None:
    clip = clip_of([], n_frames=100)
    lengths = set()
    for seed in range(100):
        kept = frame_indices(clip, augment(speed=0.2, jitter=0.1), 3, np.random.default_rng(seed))
        assert (np.diff(kept) >= 0).all() and kept.min() >= 0 and kept.max() <= 99
        assert 100 / 1.2 * 0.85 <= len(kept) <= 100 / 0.8 * 1.15
        lengths.add(len(kept))
    assert len(lengths) > 10


def test_a_clip_is_never_too_short_for_its_transcript() -> None:
    clip = clip_of([], n_frames=20)
    for seed in range(50):
        kept = frame_indices(clip, augment(speed=0.5, jitter=0.5), 20, np.random.default_rng(seed))
        assert len(kept) >= 20
    assert least_frames(Alphabet().encode("hello")) == 6  # a blank between the two l


def test_flip_mirrors_and_shift_moves_all_frames_alike() -> None:
    frames = np.arange(2 * 4 * 10 * 3, dtype=np.uint8).reshape(2, 4, 10, 3)
    mean = np.full(3, 7.4, np.float32)
    flipped = change_pictures(frames, (4, 10), mean, augment(flip=1), np.random.default_rng(0))
    assert (flipped == frames[:, :, ::-1]).all()
    draws = [np.random.default_rng(s) for s in range(40)]
    moved = {change_pictures(frames, (4, 10), mean, augment(shift=0.1), rng).tobytes() for rng in draws}
    right = np.concatenate([frames[:, :, 1:], frames[:, :, -1:]], 2)
    assert frames.tobytes() in moved and right.tobytes() in moved and len(moved) == 3


def test_a_quarter_turn_and_twice_the_size() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    assert (turn_and_scale(frames, (8, 8), 0, 1) == frames).all()
    assert (turn_and_scale(frames, (8, 8), 90, 1) == np.rot90(frames, axes=(1, 2))).all()
    # A side of the wide picture lies where the turned one ends: its ends are seen no more, and edges repeat.
    wide = np.zeros((1, 4, 8, 1), np.uint8)
    wide[:, :, 2:6] = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    assert (turn_and_scale(wide, (4, 8), 90, 1)[0, :, 2:6, 0] == np.rot90(wide[0, :, 2:6, 0])).all()
    # Twice the size, pixel centres of the middle half lie at quarters: 3/4 of one and 1/4 of its neighbour.
    ramp = np.tile(np.arange(0, 160, 20, dtype=np.uint8)[None, None, :, None], (1, 8, 1, 1))
    assert turn_and_scale(ramp, (8, 8), 0, 2)[0, 0, :, 0].tolist() == [35, 45, 55, 65, 75, 85, 95, 105]
    assert (turn_and_scale(ramp, (8, 8), 0, 0.5)[0, 3, :, 0] == [0, 0, 10, 50, 90, 130, 140, 140]).all()


def test_turn_and_scale_stay_in_their_range_and_come_after_the_shift() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 3), dtype=np.uint8)
    mean = np.full(3, 7.4, np.float32)
    drawn: list[tuple[float, float]] = []

    def keep(shown: Frames, size: tuple[int, int], degrees: float, scale: float) -> Frames:
        drawn.append((degrees, scale))
        return shown

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lipkd.data.augment, "turn_and_scale", keep)
        for s in range(60):
            without, fields = augment(shift=0.2, flip=0.5), augment(shift=0.2, flip=0.5, turn=8, scale=0.1)
            moved = change_pictures(frames, (16, 32), mean, without, np.random.default_rng(s))
            assert (change_pictures(frames, (16, 32), mean, fields, np.random.default_rng(s)) == moved).all()
    degrees, scales = (np.array(values) for values in zip(*drawn, strict=True))
    assert len(drawn) == 60 and 7 < np.abs(degrees).max() <= 8 and degrees.min() < -5
    assert 0.9 <= scales.min() < 0.92 and 1.08 < scales.max() <= 1.1


def test_what_is_moved_in_comes_from_around_the_middle() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 12, 20, 3), dtype=np.uint8)
    size, mean = (8, 16), np.full(3, 7.4, np.float32)
    draws = [np.random.default_rng(s) for s in range(400)]
    seen = {change_pictures(frames, size, mean, augment(shift=0.125), rng).tobytes() for rng in draws}
    places = itertools.product((1, 2, 3), (0, 1, 2, 3, 4))
    assert seen == {frames[:, y : y + 8, x : x + 16].tobytes() for y, x in places}
    mirrored = change_pictures(frames, size, mean, augment(flip=1), np.random.default_rng(0))
    assert (mirrored == frames[:, 2:10, 2:18][:, :, ::-1]).all()
    assert (turn_and_scale(frames, size, 180, 1) == frames[:, 2:10, 2:18][:, ::-1, ::-1]).all()
    square = frames[:, :, 4:16]
    assert (turn_and_scale(square, (8, 8), 90, 1) == np.rot90(square[:, 2:10, 2:10], axes=(1, 2))).all()
    # Half the size shows twice as much: each pixel the mean of four, and all that there is.
    halved = turn_and_scale(frames[:, :, :, :1], (6, 10), 0, 0.5).astype(int)
    fours = frames[:, :, :, :1].reshape(2, 6, 2, 10, 2, 1).mean((2, 4))
    assert np.abs(halved - fours).max() <= 0.5


def test_surroundings_are_at_the_scale_of_the_middle(tiny_store: ClipStore) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 50, 100, 1), dtype=np.uint8)
    smooth = resize(resize(noise, (5, 10)), (50, 100))
    middle, around = fitted(smooth, (24, 48), 1.4), with_surroundings(smooth, (24, 48), 1.4)
    assert around.shape == (1, 32, 66, 1)
    assert np.abs(around[:, 4:28, 9:57].astype(int) - middle).max() <= 6
    assert (with_surroundings(smooth, (24, 48), 1.0) == fitted(smooth, (24, 48), 1.0)).all()
    # Pixel for pixel where nothing is to be resized.
    assert (with_surroundings(noise, (25, 50), 2.0)[:, 12:37, 25:75] == fitted(noise, (25, 50), 2.0)).all()
    assert (with_surroundings(noise, (25, 50), 2.0) == noise[:, :49]).all()
    own = reader(tiny_store, crop=(10, 20), zoom=1.6)
    assert own.around(tiny_store.clips[0]) is own.around(tiny_store.clips[0])
    batch = next(own.training(tiny_store.clips[:1], seed=0, epoch=0, batch_size=1, augment=augment()))
    assert batch.views[0].frames.shape[2:] == (10, 20, 3)


def test_masks_show_the_mean_of_the_clip() -> None:
    frames = np.full((20, 8, 8, 3), 200, np.uint8)
    fields = augment(time_masks=1, time_mask_frames=5)
    counts = {
        int((change_pictures(frames, (8, 8), np.full(3, 7.4, np.float32), fields, np.random.default_rng(s)) == 7).sum())
        for s in range(60)
    }
    assert counts == {n * 8 * 8 * 3 for n in range(6)}


def test_contrast_and_brightness_stay_in_their_range() -> None:
    draws = [
        contrast_and_brightness(augment(brightness=0.2, contrast=0.1), np.random.default_rng(s)) for s in range(100)
    ]
    assert all(0.9 <= gain <= 1.1 and -0.2 <= offset <= 0.2 for gain, offset in draws)


def test_crop_and_zoom(tiny_store: ClipStore) -> None:
    batch = next(reader(tiny_store, crop=(16, 32), zoom=2.0).plain(tiny_store.clips[:1], 1))
    assert batch.views[0].frames.shape == (1, 18, 16, 32, 3)
    frames = np.zeros((1, 8, 8, 1), np.uint8)
    frames[:, 2:6, 2:6] = 100
    assert (centre(frames, 2.0) == 100).all()
    assert (resize(np.full((1, 8, 8, 1), 100, np.uint8), (4, 4)) == 100).all()
    # Halving, a triangle filter weighs 1/8, 3/8, 3/8, 1/8, at the edge 3/7, 3/7, 1/7.
    small = resize(frames, (4, 4))[0, :, :, 0]
    assert small[1, 1] == round(100 * (7 / 8) ** 2)
    assert small[0, 0] == round(100 * (1 / 7) ** 2)


def test_a_store_without_alignments_has_no_word_labels(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", height=16, width=16, channels=1) as writer:
        picture = np.zeros((9, 16, 16, 1), np.uint8)
        writer.add(picture, id="a/1", speaker="a", fps=25.0, text="bin", words=[], source="1.mp4")
        store = writer.close()
    batch = next(reader(store).plain(store.clips, 1))
    assert (batch.words == IGNORE).all()
    assert batch.values().isfinite().all()
