"""One's own data as a table: what is read, and what is refused with file and line."""

from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from preprocessing.corpus.clip_table import read_table


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    comma = tmp_path / "clips.csv"
    comma.write_text('\ufeffpath,speaker,text,start,end\na b/x.mp4,anna,"one, two",1.5,3\ny.mov,ben,three,,\n')
    tab = tmp_path / "clips.tsv"
    tab.write_text("speaker\ttext\tpath\nanna\tfour\tz.mp4\n")
    lines = tmp_path / "clips.jsonl"
    lines.write_text(
        '{"path": "a b/x.mp4", "speaker": "anna", "text": "one, two", "start": 1.5, "end": 3}\n\n'
        '{"path": "y.mov", "speaker": "ben", "text": "three"}\n'
    )
    first, second = read_table(comma)
    assert (first.id, first.path, first.text, first.span) == (
        "anna/x@1.5",
        tmp_path / "a b/x.mp4",
        "one, two",
        (1.5, 3.0),
    )
    assert (second.id, second.speaker, second.span) == ("ben/y", "ben", None)
    assert read_table(lines) == [first, second]
    assert [source.id for source in read_table(tab)] == ["anna/z"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "path,text\nx,y\n", "line 1: no column speaker; needed are path, speaker, text"),
        ("a.csv", "path,speaker,text\n", "0 clips"),
        ("a.csv", "path,speaker,text\nx.mp4,anna,go\nx.mp4,anna,\n", "line 3: text is missing or empty"),
        ("a.csv", "path,speaker,text\nx.mp4,a/b,go\n", "line 2: speaker 'a/b' must not contain a slash"),
        ("a.csv", "path,speaker,text\nx.mp4,..,go\n", "line 2: speaker '..' must not"),
        ("a.csv", "path,speaker,text,start,end\nx.mp4,a,go,1,\n", "line 2: start and end belong together"),
        ("a.csv", "path,speaker,text,start,end\nx.mp4,a,go,2,1\n", "line 2: end 1 must come after start 2"),
        ("a.csv", "path,speaker,text,start,end\nx.mp4,a,go,nan,1\n", "line 2: start 'nan' must be seconds from 0 on"),
        ("a.jsonl", '{"path": "x", "speaker": "a", "text": "b"}\n{oops\n', "line 2: not a JSON object"),
        ("a.jsonl", "[]\n", "line 1: not a JSON object"),
        ("a.jsonl", '{"path": "x", "speaker": 7, "text": "b"}\n', "line 1: speaker is missing or empty"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    table = tmp_path / name
    table.write_text(content)
    with pytest.raises(LipkdError, match=message) as refused:
        read_table(table)
    assert str(table) in str(refused.value)
