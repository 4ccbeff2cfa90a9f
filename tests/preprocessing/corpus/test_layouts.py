"""Which layout a corpus has, and which clips, speakers, sentences and alignments are read from it."""

from pathlib import Path

import numpy as np
import pytest

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from preprocessing.corpus.alignments import with_alignments
from preprocessing.corpus.files import list_files
from preprocessing.corpus.find import choose, find_corpus, recognise
from preprocessing.corpus.layouts import layouts
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


def fill(root: Path, files: list[str]) -> Path:
    """Files `NAME` or `NAME=CONTENT` under `root`, which is returned; each has a content of its own."""
    for number, file in enumerate(files):
        name, _, content = file.partition("=")
        grow(root, name)
        (root / name).write_text(content or str(number))
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
    root = grow(tmp_path / "corpus", *files)
    assert recognise(root, list_files(root)).name == layout


def test_unknown_places_and_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match=r"source .*nowhere: no such folder"):
        find_corpus(tmp_path / "nowhere")
    with pytest.raises(
        LipkdError, match="layout 'gird': must be one of auto, table, italian, grid, npy, frames, words"
    ):
        find_corpus(tmp_path, "gird")


def test_grid_is_found_at_any_depth_with_its_alignments(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "grid",
        *("s1/video/mpg_6000/bbaf3s.mpg", "s1/align/bbaf3s.align"),
        *("s2/bbaf4p.mpg", "s2/bbaf4p.align", "s10/bbaf5a.mp4"),
    )
    grow(tmp_path / "align" / "s10", "bbaf5a.align")
    (root / "s2" / "again").symlink_to(root)  # a loop
    found = read(root, "grid")
    assert [(s.id, s.align.relative_to(tmp_path).as_posix() if s.align else None) for s in sorted_(found)] == [
        ("s1/bbaf3s", "grid/s1/align/bbaf3s.align"),
        ("s2/bbaf4p", "grid/s2/bbaf4p.align"),
        ("s10/bbaf5a", "align/s10/bbaf5a.align"),
    ]
    elsewhere = grow(tmp_path / "mine", "s1/bbaf3s.align").absolute()
    given = {s.id: s for s in read(root, "grid", elsewhere)}
    assert given["s1/bbaf3s"].align == elsewhere / "s1/bbaf3s.align"
    assert given["s2/bbaf4p"].align is None
    assert text_of(given["s2/bbaf4p"]) == Text("bin blue at f four please", "file name")
    assert [s.speaker for s in read(root / "s10", "grid")] == ["s10"]


def read(root: Path, name: str, align: Path | None = None) -> list[Source]:
    files = list_files(root)
    layout = next(layout for layout in layouts(root) if layout.name == name)
    return with_alignments(layout.find(files), files, align).sources


def sorted_(sources: list[Source]) -> list[Source]:
    return choose(sources, speakers=None, pattern=None, limit=None)


def test_a_word_per_folder(tmp_path: Path) -> None:
    root = grow(tmp_path / "words", "Hello/1.mp4", "Bye/anna/7.mp4")
    found = [(s.id, s.speaker, s.text, s.label) for s in sorted_(read(root, "words"))]
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


@pytest.mark.parametrize(
    ("files", "layout", "ids"),
    [
        # Speakers with plain names are no words where their clips have texts of their own.
        (["anna/hi.mp4", "anna/hi.txt=good", "ben/hi.mp4", "ben/hi.txt=go"], "speakers", ["anna/hi", "ben/hi"]),
        (["anna/HI.MP4", "anna/HI.TXT=good", "ben/B.AVI", "ben/B.ALIGN"], "speakers", ["anna/HI", "ben/B"]),
        (["train/s1/a.mp4", "train/s1/a.txt=go", "val/s2/a.mp4", "val/s2/a.txt=up"], "speakers", ["s1/a", "s2/a"]),
        (["x/anna/a.mp4", "x/anna/a.txt=go", "x/ben/a.mp4", "x/ben/a.txt=up"], "speakers", ["anna/a", "ben/a"]),
        (["anna/a.mp4", "anna/a.txt=go", "anna/a_marks.npy"], "speakers", ["anna/a"]),
        (
            ["s1/a.mp4", "s1/a.txt=go", "__MACOSX/s1/._a.mp4", "__MACOSX/s1/b.mp4", "s1/@eaDir/c.mp4"],
            "speakers",
            ["s1/a"],
        ),
        (["yes/1.mp4", "no/1.mp4", "intro.mp4", "README.txt=hello"], "words", ["unknown/no-1", "unknown/yes-1"]),
        # A text file that only describes its clip says no words (LRW).
        (
            ["ABOUT/train/1.mp4", "ABOUT/train/1.txt=Disk: 6\nDuration: 0.4\n", "AGAIN/train/1.mp4"],
            "words",
            ["unknown/ABOUT-1", "unknown/AGAIN-1"],
        ),
        # LRS: the speaker, the video, the sentence.
        (
            ["a1/v1/01.mp4", "a1/v1/01.txt=Text:  GO\nConf:  4\n", "b2/v1/01.mp4", "b2/v1/01.txt=Text: UP\nConf: 4"],
            "speakers",
            ["a1/01", "b2/01"],
        ),
        (
            ["a1/v1/01.mp4", "a1/v1/01.txt=GO", "a1/v2/01.mp4", "a1/v2/01.txt=UP", "b/v1/1.mp4"],
            "speakers",
            ["a1/v1-01", "a1/v2-01", "b/1"],
        ),
    ],
)
def test_what_explains_the_files_decides(tmp_path: Path, files: list[str], layout: str, ids: list[str]) -> None:
    corpus = find_corpus(fill(tmp_path / "corpus", files))
    assert (corpus.layout.name, sorted(source.id for source in corpus.sources)) == (layout, ids)


def test_two_readings_are_refused(tmp_path: Path) -> None:
    root = grow(tmp_path / "corpus", "anna/a.mp4", *(f"ben/{name}.mp4" for name in "bcde"))
    (root / "anna/a.txt").write_text("go")  # is anna a speaker, and are the others without a text; or a word?
    with pytest.raises(LipkdError, match=r"can be read as layout words or as layout speakers, .* with --layout"):
        find_corpus(root)
    assert find_corpus(root, "speakers").layout.name == "speakers"
    landmarks = grow(tmp_path / "other", "anna/a.mp4", "anna/a.npy")
    (landmarks / "anna/a.txt").write_text("go")
    with pytest.raises(LipkdError, match="layout npy or as layout speakers"):
        find_corpus(landmarks)


WORDS = [f"words/{word}/{who}/01.mp4" for word in ("previous", "stop") for who in ("F01", "M02")]
PHRASES = [f"phrases/{who}/01-01.{kind}" for who in ("F01", "M02") for kind in ("mp4", "txt=good bye")]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ([*WORDS, *PHRASES], "phrases (layout speakers), words (layout words)"),
        ([*WORDS, "phrases/F01/1.mp4", "phrases/M02/1.mp4"], "phrases (layout speakers), words (layout words)"),
        ([*WORDS, "phrases/Ann/1.mp4", "phrases/Ben/1.mp4"], "phrases (layout words), words (layout words)"),
        (["words/go/F01/1.mp4", *PHRASES], "phrases (layout speakers), words (layout speakers)"),
        (
            ["a.txt=about", *(f"outer/{file}" for file in [*WORDS, *PHRASES])],
            "phrases (layout speakers), words (layout words)",
        ),
        ([*WORDS, *PHRASES, "README.txt=two parts", "intro.mp4"], "phrases (layout speakers), words (layout words)"),
        (
            ["one/s1/bbaf3s.mpg", "one/s2/bbaf3s.mpg", "two/mouth/s1/1-fv.mp4", "two/align/s1/1-fv.align=0 1000 va"],
            "one (layout grid), two (layout italian)",
        ),
        (["one/s1/bbaf3s.mpg", "one/s2/bbaf4p.mpg", "two/s1/hi.mp4", "two/s1/hi.txt=hi"], "two (layout speakers)"),
        (["video/anna/a.mp4", "video/anna/a.txt=go", "more/ben/a.mp4", "more/ben/a.txt=up"], "video (layout speakers)"),
    ],
)
def test_a_folder_of_several_corpora_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: list[str], named: str
) -> None:
    root = fill(tmp_path / "corpus", files)
    assert main(["prepare", str(root), str(tmp_path / "store")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert f"{root}: holds several corpora, " in sentence and named in sentence and "prepare each by itself" in sentence
    assert not (tmp_path / "store").exists()
    find_corpus(root, "speakers")  # whoever says the layout is not asked


@pytest.mark.parametrize(
    "files",
    [
        ["anna/monday/a.mp4", "anna/monday/a.txt=go", "ben/monday/a.mp4", "ben/monday/a.txt=up"],
        ["anna/v1/a.mp4", "anna/v1/a.txt=go", "ben/a.mp4", "ben/a.txt=up", "ben/more/c.mp4"],
        ["s1/v1/a/0.png", "s1/v1/a.txt=go", "s2/v1/b.mp4", "s2/v1/b.txt=up"],
        ["video/anna/a.mp4", "video/anna/a.txt=go", "marks/anna/a.npy", "audio/anna/a.wav"],
        ["train/anna/a.mp4", "train/anna/a.txt=go", "test/ben/x/b.mp4", "test/ben/y/b.mp4"],
    ],
)
def test_one_corpus_of_folders_in_folders_is_read(tmp_path: Path, files: list[str]) -> None:
    corpus = find_corpus(fill(tmp_path / "corpus", files))
    speakers = {source.speaker for source in corpus.sources}
    assert corpus.layout.name == "speakers" and speakers <= {"anna", "ben", "s1", "s2"}


@pytest.mark.parametrize(
    ("files", "layout", "line"),
    [
        # Nothing but their names tells whether folders are speakers or words: the reading is said, and the other one.
        (["anna/1.mp4", "ben/1.mp4"], "auto", "anna, ben; if they are speakers, say --layout speakers"),
        (["anna/1.mp4", "ben/1.mp4"], "words", "anna, ben"),
        (["go/F1/1.mp4", "up/F1/1.mp4", "up/F2/1.mp4"], "auto", "go, up; the folders in them are the speakers: F1, F2"),
        (["ABOUT/train/1.mp4", "AGAIN/val/1.mp4"], "auto", "ABOUT, AGAIN"),
    ],
)
def test_how_words_were_read_is_said(tmp_path: Path, files: list[str], layout: str, line: str) -> None:
    corpus = find_corpus(fill(tmp_path / "corpus", files), layout)
    assert corpus.layout.name == "words"
    assert corpus.lines == (f"the names of the folders are the words that are said: {line}",)


def test_a_speaker_called_like_a_part_of_a_corpus_is_said(tmp_path: Path) -> None:
    root = fill(tmp_path / "corpus", ["video/a.mp4", "video/a.txt=go"])
    assert find_corpus(root).lines == (
        "a folder is taken for a speaker by the name of video; name it after the speaker",
    )


def test_what_is_left_over_is_named(tmp_path: Path) -> None:
    root = grow(tmp_path / "c", "yes/1.mp4", "no/1.mp4", "intro.mp4", "notes.txt", "yes/1.npy", "store/clip.mp4")
    grow(root, *(f"store/{name}" for name in ("meta.json", "manifest.jsonl", "frames.npy")))
    lines = find_corpus(root).lines
    assert lines == (
        "the names of the folders are the words that are said: no, yes; if they are speakers, say --layout speakers",
        "3 files are not used: intro.mp4, notes.txt, yes/1.npy",
        "clip stores in it are passed over: store",
    )
    with pytest.raises(LipkdError, match="is a clip store already"):
        find_corpus(root / "store")


def test_a_words_corpus_with_a_video_outside_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = grow(tmp_path / "words", "yes/a.mp4", "no/b.mp4", "intro.mp4")
    for options in ([], ["--layout", "words"]):
        assert main(["prepare", str(root), str(tmp_path / "store"), *options]) == 2  # empty files
        out, err = capsys.readouterr()
        assert "1 files are not used: intro.mp4" in out and "every clip was rejected" in err


@pytest.mark.parametrize("layout", ["table", "italian", "grid", "npy", "frames", "words", "speakers"])
def test_no_layout_stumbles_over_files_in_odd_places(tmp_path: Path, layout: str) -> None:
    root = grow(tmp_path / "c", "a.mp4", "a.npy", "1.png", "bbaf3s.mpg", "mouth/a.mp4", "mouth/a/b/c/1.png", "x.align")
    (root / "empty" / "deep").mkdir(parents=True)
    try:
        find_corpus(root, layout)
    except LipkdError as error:
        assert str(error)


def test_alignments_that_fit_no_clip_are_an_error(tmp_path: Path) -> None:
    root = grow(tmp_path / "c", "anna/a.mp4", "anna/b.mp4", "anna/b.align", "anna/z.align")
    corpus = find_corpus(root)
    assert [s.align is not None for s in corpus.sources] == [False, True]
    assert "1 alignments belong to no clip: anna/z.align" in corpus.lines
    elsewhere = grow(tmp_path / "al", "nobody/a.align")
    with pytest.raises(LipkdError, match=r"none of 1 files belongs to a clip: they are like nobody/a.align"):
        find_corpus(root, align=elsewhere)
    assert not any(s.align for s in find_corpus(root, align=Path("none")).sources)


def test_names_have_one_form(tmp_path: Path) -> None:
    root = grow(tmp_path / "c", "Jose\u0301/a.mp4", "Jos\u00e9/b.mp4", "anna/c.mp4", "Anna/d.mp4")
    align = grow(tmp_path / "al", "Jos\u00e9/a.align")
    corpus = find_corpus(root, "speakers", align)
    by_id = {source.id: source for source in corpus.sources}
    assert sorted(by_id) == ["Anna/d", "Jos\u00e9/a", "Jos\u00e9/b", "anna/c"]
    assert by_id["Jos\u00e9/a"].align is not None
    assert "speakers written in two forms of Unicode are one: Jos\u00e9" in corpus.lines
    assert any("speakers Anna and anna differ in case or form only" in line for line in corpus.lines)


def test_one_name_in_two_folders_is_two_clips_unless_the_bytes_are_equal(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "c", *(f"anna/{name}" for name in ("s1/1.mp4", "s2/1.mp4", "s3/1.mp4", "s1/2.mp4", "s1/2.avi"))
    )
    for name, content in (("s1", "x"), ("s2", "y"), ("s3", "x")):
        (root / "anna" / name / "1.mp4").write_text(content)
    grid = find_corpus(grow(tmp_path / "grid", "mpg/s1/bbaf3s.mpg", "mp4/s1/bbaf3s.mp4")).sources
    assert [source.id for source in grid] == ["s1/bbaf3s"] * 2  # two forms of one sentence
    (grow(root, "ben/s1/1.mp4") / "ben/s1/1.mp4").write_text("z")
    ids = [source.id for source in find_corpus(root, "speakers").sources]
    assert sorted(ids) == ["anna/2", "anna/2", "anna/s1-1", "anna/s1-1", "anna/s2-1", "ben/1"]
