"""The miniature of the whole: synthetic speakers, a small network, a speaker that it has never seen.

What is said can be read from the frames and only from them: with each clip's frames under another clip's
transcript the same network learns nothing.
"""

from pathlib import Path

import numpy as np
import pytest

from lipkd.config.trial_config import parse_config
from lipkd.data.store import ClipStore, Frames, StoreWriter
from lipkd.training.train import fit
from preprocessing.corpus.align_file import Alignment
from preprocessing.synthetic.make_corpus import draw_clip

SPEAKERS, CLIPS, EPOCHS = 6, 36, 13


@pytest.fixture(scope="module")
def drawn() -> list[list[tuple[Alignment, Frames]]]:
    """Per speaker the alignments and frames of the clips."""
    found = []
    for speaker in range(SPEAKERS):
        clips = [draw_clip(0, speaker, number) for number in range(CLIPS)]
        found.append([(Alignment(spoken.segments), frames) for spoken, frames in clips])
    return found


def store_of(drawn: list[list[tuple[Alignment, Frames]]], path: Path, *, shuffled: bool) -> ClipStore:
    """A store of the clips; `shuffled` gives each clip the transcript of another clip of its speaker."""
    with StoreWriter(path, height=50, width=100, channels=3) as writer:
        for speaker, clips in enumerate(drawn):
            move = int(np.random.default_rng(speaker).integers(1, CLIPS)) if shuffled else 0
            for number, (_, frames) in enumerate(clips):
                said = clips[(number + move) % CLIPS][0]
                words = [(w, min(a, len(frames)), min(b, len(frames))) for w, a, b in said.words]
                name = f"s{speaker}/c{number}"
                writer.add(
                    frames, id=name, speaker=f"s{speaker}", fps=25.0, text=said.text, words=words, source=f"{name}.mp4"
                )
        return writer.close()


def train(store: ClipStore, folder: Path) -> dict[str, float]:
    return fit(
        parse_config(
            {
                "data": {"store": str(store.path), "scenario": "unseen", "val_speakers": ["s5"], "crop": [25, 50]},
                "network": {"width": 0.25, "dropout": 0.1},
                "training": {"epochs": EPOCHS, "batch_size": 4, "learning_rate": 3e-3, "threads": 1},
                "augment": {"time_masks": 0, "patch_masks": 0, "jitter": 0.02},
            }
        ),
        folder,
    )


def test_an_unseen_speaker_is_read(drawn: list[list[tuple[Alignment, Frames]]], tmp_path: Path) -> None:
    metrics = train(store_of(drawn, tmp_path / "store", shuffled=False), tmp_path / "trial")
    assert metrics["best/wer"] < 0.1
    assert metrics["best/cer"] < 0.05


def test_shuffled_transcripts_stay_at_chance(drawn: list[list[tuple[Alignment, Frames]]], tmp_path: Path) -> None:
    """A word of a slot is right by chance one time in four or five, so three of four words are wrong at best."""
    metrics = train(store_of(drawn, tmp_path / "store", shuffled=True), tmp_path / "trial")
    assert metrics["best/wer"] > 0.7
