"""The synthetic corpus: the same every time, readable from the mouth, and from nothing else."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from lipkd.errors import LipkdError
from preprocessing.corpus.align_file import read_align
from preprocessing.synthetic.draw_mouth import draw_mouth
from preprocessing.synthetic.make_corpus import Corpus, draw_clip, make_corpus, speaker_style
from preprocessing.synthetic.sentences import SLOTS, draw_sentence, speak
from preprocessing.synthetic.visemes import OPEN, TARGETS, mouth_shapes

PLAIN = tuple(slot[0] for slot in SLOTS)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_gives_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    again = make_corpus(tmp_path / "again", speakers=2, clips=4, form="both")
    files = contents(corpus.path)
    assert contents(again.path) == files
    assert sum(name.endswith(".mp4") for name in files) == 5
    assert sum(name.endswith(".align") for name in files) == 8
    assert again.frames == corpus.frames


def test_another_seed_gives_other_clips(corpus: Corpus, tmp_path: Path) -> None:
    other = make_corpus(tmp_path / "other", speakers=1, clips=1, seed=1)
    assert contents(other.path)["align/s1/c000.align"] != contents(corpus.path)["align/s1/c000.align"]


def test_a_smaller_corpus_is_the_start_of_a_bigger_one(corpus: Corpus, tmp_path: Path) -> None:
    small = make_corpus(tmp_path / "small", speakers=1, clips=2, form="frames")
    bigger = contents(corpus.path)
    assert all(bigger[name] == content for name, content in contents(small.path).items())


def test_alignments_tell_what_is_drawn(corpus: Corpus) -> None:
    for speaker, name in enumerate(corpus.speakers):
        for clip in range(4):
            spoken, frames = draw_clip(0, speaker, clip)
            alignment = read_align(corpus.path / "align" / name / f"c{clip:03d}.align")
            assert tuple(word for word, _, _ in alignment.words) == spoken.words
            assert alignment.segments[-1].frames[1] == len(frames) == spoken.n_frames
            assert all(word in slot for word, slot in zip(spoken.words, SLOTS, strict=True))
            assert all(end - first >= 2 for _, first, end in alignment.words)


def test_clips_have_the_promised_size() -> None:
    clips = [draw_clip(0, speaker, clip)[1] for speaker in range(3) for clip in range(2)]
    assert all(frames.shape[1:] == (50, 100, 3) and frames.dtype == np.uint8 for frames in clips)
    assert all(40 <= len(frames) <= 85 for frames in clips)


@pytest.mark.parametrize("slot", range(len(SLOTS)))
def test_words_of_a_slot_look_different(slot: int) -> None:
    """Said at the same pace, any two words that can stand in the same place differ visibly in some frame."""
    for one, other in combinations(SLOTS[slot], 2):
        shapes = [
            mouth_shapes(speak((*PLAIN[:slot], word, *PLAIN[slot + 1 :]), 2.0, np.random.default_rng(1)))
            for word in (one, other)
        ]
        assert np.abs(shapes[0] - shapes[1]).max() > 0.3, (one, other)


def test_letters_that_look_alike_are_drawn_alike() -> None:
    for group in ("pbm", "fv", "tdn"):
        assert all(np.array_equal(TARGETS[letter], TARGETS[group[0]]) for letter in group)
    assert not np.array_equal(TARGETS["p"], TARGETS["f"])


def test_the_mouth_follows_the_letters() -> None:
    spoken = speak(("move", "amber", "cup", "by", "fire", "please"), 2.0, np.random.default_rng(0))
    opened = mouth_shapes(spoken)[:, OPEN]
    sounds = {letter + str(i): (start + end) / 2 for i, (letter, start, end) in enumerate(spoken.sounds)}
    assert opened[int(sounds["m1"])] < 0.1
    assert opened[int(sounds["a5"])] > 0.6
    assert opened[int(sounds["m6"])] < opened[int(sounds["a5"])] / 2
    assert opened[0] < 0.05 and opened[-1] < 0.05
    assert np.abs(np.diff(opened)).max() < 0.6  # no jumps


def test_the_length_says_nothing_about_the_sentence() -> None:
    """For the same random stream every sentence takes the same time, so length and text are independent."""
    sentences = [draw_sentence(np.random.default_rng(seed)) for seed in range(20)]
    for stream in range(5):
        spoken = [speak(sentence, 1.8, np.random.default_rng(stream)) for sentence in sentences]
        assert len({s.n_frames for s in spoken}) == 1
        assert len({s.segments[0].end for s in spoken}) == 1


def test_only_the_mouth_tells_the_sentence() -> None:
    """For the same random stream two sentences differ around the mouth, and nowhere else."""
    style = speaker_style(0, 0)
    clips = []
    for sentence in (PLAIN, tuple(slot[-1] for slot in SLOTS)):
        shapes = mouth_shapes(speak(sentence, style.pace, np.random.default_rng(2)))
        clips.append(draw_mouth(shapes, style, np.random.default_rng(3)))
    change = np.abs(clips[0].astype(int) - clips[1]).max((0, 3))
    assert np.median(change[15:35, 40:60]) > 50
    assert max(change[:4].max(), change[:, :4].max(), change[:, -4:].max()) <= 1  # a grey level of shadow


def test_sentences_use_all_words_evenly() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_sentence(rng) for _ in range(600)]
    for number, slot in enumerate(SLOTS):
        shares = [sum(sentence[number] == word for sentence in drawn) / 600 for word in slot]
        assert all(abs(share - 1 / len(slot)) < 0.08 for share in shares)


def test_speakers_differ() -> None:
    styles = [speaker_style(0, number) for number in range(4)]
    assert len({style.skin for style in styles}) == len({style.pace for style in styles}) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speakers": 0}, "speakers = 0: must be from 1 to 1000"),
        ({"clips": 0}, "clips = 0: must be from 1"),
        ({"seed": -1}, "seed = -1: must be from 0"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(LipkdError, match=message):
        make_corpus(tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    with pytest.raises(LipkdError, match="already exists"):
        make_corpus(tmp_path, speakers=1, clips=1)
    assert contents(tmp_path) == {"keep.txt": b"mine"}


def test_progress_is_told_after_every_clip(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    make_corpus(tmp_path / "out", speakers=2, clips=1, form="frames", on_progress=lambda *counts: told.append(counts))
    assert told == [(1, 2), (2, 2)]
