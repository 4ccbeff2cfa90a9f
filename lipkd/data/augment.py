"""Augmentation of one training clip: a list of source frames, a mapping of pixels, and masks.

Everything random comes from the generator that is passed in, one per (trial seed, epoch, clip), so a
clip is augmented the same way whatever batch it falls into and whichever process does it.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from lipkd.config.sections import AugmentConfig
from lipkd.data.store import Clip, Frames

Floats = NDArray[np.float32]


def frame_indices(clip: Clip, augment: AugmentConfig, least: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The clip's frames to show, in order, as indices (T',): silence trimmed, pace changed, frames
    dropped or doubled.

    `least` is the number of frames that CTC needs for the transcript; below it nothing is shortened.
    """
    first, end = 0, clip.n_frames
    spoken = [(a, b) for _, a, b in clip.words if b > a]
    if spoken and rng.random() < augment.trim:
        # Never closer than 4 frames (160 ms) to speech: lips move before they are heard.
        first = int(rng.integers(0, max(min(a for a, _ in spoken) - 4, 0) + 1))
        end = int(rng.integers(min(max(b for _, b in spoken) + 4, clip.n_frames), clip.n_frames + 1))
    pace = 1 + augment.speed * rng.uniform(-1, 1)
    count = max(round((end - first) / pace), 1)
    indices = first + np.minimum(np.arange(count) * (end - first) // count, end - first - 1)
    change = rng.random(count)
    repeats = np.where(change < augment.jitter / 2, 0, np.where(change > 1 - augment.jitter / 2, 2, 1))
    indices = np.repeat(indices, repeats)
    return indices if len(indices) >= least else np.arange(clip.n_frames)


def change_pictures(
    frames: Frames, size: tuple[int, int], mean: Floats, augment: AugmentConfig, rng: np.random.Generator
) -> Frames:
    """Mirror, shift, turn and scale all frames (T, H, W, C) of a clip alike, then mask; masks show the clip's mean
    (C,).

    Shows the middle of `size` (height, width) of frames at least as large: what is moved into it comes from around
    it, and beyond the frames' own edges the last pixel is repeated. Everything stays uint8: a quarter of the bytes
    to move.
    """
    n_frames, *sides = frames.shape[:3]
    height, width = size
    columns = np.arange(sides[1])[:: -1 if rng.random() < augment.flip else 1]
    down, right = (round(side * augment.shift * rng.uniform(-1, 1)) for side in size)
    rows = np.clip(np.arange(sides[0]) + down, 0, sides[0] - 1)
    columns = columns[np.clip(np.arange(sides[1]) + right, 0, sides[1] - 1)]
    moved = frames.take(rows, axis=1).take(columns, axis=2)
    if augment.scale or augment.turn:
        moved = turn_and_scale(moved, size, augment.turn * rng.uniform(-1, 1), 1 + augment.scale * rng.uniform(-1, 1))
    else:
        top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
        moved = moved[:, top : top + height, left : left + width]
    blank = mean.round().astype(np.uint8)
    for _ in range(augment.time_masks):
        extent = int(rng.integers(0, min(augment.time_mask_frames, n_frames // 4) + 1))
        first = int(rng.integers(0, n_frames - extent + 1))
        moved[first : first + extent] = blank
    for _ in range(augment.patch_masks):
        tall, wide = (int(side * augment.patch_mask_share * rng.random()) for side in size)
        top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
        moved[:, top : top + tall, left : left + wide] = blank
    return moved


def turn_and_scale(frames: Frames, size: tuple[int, int], degrees: float, scale: float) -> Frames:
    """The middle of `size` (height, width) of frames (T, H, W, C) turned counterclockwise about it and enlarged,
    bilinear."""
    sides = frames.shape[1:3]
    height, width = size
    cosine, sine = (f(math.radians(degrees)) / scale for f in (math.cos, math.sin))
    # Where in the source each pixel comes from, in coordinates that run from -1 to 1 along each side of either.
    x = [cosine * (width / sides[1]), -sine * height / sides[1], 0]
    y = [sine * width / sides[0], cosine * (height / sides[0]), 0]
    source = torch.tensor([[x, y]])
    grid = F.affine_grid(source, [1, 1, height, width], align_corners=False)
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2).flatten(0, 1)[None].float()
    turned = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    pixels = turned.round_().byte().view(len(frames), -1, height, width)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def contrast_and_brightness(augment: AugmentConfig, rng: np.random.Generator) -> tuple[float, float]:
    """Gain and offset of a clip's standardised values: contrast and brightness."""
    return 1 + augment.contrast * rng.uniform(-1, 1), augment.brightness * rng.uniform(-1, 1)
