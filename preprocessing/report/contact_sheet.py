"""Contact sheets: a few clips of a speaker, a few frames of each, in one picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lipkd.data.store import Clip, ClipStore

COLUMNS, ROWS = 4, 2  # clips
FRAMES = 3  # of a clip, side by side: a mouth that does not move shows at once
GAP = 4  # pixels between clips
LARGEST = 160  # pixels; wider crops are made smaller

Picture = NDArray[np.uint8]  # RGB (height, width, 3)


def contact_sheet(store: ClipStore, clips: list[Clip]) -> Picture:
    """Up to COLUMNS × ROWS of the clips, spread evenly over them, with FRAMES frames each; white where none is."""
    shown = [clips[i] for i in _spread(len(clips), min(len(clips), COLUMNS * ROWS))]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    strips = [_strip(store, clip) for clip in shown]
    height, width = strips[0].shape[:2]
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for index, strip in enumerate(strips):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = strip
    return sheet


def _strip(store: ClipStore, clip: Clip) -> Picture:
    """FRAMES frames of a clip from a quarter to three quarters of it, where somebody speaks."""
    frames = store.read(clip)
    chosen = frames[(np.linspace(0.25, 0.75, FRAMES) * (len(frames) - 1)).round().astype(int)]
    if chosen.shape[3] == 1:
        chosen = chosen.repeat(3, 3)
    strip = np.concatenate(list(chosen), 1)
    if (wide := chosen.shape[2]) > LARGEST:
        size = (LARGEST * FRAMES, max(1, round(chosen.shape[1] * LARGEST / wide)))
        strip = cv2.resize(strip, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return strip


def _spread(total: int, count: int) -> list[int]:
    """`count` different numbers below `total`, evenly from the first to the last."""
    return [int(i) for i in np.linspace(0, total - 1, count).round()]


def encode(picture: Picture, suffix: str) -> bytes:
    """An RGB picture as the bytes of a `.jpg` or `.png` file."""
    done, content = cv2.imencode(suffix, np.ascontiguousarray(picture[:, :, ::-1]))
    assert done
    return content.tobytes()
