"""Pictures of a clip on their way into a network: the middle, the size, mean and std.

Training and prediction go through the same functions, so a deployed network sees what it was trained on.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipkd.data.store import Frames

Channels = NDArray[np.float32]
DARKEST = 1.0  # least deviation in grey levels: a clip without any contrast is divided by this


def fitted(frames: Frames, size: tuple[int, int], zoom: float) -> Frames:
    """Frames (T, H, W, C) as a network sees them: their middle at `size` (height, width)."""
    if frames.shape[1:3] == size and zoom == 1:
        return frames
    return resize(centre(frames, zoom), size)


def with_surroundings(frames: Frames, size: tuple[int, int], zoom: float) -> Frames:
    """What `fitted` shows of frames (T, H, W, C) and, at the same scale, what the store has around it.

    The margins are equal on opposite sides, so that the middle of `size` is what `fitted` shows, but for the rounding
    to whole pixels of the store (below 1 % of the picture's size). With zoom 1 there is nothing around.
    """
    shown, margins = [], []
    for side, wanted in zip(frames.shape[1:3], size, strict=True):
        middle = _middle(side, zoom)
        pixels = wanted / (middle.stop - middle.start)
        margins.append(int(middle.start * pixels))
        around = round(margins[-1] / pixels)
        shown.append(slice(middle.start - around, middle.stop + around))
    rows, columns = shown
    return resize(frames[:, rows, columns], (size[0] + 2 * margins[0], size[1] + 2 * margins[1]))


def centre(frames: Frames, zoom: float) -> Frames:
    """The middle of the pictures (T, H, W, C): 1/zoom of each side."""
    rows, columns = (_middle(side, zoom) for side in frames.shape[1:3])
    return frames[:, rows, columns]


def _middle(side: int, zoom: float) -> slice:
    extent = max(round(side / zoom), 1)
    first = (side - extent) // 2
    return slice(first, first + extent)


def resize(frames: Frames, size: tuple[int, int]) -> Frames:
    """Frames (T, H, W, C) at another (height, width), bilinear with antialiasing."""
    planes = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float()
    planes = F.interpolate(planes, size=size, mode="bilinear", antialias=True, align_corners=False)
    return planes.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def mean_and_std(frames: Frames) -> tuple[Channels, Channels]:
    """Mean and standard deviation (C,) of a clip's values (T, H, W, C): cameras and rooms differ more than mouths."""
    pixels = frames.reshape(-1, frames.shape[3])
    mean, std = pixels.mean(0), pixels.std(0)
    return mean.astype(np.float32), np.maximum(std, DARKEST).astype(np.float32)


def standardising(
    mean: Channels, std: Channels, contrast: float = 1.0, brightness: float = 0.0
) -> tuple[Channels, Channels]:
    """Gain and offset (C,) with which frame · gain + offset is standardised and augmented."""
    return contrast / std, brightness - mean * contrast / std


def stacked(clips: list[Frames]) -> Frames:
    """Clips (T, H, W, C) as one array (B, longest T, H, W, C), zeros at the end of the shorter ones."""
    frames = np.zeros((len(clips), max(map(len, clips)), *clips[0].shape[1:]), np.uint8)
    for row, clip in zip(frames, clips, strict=True):
        row[: len(clip)] = clip
    return frames


def scaled(frames: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """uint8 frames (B, T, H, W, C) → values (B, C, T, H, W) float32, channels last in memory; gain, offset (B, C)."""
    values = frames * gain[:, None, None, None] + offset[:, None, None, None]
    return values.permute(0, 4, 1, 2, 3)
