"""Small clips to spoil: smooth random pictures, twelve of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lipkd.data.store import Frames

AddClip = Callable[..., Path]  # the fixture `add_clip`
ALIGN = "0 2000 sil\n2000 6000 go\n6000 10000 up\n10000 12000 sil\n"
N_FRAMES = 12


def noise(seed: int, n_frames: int = N_FRAMES, height: int = 50, width: int = 100) -> Frames:
    """Random frames (T, height, width, 3) of 10×10 blocks."""
    coarse = np.random.default_rng(seed).integers(40, 200, (n_frames, height // 10, width // 10, 3))
    return coarse.repeat(10, 1).repeat(10, 2).astype(np.uint8)
