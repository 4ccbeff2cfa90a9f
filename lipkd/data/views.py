"""The ways in which a clip is shown to a network at test time: nearer than in training, mirrored."""

from dataclasses import dataclass

import numpy as np

from lipkd.data.store import Frames
from lipkd.data.transforms import fitted


@dataclass(frozen=True)
class View:
    """One view of a clip: magnified `zoom` times beyond the zoom of training, mirrored or not."""

    zoom: float = 1.0
    mirror: bool = False

    def apply(self, frames: Frames, size: tuple[int, int], zoom: float) -> Frames:
        """The view of frames (T, H, W, C), for a network trained at `size` (height, width) and `zoom`."""
        pictures = fitted(frames, size, zoom * self.zoom)
        return np.ascontiguousarray(pictures[:, :, ::-1]) if self.mirror else pictures


AS_TRAINED = View()
TTA_VIEWS = tuple(View(zoom, mirror) for mirror in (False, True) for zoom in (1.0, 1.3))
