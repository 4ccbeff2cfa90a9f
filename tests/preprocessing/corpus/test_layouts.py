"""Which layout a corpus has, and which clips, speakers, sentences and alignments are read from it."""

from pathlib import Path

import numpy as np
import pytest

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from preprocessing.corpus.layouts import LAYOUTS, choose, layout_named, recognise
from preprocessing.corpus.source import Source
from preprocessing.corpus.transcripts import Text, text_of
from preprocessing.synthetic.make_corpus import Corpus
from tests.preprocessing.clips import ALIGN, AddClip, noise


def grow(root: Path, *names: str) -> Path:
    """Empty files of those names under `root`, which is returned."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize(
    ("files", "layout"),
    [
        (["s1/bbaf3s.mpg", "s2/swiz9n.mpg"], "grid"),
        (["video/s1/bbaf3s.mpg", "align/s1/bbaf3s.align"], "grid"),
        (["mouth/s1/1-fv.mp4", "frames/s1/2-fv/mouth_000.png", "align/s1/1-fv.align"], "italian"),
        (["anna/hello/000.png"], "frames"),
        (["anna/hello.npy"], "npy"),
        (["hello/1.mp4", "goodbye/1.mp4"], "words"),
        (["hello/anna/1.mp4", "goodbye/anna/1.mp4"], "words"),
        (["anna/hello.mp4", "anna/hello.align", "ben/hello.mp4"], "speakers"),
        (["clips.csv", "hello/1.mp4", "goodbye/1.mp4"], "table"),
        (["clips.jsonl"], "table"),
    ],
)
def test_a_layout_is_recognised(tmp_path: Path, files: list[str], layout: str) -> None:
    assert recognise(grow(tmp_path / "corpus", *files)).name == layout


def test_unknown_places_and_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match=r"source .*nowhere: no such folder"):
        recognise(tmp_path / "nowhere")
    with pytest.raises(
        LipkdError, match="layout 'gird': must be one of auto, table, italian, grid, npy, frames, words"
    ):
        layout_named("gird")
    assert [layout_named(layout.name) for layout in LAYOUTS] == list(LAYOUTS)


def test_grid_is_found_at_any_depth_with_its_alignments(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "grid",
        *("s1/video/mpg_6000/bbaf3s.mpg", "s1/align/bbaf3s.align"),
        *("s2/bbaf4p.mpg", "s2/bbaf4p.align", "s10/bbaf5a.mp4"),
    )
    grow(tmp_path / "align" / "s10", "bbaf5a.align")
    (root / "s2" / "again").symlink_to(root)  # a loop
    found = layout_named("grid").find(root, None)
    assert [(s.id, s.align.relative_to(tmp_path).as_posix() if s.align else None) for s in sorted_(found)] == [
        ("s1/bbaf3s", "grid/s1/align/bbaf3s.align"),
        ("s2/bbaf4p", "grid/s2/bbaf4p.align"),
        ("s10/bbaf5a", "align/s10/bbaf5a.align"),
    ]
    elsewhere = grow(tmp_path / "mine", "s1/bbaf3s.align").absolute()
    given = {s.id: s for s in layout_named("grid").find(root, elsewhere)}
    assert given["s1/bbaf3s"].align == elsewhere / "s1/bbaf3s.align"
    assert given["s2/bbaf4p"].align is None
    assert text_of(given["s2/bbaf4p"]) == Text("bin blue at f four please", "file name")
    assert [s.speaker for s in layout_named("grid").find(root / "s10", None)] == ["s10"]


def sorted_(sources: list[Source]) -> list[Source]:
    return choose(sources, speakers=None, pattern=None, limit=None)


def test_a_word_per_folder(tmp_path: Path) -> None:
    root = grow(tmp_path / "words", "Hello/1.mp4", "Bye/anna/7.mp4")
    found = [(s.id, s.speaker, s.text, s.label) for s in sorted_(layout_named("words").find(root, None))]
    assert found == [("anna/Bye-7", "anna", "bye", "Bye"), ("unknown/Hello-1", "unknown", "hello", "Hello")]


def test_clips_are_chosen_by_speaker_pattern_and_number() -> None:
    sources = [Source(f"s{n}/{name}", f"s{n}", Path(f"s{n}/{name}"), None) for n in (10, 2, 1) for name in ("b", "a")]
    ids = [s.id for s in choose(sources, speakers=["s10", "s2"], pattern="a$", limit=None)]
    assert ids == ["s2/a", "s10/a"]
    assert [s.id for s in choose(sources, speakers=None, pattern=None, limit=3)] == ["s1/a", "s1/b", "s2/a"]
    for options, message in (
        ({"speakers": ["s3"], "pattern": None}, "speakers s3: not in the corpus, which has s1, s2, s10"),
        ({"speakers": None, "pattern": "z"}, "pattern 'z': occurs in none of 6 clips, like s10/b"),
        ({"speakers": None, "pattern": "("}, "not a regular expression"),
    ):
        with pytest.raises(LipkdError, match=message):
            choose(sources, limit=None, **options)


def test_mouth_crops_of_every_layout_become_a_store(
    corpus: Corpus, add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(corpus.path), str(tmp_path / "a"), "--workers", "1"]) == 0
    assert "layout italian: 8 clips, mouth crops" in capsys.readouterr().out
    assert (len(ClipStore.open(tmp_path / "a").clips), (tmp_path / "a.work").exists()) == (8, False)

    add_clip("s1/a")
    assert main(["prepare", str(tmp_path / "src"), str(tmp_path / "b"), "--grey"]) == 0
    assert "layout frames: 1 clips, mouth crops" in capsys.readouterr().out
    assert ClipStore.open(tmp_path / "b").frames.shape == (12, 50, 100, 1)

    arrays = grow(tmp_path / "arrays", "s1/x.align", "s1/bad.align")
    (arrays / "s1" / "x.align").write_text(ALIGN)
    (arrays / "s1" / "bad.align").write_text(ALIGN)
    np.save(arrays / "s1" / "x.npy", noise(3))
    np.save(arrays / "s1" / "bad.npy", noise(3).astype(np.float32))
    assert main(["prepare", str(arrays), str(tmp_path / "c")]) == 3
    assert "not a clip" in capsys.readouterr().out
    assert np.array_equal(ClipStore.open(tmp_path / "c").frames, noise(3))

    add_clip("hello/1", form="video", align=None)
    table = tmp_path / "src" / "clips.csv"
    table.write_text("path;speaker;text\nhello/1.mp4;anna;Hello!\n")
    assert main(["prepare", str(table), str(tmp_path / "d")]) == 0
    assert "layout table: 1 clips, mouth crops" in capsys.readouterr().out
    (clip,) = ClipStore.open(tmp_path / "d").clips
    assert (clip.id, clip.text, clip.words, clip.source) == ("anna/1", "Hello!", (), "hello/1.mp4")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--margin", "9"], "margin 9: must be from -0.25 to 5"),
        (["--max-missing", "1"], "max-missing 1: must be from 0 to 0.9"),
        (["--size", "2x100"], "height 2: must be from 8 to 1000"),
        (["--workers", "0"], "workers 0: must be at least 1"),
        (["--limit", "0"], "limit 0: must be at least 1"),
        (["--layout", "gird"], "layout 'gird': must be one of auto"),
        (["--landmarker", "/nowhere", "--face", "yes"], "--landmarker /nowhere: no such file"),
    ],
)
def test_wrong_options_are_one_sentence(
    add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], message: str
) -> None:
    add_clip("s1/a")
    assert main(["prepare", str(tmp_path / "src"), str(tmp_path / "store"), *option]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
