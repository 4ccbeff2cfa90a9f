"""The real Italian corpus: every clip is taken, and its two forms agree."""

from pathlib import Path

import numpy as np
import pytest

from lipkd.data.store import ClipStore
from lipkd.files import read_jsonl
from preprocessing.prepare import prepare_corpus
from preprocessing.video.mouth_clips import read_crops
from preprocessing.write_store import Summary

CLIPS = 466
PICTURE_FOLDERS = ("0-bs", "1-bs", "18-bs")  # of s1, beside the same clips as videos


@pytest.fixture(scope="module")
def prepared(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    store = tmp_path_factory.mktemp("italian") / "store"
    return prepare_corpus(real_data / "italian", store), store


def test_every_clip_is_accepted(prepared: tuple[Summary, Path]) -> None:
    summary, path = prepared
    store = ClipStore.open(path)
    assert len(store.clips) == summary.accepted == CLIPS
    assert {clip.n_frames for clip in store.clips} == {100}
    assert len(store.speakers()) == 25
    assert store.clip("s1/0-bs").words[2] == ("costa", 45, 57)  # 45000 56999
    assert store.check() == []


def test_the_only_rejects_are_the_second_copies(prepared: tuple[Summary, Path]) -> None:
    summary, path = prepared
    assert summary.reasons == {"second copy of a clip": 3}
    assert [row["source"] for row in read_jsonl(path / "rejects.jsonl")] == [
        f"frames/s1/{name}" for name in PICTURE_FOLDERS
    ]


def test_speaker_7_is_made_of_other_speakers_clips(prepared: tuple[Summary, Path]) -> None:
    """Eighteen clips of s7 are s1's to s5's; so an unseen s4 has been seen unless s7 is left out as well."""
    summary, _ = prepared
    assert len(summary.copies) == 22
    shared = [group for group in summary.copies if any(clip.startswith("s7/") for clip in group)]
    assert len(shared) == 18
    assert sum(any(clip.startswith("s4/") for clip in group) for group in shared) == 5


@pytest.mark.parametrize("name", PICTURE_FOLDERS)
def test_pictures_equal_the_video_up_to_the_codec(real_data: Path, prepared: tuple[Summary, Path], name: str) -> None:
    store = ClipStore.open(prepared[1])
    stored = store.read(store.clip(f"s1/{name}")).astype(int)
    pictures = read_crops(real_data / "italian" / "frames" / "s1" / name, None, (50, 100))
    assert pictures.shape == stored.shape
    assert np.abs(stored - pictures).mean() < 2
    assert np.abs(stored - pictures).max() < 30
    assert np.abs(stored - pictures[..., ::-1]).mean() > 8  # exchanged red and blue would show
    assert np.abs(stored[1:] - pictures[:-1]).mean() > np.abs(stored - pictures).mean()  # and so would a shift in time
