"""Drawn clips for a made sweep, with the videos that they are "cropped" from, and what trials say of them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipkd.data.store import ClipStore, StoreWriter
from lipkd.text import LETTERS, letters
from preprocessing.synthetic.make_corpus import draw_clip, write_video

SPEAKERS, CLIPS, VALIDATION = 2, 20, "s2"
VIDEO = (480, 240)  # width and height of a "face", which is the mouth enlarged
SURE = 0.9


def validation_clips(folder: Path) -> ClipStore:
    """A clip store in `folder`, and the videos that its clips come from beside it."""
    raw = folder / "raw"
    with StoreWriter(folder / "store", height=50, width=100, channels=3, source_root=str(raw)) as writer:
        for speaker in range(SPEAKERS):
            for number in range(CLIPS):
                spoken, frames = draw_clip(5, speaker, number)
                name = f"s{speaker + 1}/c{number:03d}"
                write_video(raw / name, np.stack([cv2.resize(frame, VIDEO) for frame in frames]))
                writer.add(
                    frames,
                    id=name,
                    speaker=f"s{speaker + 1}",
                    fps=25.0,
                    text=" ".join(spoken.words),
                    words=[(segment.word, *segment.frames) for segment in spoken.segments],
                    source=f"{name}.mp4",
                )
        return writer.close()


def misread(text: str, share: float, rng: np.random.Generator) -> str:
    """The words of a text, such a share of them read backwards, left out or said twice."""
    said: list[str] = []
    for word in letters(text).split():
        wrong = [[word[::-1]], [], [word, word]][int(rng.integers(3))]
        said += wrong if rng.random() < share else [word]
    return " ".join(said)


def posteriors_of(texts: list[str], frames: int) -> NDArray[np.float16]:
    """Posteriors (P, T, V), one peer per text: a spike for every letter, evenly spread, blank between."""
    rest = (1 - SURE) / len(LETTERS)
    values = np.full((len(texts), frames, len(LETTERS) + 1), rest, np.float16)
    values[:, :, 0] = SURE
    for peer, text in enumerate(texts):
        for number, letter in enumerate(text):
            frame = (2 * number + 1) * frames // (2 * len(text))
            values[peer, frame, 0] = rest
            values[peer, frame, LETTERS.index(letter) + 1] = SURE
    return values
