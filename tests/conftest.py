"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import numpy as np
import pytest

from lipkd.data.store import ClipStore, Frames, StoreWriter

SPEAKERS = ("ada", "ben", "cleo")
SENTENCES = ("bin red", "lay blue now", "set red now", "bin blue", "lay red", "set blue now")
FRAMES_PER_WORD, SILENCE = 7, 2
HEIGHT, WIDTH = 24, 48


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings (`italian/`, `grid/`), for tests that need them."""
    folder = os.environ.get("LIPKD_DATA")
    if not folder:
        pytest.skip("LIPKD_DATA is not set: real recordings are not part of the repository")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums depend in their last bits on the number of threads; and several wait for each other on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Eighteen clips of three speakers (ada, ben, cleo), 24×48 RGB, 18 or 25 frames; read only.

    A bright ellipse on a noisy ground opens with the letters of the word that is said, so there is
    something to learn; no video library is needed.
    """
    path = tmp_path_factory.mktemp("tiny") / "store"
    with StoreWriter(path, height=HEIGHT, width=WIDTH, channels=3) as writer:
        for number, speaker in enumerate(SPEAKERS):
            for index, text in enumerate(SENTENCES):
                frames, words = _clip(text, skin=90 + 30 * number, seed=100 * number + index)
                name = f"{speaker}/{index:02d}"
                writer.add(frames, id=name, speaker=speaker, fps=25.0, text=text, words=words, source=f"{name}.mp4")
        return writer.close()


def _clip(text: str, skin: int, seed: int) -> tuple[Frames, list[tuple[str, int, int]]]:
    """Frames (T, 24, 48, 3) and words (word, first, end) of a sentence: silence, its words, silence."""
    rng = np.random.default_rng(seed)
    letters, words = [" "] * SILENCE, []
    for word in text.split():
        words.append((word, len(letters), len(letters) + FRAMES_PER_WORD))
        letters += [word[i * len(word) // FRAMES_PER_WORD] for i in range(FRAMES_PER_WORD)]
    letters += [" "] * SILENCE
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    frames = rng.normal(skin, 6, (len(letters), HEIGHT, WIDTH, 3))
    for frame, letter in zip(frames, letters, strict=True):
        code = 0 if letter == " " else ord(letter) - ord("a") + 1
        open_, wide = 0.08 + 0.12 * (code % 6), 0.3 + 0.12 * (code // 6)
        frame[(y / open_) ** 2 + (x / wide) ** 2 < 1] += 80
    return frames.clip(0, 255).astype(np.uint8), words
