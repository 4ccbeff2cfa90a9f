"""One's own data as a table: what is read, and what is refused with file and line."""

import sys
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
        ("a.csv", "path,text\nx,y\n", "line 1: no column speaker; it has path, text"),
        ("a.csv", "path,speaker,text\n", "0 clips"),
        ("a.csv", "path,speaker,text\nx.mp4,anna,go\nx.mp4,anna,\n", "line 3: text is missing or empty"),
        ("a.csv", "path,speaker,text\nx.mp4,a/b,go\n", "line 2: speaker 'a/b' must not contain a slash"),
        ("a.csv", "path,speaker,text\nx.mp4,..,go\n", "line 2: speaker '..' must not"),
        ("a.csv", "path,speaker,text,start,end\nx.mp4,a,go,1,\n", "line 2: start and end belong together"),
        ("a.csv", "path,speaker,text,start,end\nx.mp4,a,go,2,1\n", "line 2: end 1 must come after start 2"),
        ("a.csv", "path,speaker,text,start,end\nx.mp4,a,go,nan,1\n", "line 2: start 'nan' must be seconds from 0 on"),
        ("a.jsonl", '{"path": "x", "speaker": "a", "text": "b"}\n{oops\n', "line 2: not a JSON object"),
        ("a.csv", "path,speakers,text\nx,y,z\n", "no column speaker; .*is 'speakers' meant for speaker?"),
        ("a.csv", "path,speaker,text\nx.mp4,a,No, thank you\n", "line 2: 4 fields, but the header names 3; put"),
        ("a.tsv", "path\tspeaker\ttext\nx.mp4\ta\tno\tyes\n", "line 2: 4 fields"),
        ("a.csv", "path;speaker;text\ny.mp4;a;b\nx.mp4;a;No; thank you\n", "line 3: 4 fields"),
        ("a.csv", "path,speaker,text,\nx.mp4,a,no,yes\n", "line 2: 4 fields"),
        ("a.csv", "path,speaker,text\nx.mp4,a,“no, thank you”\n", "line 2: 4 fields"),
        (
            "a.csv",
            "path,speaker,text,start,end\nx.mp4,a,“no, thank you”,1\n",
            "'“no' opens a typographic quote",
        ),
        ("a.csv", "path,speaker,text,Text\nx.mp4,a,no,yes\n", "line 1: column text appears twice"),
        ("a.jsonl", '{"path": "x", "speaker": "a", "text": "b", "Text": "c"}\n', "column text appears twice"),
        ("a.csv", "path,speaker,text\n/etc/passwd,a,no\n", "line 2: path '/etc/passwd' leads out of"),
        ("a.csv", "path,speaker,text\nb/../../x.mp4,a,no\n", "line 2: path 'b/../../x.mp4' leads out of"),
        ("a.csv", "path,speaker,text\n..\\x.mp4,a,no\n", "leads out of"),
        ("a.csv", 'path,speaker,text\nx.mp4,"a\nb",no\n', "speaker .* must not contain"),
        ("a.csv", 'path,speaker,text\nx.mp4,a,"no\n', "line 2: unexpected end of data"),
        ("a.xls", "x", "must be one of .csv, .tsv, .jsonl, .ndjson, .xlsx; save it as CSV"),
        ("a.xlsx", "PK\3\4", "not a sound .xlsx file; save the sheet as CSV"),
        ("a.csv", "PK\3\4", "not a sound .xlsx file; save the sheet as CSV"),
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


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffpath;speaker;text\r\na.mp4;anna;good, bad\r\n",
        "path;speaker;text\ra.mp4;anna;good, bad\r",
        "sep=;\npath;speaker;text\na.mp4;anna;good, bad\n",
        '\n"Path", SPEAKER , " Text "\n\n,,\na.mp4, anna, "good, bad"\n,,\n',
        "path\tspeaker\ttext\t\t\na.mp4\tanna\tgood, bad\t\t\n",
        'note,path,speaker,text,start,end\n,a.mp4,anna,"good, bad"\n',
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, content: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        table = tmp_path / "clips.csv"
        table.write_bytes(content.encode(encoding))
        (source,) = read_table(table)
        assert (source.id, source.speaker, source.text, source.path.name) == ("anna/a", "anna", "good, bad", "a.mp4")


def test_only_line_ends_end_a_row(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes("path,speaker,text\na.mp4,anna,wait\u0085no\u2028\vyes\n".encode())
    (source,) = read_table(tmp_path / "clips.csv")
    assert source.text == "wait\u0085no\u2028\vyes"
    (tmp_path / "clips.csv").write_text('path,speaker,text\na.mp4,anna,"good\nmorning"\n')
    assert read_table(tmp_path / "clips.csv")[0].text == "good morning"


def test_a_decimal_comma_and_files_elsewhere_by_leave(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path;speaker;text;start;end\n../a.mp4;anna;good;0,5;1,5\n")
    with pytest.raises(LipkdError, match="--anywhere"):
        read_table(tmp_path / "clips.csv")
    (source,) = read_table(tmp_path / "clips.csv", anywhere=True)
    assert (source.span, source.path) == ((0.5, 1.5), tmp_path.parent / "a.mp4")


def test_files_are_found_whatever_the_slashes_and_the_form_of_accents(tmp_path: Path) -> None:
    folder = tmp_path / "caffe\u0300"
    folder.mkdir()
    (folder / "e\u0301.mp4").touch()
    (tmp_path / "clips.csv").write_text("path,speaker,text\ncaff\u00e8\\\u00e9.mp4,anna,good\n", encoding="utf-8")
    assert read_table(tmp_path / "clips.csv")[0].path == folder / "e\u0301.mp4"


def test_the_one_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["Path", "Speaker", "Text", "Start", "End"], [], ["a.mp4", "anna", "No, thank you", 1, 2.5]):
        book.active.append(row)
    book.create_sheet("notes")
    book.save(tmp_path / "clips.xlsx")
    (source,) = read_table(tmp_path / "clips.xlsx")
    assert (source.id, source.text, source.span) == ("anna/a@1", "No, thank you", (1.0, 2.5))
    book["notes"].append(["more"])
    book.save(tmp_path / "clips.xlsx")
    with pytest.raises(LipkdError, match="2 sheets hold something"):
        read_table(tmp_path / "clips.xlsx")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setitem(sys.modules, "openpyxl", None)
        with pytest.raises(LipkdError, match=r"needs openpyxl .*or save the sheet as CSV"):
            read_table(tmp_path / "clips.xlsx")
