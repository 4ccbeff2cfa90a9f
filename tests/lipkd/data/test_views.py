"""Views of a clip at test time: what each shows."""

import numpy as np

from lipkd.data.transforms import fitted
from lipkd.data.views import AS_TRAINED, TTA_VIEWS, View


def test_views_show_the_clip_as_trained_nearer_and_mirrored() -> None:
    frames = np.random.default_rng(5).integers(0, 256, (4, 26, 52, 3), np.uint8)
    size, zoom = (20, 40), 1.1
    assert np.array_equal(AS_TRAINED.apply(frames, size, zoom), fitted(frames, size, zoom))
    assert np.array_equal(View(1.3).apply(frames, size, zoom), fitted(frames, size, zoom * 1.3))
    mirrored = View(1.3, mirror=True).apply(frames, size, zoom)
    assert np.array_equal(mirrored, View(1.3).apply(frames, size, zoom)[:, :, ::-1])
    assert mirrored.flags.c_contiguous and mirrored.shape == (4, *size, 3)
    assert TTA_VIEWS[0] == AS_TRAINED and len(set(TTA_VIEWS)) == len(TTA_VIEWS) == 4
