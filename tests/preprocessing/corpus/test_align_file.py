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
        ("0 1000 go home\n", "line 1: 4 fields in '0 1000 go home', expected three: start end word"),
        ("0\n", "line 1: 1 fields"),
        ("0 1000 sil\n\n1000 soon go\n", "line 3: times '1000' and 'soon' must be numbers"),
        ("0 nan go\n", "line 1: times '0' and 'nan' must be numbers"),
        ("0 1000 <unk>\n", "line 1: '<unk>' is neither a word nor a known name of silence"),
        ("0 1000 [laughs]\n", "line 1: '[laughs]' is neither"),
        ("0 3000 sil\n3000 4000 sp\n", "no word, only silence"),
        ("", "no word, only silence"),
    ],
)
def test_a_file_whose_words_are_not_sure_is_named_with_its_line(tmp_path: Path, lines: str, message: str) -> None:
    path = written(tmp_path, lines)
    with pytest.raises(LipkdError) as error:
        read_align(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("0 3000 sil\n3000 2000 go\n", "line 2: end 2000 is before start 3000"),
        ("0 3000 go\n2000 4000 up\n", "line 2: start 2000 is before the end 3000 of the segment above"),
        ("-5 3000 go\n", "line 1: start -5 is negative"),
    ],
)
def test_a_word_out_of_order_is_a_fault_of_the_times_alone(tmp_path: Path, lines: str, fault: str) -> None:
    alignment = read_align(written(tmp_path, lines))
    assert alignment.faults[0].startswith(fault)
    assert alignment.text in ("go", "go up")


@pytest.mark.parametrize(
    "lines",
    [
        "0 2000 go\n2000 5000 up\n100000 99000 sil\n",  # as in the Italian corpus
        "0 2000 go\n1000 2000 sil\n2000 5000 up\n",  # a silence within a word
        "0 2000 go\n2000 2500 sil\n2000 5000 up\n",  # one that reaches into the next word
        "-1000 0 sil\n0 2000 go\n2000 5000 up\n",
        "0 2000 go\n2000 5000 up\n4000 12000 sil\n12000 11000 sil\n",
    ],
)
def test_silences_are_mended(tmp_path: Path, lines: str) -> None:
    alignment = read_align(written(tmp_path, lines))
    assert (alignment.faults, alignment.words) == ((), (("go", 0, 2), ("up", 2, 5)))
    assert alignment.mended


@pytest.mark.parametrize("name", ["sil", "SIL", "<sil>", "sp", "Spn", "<eps>", "#", ""])
def test_silence_by_its_other_names(tmp_path: Path, name: str) -> None:
    alignment = read_align(written(tmp_path, f"0 2000 {name}\n2000 5000 Up\n5000 9000 {name}\n"))
    assert alignment.words == (("Up", 2, 5),) and alignment.text == "Up"


@pytest.mark.parametrize(
    ("lines", "unit"),
    [
        ("0 8000 sil\n8000 20000 go\n20000 75000 sil\n", None),
        ("0,0 8000,5 sil\n8000,5 20000,0 go\n", None),
        ("0 320 sil\n320 800 go\n800 3000 sil\n", "milliseconds"),
        ("0.00 0.32 sil\n0.32 0.80 go\n", "seconds"),
        ("0,00 0,32\n0,32 0,80 go\n", "seconds"),
    ],
)
def test_units_are_told_by_the_length_of_the_clip(tmp_path: Path, lines: str, unit: str | None) -> None:
    assert read_align(written(tmp_path, lines)).in_frames(75) == ((("go", 8, 20),), unit)


def test_times_that_fit_in_no_unit_are_refused(tmp_path: Path) -> None:
    for lines, fault in (
        ("0 8000 sil\n8000 76000 go\n", "'go' at frames 8–76 of 75"),
        ("0 16000000 go\n", "'go' at frames 0–16000 of 75"),  # samples, or units of 100 ns
        ("0 100 go\n", "times end at 100, frame 0.1 of 75: neither frames × 1000 nor milliseconds nor seconds"),
    ):
        with pytest.raises(LipkdError, match=fault):
            read_align(written(tmp_path, lines)).in_frames(75)


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.align"
    path.write_bytes("0 1000 a\u2028b\r1000 2000 c\u0085d\r\n2000 3000 e".encode())
    assert [word for word, _, _ in read_align(path).words] == ["a\u2028b", "c\u0085d", "e"]
    path.write_bytes("\ufeff0 1000 go\r1000 2000 up\r\n".encode("utf-16"))
    assert read_align(path).text == "go up"


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
