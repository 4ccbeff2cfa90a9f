"""Which words are said, and what is said about a clip or a table that does not tell."""

import json
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from preprocessing.corpus.find import find_corpus
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


def recorded(root: Path, *names: str) -> list[Source]:
    """The clips of a corpus of these files, each with bytes of its own unless `NAME=BYTES` says them."""
    for name, _, content in (name.partition("=") for name in names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content or name)
    return find_corpus(root, "words" if names[0].startswith("go/") else "speakers").sources


@pytest.mark.parametrize(
    ("files", "paths", "ids"),
    [
        (
            ["anna/session1/0001.mp4", "anna/session2/0001.mp4", "anna/session2/0002.mp4", "ben/0001.mp4"],
            ["anna/session1/0001.mp4", "anna\\session2\\0001.mp4", "./anna/session2/0002.mp4", "ben/0001.mp4"],
            ["anna/session1-0001", "anna/session2-0001", "anna/0002", "ben/0001"],
        ),
        (["a/s1/1.mp4", "a/s2/1.mp4", "b/1.mp4"], ["a/s1/1.wav", "a/s2/1", "b/1.MOV"], ["a/s1-1", "a/s2-1", "b/1"]),
        (["a/s1/Jose\u0301.mp4", "b/1.mp4"], ["a/s1/Jos\u00e9.mp4"], ["a/Jos\u00e9"]),
        (["a/s1/1.mp4=x", "a/s2/1.mp4=y", "a/s3/1.mp4=x", "b/1.mp4"], ["a/s1/1.mp4", "a/s3/1.mp4"], ["a/s1-1"]),
        # Paths of no clip: by folder and stem.
        (["a/v1/1.mp4", "b/1.mp4"], ["v9/7.mp4", "a/v1/1.5", "../b/2.mp4"], ["v9/7", "v1/1", "b/2"]),
        (["go/ben/1.mp4", "up/ben/1.mp4"], ["go/ben/1.mp4", "up/ben/1.mp4"], ["ben/go-1", "ben/up-1"]),
    ],
)
def test_a_path_in_a_table_stands_for_the_id_that_its_clip_has(
    tmp_path: Path, files: list[str], paths: list[str], ids: list[str]
) -> None:
    root = tmp_path / "corpus"
    sources = recorded(root, *files)
    table = tmp_path / "t.jsonl"
    table.write_text("\n".join(json.dumps({"path": path, "text": "yes"}) for path in paths))
    assert list(read_transcripts(table, sources, root)) == ids


def test_parts_of_a_video_are_told_by_their_start(tmp_path: Path) -> None:
    parts = [
        Source(f"anna/{folder}-1@{start}", "anna", tmp_path / folder / "1.mp4", None, "x", (start, start + 1))
        for folder in ("s1", "s2")
        for start in (0.5, 2.5)
    ]
    (tmp_path / "t.csv").write_text('path,start,text\ns2/1.mp4,"2,5",up\ns1/1.mp4,0.50,go\ns1/1.mp4,9,no\n')
    texts = read_transcripts(tmp_path / "t.csv", parts, tmp_path)
    assert texts == {"anna/s2-1@2.5": "up", "anna/s1-1@0.5": "go", "s1/1@9": "no"}


def test_two_texts_for_one_clip_are_refused(tmp_path: Path) -> None:
    sources = recorded(tmp_path / "c", "a/s1/1.mp4=x", "a/s2/1.mp4=x", "b/1.mp4")
    (tmp_path / "t.csv").write_text("path,text\na/s1/1.mp4,go\na/s2/1.mp4,up\n")
    with pytest.raises(LipkdError, match="line 3: a/1 appears twice"):
        read_transcripts(tmp_path / "t.csv", sources, tmp_path / "c")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", "", "must be one of .csv"),
        ("a.csv", "id,words\ns1/a,x\n", "line 1: no column text; it has id, words"),
        ("a.csv", "clip,text\ns1/a,x\n", "line 2: names no clip"),
        ("a.csv", "id,text\na,x\n", "'a' is not of the form speaker/name"),
        ("a.csv", "id,text\ns1/a,x\ns1/a,y\n", "line 3: s1/a appears twice"),
        ("a.csv", "path,text\n.,x\n", "line 2: '' is not of the form speaker/name"),
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
