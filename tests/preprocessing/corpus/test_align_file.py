"""Alignment files: what the corpora hold, and what is refused."""

from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from preprocessing.corpus.align_file import Segment, read_align, to_frame, write_align


def written(folder: Path, text: str) -> Path:
    path = folder / "clip.align"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("time", "frame"),
    [
        (0, 0),
        (499, 0),
        (500, 1),  # a half goes up
        (23250, 23),
        (32500, 33),
        (45000, 45),
        (56999, 57),  # meant as 57
        (74500, 75),  # GRID's last end: all of its 75 frames
        (99000, 99),  # the Italian last end, of 100 frames
    ],
)
def test_times_go_to_the_nearest_frame_boundary(time: int, frame: int) -> None:
    assert to_frame(time) == frame


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "0 17000 sil\n17000 24000 Salve\n24000 56999 quanto\n56999 64000 costa?\n64000 99000 sil\n",
            [("Salve", 17, 24), ("quanto", 24, 57), ("costa?", 57, 64)],
        ),
        (
            "0 34000 sil\n34000 35000 ciao\n35000 35000 io\n35000 40000 sono\n",
            [("ciao", 34, 35), ("io", 35, 35), ("sono", 35, 40)],
        ),
        ("0 23250 place\n23250 30000 sp\n30000 32500 blue\n32500 74500 sil\n", [("place", 0, 23), ("blue", 30, 33)]),
        ("\ufeff0 1000 perché\r\n\r\n1000 2000 l'ora\r\n", [("perché", 0, 1), ("l'ora", 1, 2)]),
        ("5000\t9000   no\n12000 13000 way", [("no", 5, 9), ("way", 12, 13)]),
    ],
    ids=["italian", "zero-length", "grid", "bom-crlf-accents", "tabs-gap-no-last-newline"],
)
def test_words_in_frames(tmp_path: Path, lines: str, words: list[tuple[str, int, int]]) -> None:
    alignment = read_align(written(tmp_path, lines))
    assert list(alignment.words) == words
    assert alignment.text == " ".join(word for word, _, _ in words)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0 1000 sil\n1000 2000\n", "line 2: 2 fields in '1000 2000', expected three: start end word"),
        ("0 1000 go home\n", "line 1: 4 fields"),
        ("0 1000 sil\n\n1000 2e3 go\n", "line 3: times '1000' and '2e3' must be whole numbers"),
        ("0 3000 sil\n3000 2000 go\n", "line 2: end 2000 lies before start 3000"),
        ("0 3000 go\n2000 4000 up\n", "line 2: start 2000 lies before the end 3000 of the segment above"),
        ("-5 3000 go\n", "line 1: start -5 is negative"),
        ("0 3000 sil\n3000 4000 sp\n", "no word, only silence"),
        ("", "no word, only silence"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, lines: str, message: str) -> None:
    path = written(tmp_path, lines)
    with pytest.raises(LipkdError) as error:
        read_align(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match="cannot be read"):
        read_align(tmp_path / "none.align")
    (tmp_path / "latin.align").write_bytes("0 1000 perché\n".encode("latin-1"))
    with pytest.raises(LipkdError, match="not UTF-8"):
        read_align(tmp_path / "latin.align")


def test_written_segments_are_read_back(tmp_path: Path) -> None:
    segments = (Segment(0, 2000, "sil"), Segment(2000, 5000, "Va"), Segment(5000, 5000, "bene."))
    write_align(tmp_path / "new" / "a.align", segments)
    assert read_align(tmp_path / "new" / "a.align").segments == segments
    assert (tmp_path / "new" / "a.align").read_text() == "0 2000 sil\n2000 5000 Va\n5000 5000 bene.\n"
