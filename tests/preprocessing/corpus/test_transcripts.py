"""Which words are said, and what is said about a clip or a table that does not tell."""

import json
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from preprocessing.corpus.source import Source
from preprocessing.corpus.transcripts import find_words, grid_words, read_transcripts, spoken_form
from preprocessing.rejects import CannotAlign


def clip(folder: Path, name: str = "hello", align: str | None = None, text: str | None = None) -> Source:
    video = folder / "s1" / f"{name}.mp4"
    video.parent.mkdir(exist_ok=True)
    video.touch()
    if align is not None:
        video.with_suffix(".align").write_text(align)
    if text is not None:
        video.with_suffix(".txt").write_text(text, encoding="utf-8")
    return Source(f"s1/{name}", "s1", video, video.with_suffix(".align") if align is not None else None)


def test_an_alignment_comes_before_a_text_file_and_that_before_the_name(tmp_path: Path) -> None:
    align = "0 1000 sil\n1000 3000 ciao\n3000 4000 sp\n4000 6000 Anna\n"
    assert find_words(clip(tmp_path, "bbaf4s", align, "other words")).words == ("ciao", "Anna")
    named = find_words(clip(tmp_path, "lgwz9n", text=" Perché \n no?\n"))
    assert (named.words, named.origin) == (("Perché", "no?"), "text file")
    spelled = find_words(clip(tmp_path, "bbaf3s"))
    assert (" ".join(spelled.words), spelled.origin) == ("bin blue at f three soon", "file name")


def test_a_table_is_asked_alone(tmp_path: Path) -> None:
    source = clip(tmp_path, "bbaf3s")
    assert find_words(source, {"s1/bbaf3s": "so it is"}).words == ("so", "it", "is")
    with pytest.raises(CannotAlign, match="not in the table"):
        find_words(source, {})


@pytest.mark.parametrize("name", ["hello", "bbaf3", "bbaf3sx", "bbaw3s", "bbaf0s", "xbaf3s", ""])
def test_other_names_are_no_grid_codes(name: str) -> None:
    assert grid_words(name) is None


def test_grid_codes_are_read_whatever_their_case() -> None:
    assert grid_words("SWIZZA") == ("set", "white", "in", "z", "zero", "again")
    assert grid_words("pgby1p") == ("place", "green", "by", "y", "one", "please")


def test_no_words_are_a_reason(tmp_path: Path) -> None:
    for source, kind in (
        (clip(tmp_path, "none"), "no transcript"),
        (clip(tmp_path, "blank", text=" \n"), "no transcript"),
        (clip(tmp_path, "broken", align="0 1000"), "broken transcript"),
    ):
        with pytest.raises(CannotAlign) as reason:
            find_words(source)
        assert reason.value.kind == kind


def test_punctuation_is_not_said() -> None:
    words = ["grazie,", "perché", "l'uomo", "«22»", "_", "…"]
    assert [spoken_form(word) for word in words] == ["grazie", "perché", "l'uomo", "22", "", ""]


def test_tables_name_clips_by_id_or_by_path_and_speaker(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffid,text\ns1/a,"ciao, Anna"\ns1/b.c,no\n', encoding="utf-8")
    assert read_transcripts(tmp_path / "a.csv") == {"s1/a": "ciao, Anna", "s1/b.c": "no"}
    rows = [{"path": "videos/s2/b.mp4", "text": "si"}, {"path": "c.mp4", "speaker": "s3", "text": "no"}]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_transcripts(tmp_path / "b.jsonl") == {"s2/b": "si", "s3/c": "no"}


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", "", "must be one of .csv"),
        ("a.csv", "id,words\ns1/a,x\n", "line 1: no column text; it has id, words"),
        ("a.csv", "clip,text\ns1/a,x\n", "line 2: names no clip"),
        ("a.csv", "id,text\na,x\n", "'a' is no speaker/name"),
        ("a.csv", "id,text\ns1/a,x\ns1/a,y\n", "line 3: s1/a appears twice"),
        ("a.jsonl", '{"id": "s1/a"', "line 1: not a JSON object"),
        ("a.jsonl", '["s1/a", "x"]', "line 1: not a JSON object"),
    ],
)
def test_a_table_that_does_not_tell_is_refused(tmp_path: Path, name: str, content: str, fault: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(LipkdError, match=fault):
        read_transcripts(tmp_path / name)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match="cannot be read"):
        read_transcripts(tmp_path / "none.csv")
