"""What is said in a clip: what a broken alignment costs, and what `strict` makes of it."""

from pathlib import Path

import pytest

from lipkd.text import Alphabet
from preprocessing.corpus.source import Source
from preprocessing.corpus.utterance import alphabet_of, find_utterance, timed
from preprocessing.rejects import BadClip


def clip(folder: Path, align: str | None, text: str | None = None, table: str | None = None) -> Source:
    (folder / "a.mp4").touch()
    if align is not None:
        (folder / "a.align").write_text(align, encoding="utf-8")
    if text is not None:
        (folder / "a.txt").write_text(text, encoding="utf-8")
    return Source("anna/a", "anna", folder / "a.mp4", folder / "a.align" if align is not None else None, table)


def said(source: Source, strict: bool = False) -> tuple[str, int, list[str]]:
    utterance = timed(find_utterance(source, Alphabet(), strict), 75, Alphabet(), strict)
    return utterance.text, len(utterance.words), [f"{kind}: {detail}" for kind, detail in utterance.notes]


@pytest.mark.parametrize(
    ("align", "text", "table", "words", "note"),
    [
        ("0 8000 go\n8000 20000 up\n", None, None, 2, ""),
        ("0 8000 go\n8000 20000 up\n100000 99000 sil\n", None, None, 2, "silence left out: line 3: end 99000 is"),
        ("0 8000 go\n7000 20000 up\n", None, None, 0, "no word times: line 2: start 7000 is before"),
        ("0 8000 go\n8000 76000 up\n", None, None, 0, "no word times: words outside: 'up' at frames 8–76 of 75"),
        ("0 320 go\n320 3000 up\n", None, None, 2, "word times in milliseconds, converted: clip of 75 frames"),
        ("no alignment at all\n", "go up", None, 0, "no word times: "),
        ("0 8000 go\n8000 20000 down\n", None, "go up", 0, "no word times: the alignment has other words"),
        ("0 8000 go\n8000 20000 up\n", None, "go  up", 2, ""),
    ],
)
def test_a_broken_alignment_costs_the_word_times_alone(
    tmp_path: Path, align: str, text: str | None, table: str | None, words: int, note: str
) -> None:
    source = clip(tmp_path, align, text, table)
    spoken, timed_words, notes = said(source)
    assert (spoken, timed_words) == ("go up", words)
    assert [n[: len(note)] for n in notes] == ([note] if note else [])
    if note and "converted" not in note:
        with pytest.raises(BadClip):
            said(source, strict=True)


def test_only_a_missing_transcript_rejects(tmp_path: Path) -> None:
    for align in ("0 8000\n", "0 8000 <unk>\n", "no alignment at all\n", ""):
        with pytest.raises(BadClip, match="broken alignment"):
            said(clip(tmp_path, align))
    with pytest.raises(BadClip, match="no transcript"):
        said(clip(tmp_path, None))
    with pytest.raises(BadClip, match=r"broken transcript: .*'<noise>' is not a spoken word"):
        said(clip(tmp_path, None, "go <noise> up"))


def test_texts_of_lrs_are_read(tmp_path: Path) -> None:
    table = "\nWORD START END ASDSCORE\nGO 0.2 0.6 8.1\n"
    assert said(clip(tmp_path, None, f"Text:  GO UP\nConf:  4\n{table}"))[0] == "GO UP"
    assert said(clip(tmp_path, None, "Text: go up"))[0] == "Text: go up"  # one line may be what is said
    with pytest.raises(BadClip, match="has no field Text"):
        said(clip(tmp_path, None, "Disk reference: 6\nDuration: 0.3 seconds\n"))


def test_the_alphabet_auto_is_that_of_all_that_can_be_read(tmp_path: Path) -> None:
    sources = [clip(tmp_path, None, "Però sì"), Source("ben/b", "ben", tmp_path / "b.mp4", None)]
    assert alphabet_of("auto", sources).characters == " eprsìò"
    assert alphabet_of(" abc", sources).characters == " abc"
