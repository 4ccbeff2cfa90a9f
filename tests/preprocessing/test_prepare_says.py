"""What `lipkd prepare` says of a corpus and keeps: letters, word times, first looks, reasons, damaged arrays."""

from pathlib import Path

import numpy as np
import pytest

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.files import read_jsonl
from preprocessing.prepare import prepare_corpus
from tests.preprocessing.clips import ALIGN, AddClip, noise


def test_a_first_look_is_replaced_by_the_whole(
    add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("s1/a", "s1/b"):
        add_clip(name)
    command = ["prepare", str(tmp_path / "src"), str(tmp_path / "store")]
    assert main([*command, "--limit", "1"]) == 0
    assert "a first look, at 1 of 2 clips: the next run replaces store" in capsys.readouterr().out
    assert ClipStore.open(tmp_path / "store").meta["limit"] == 1
    assert main([*command, "--limit", "9"]) == 0  # all there are
    assert "store was a first look and is replaced" in capsys.readouterr().out
    assert len(ClipStore.open(tmp_path / "store").clips) == 2
    assert main([*command, "--limit", "1"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src", "store"]


def test_reasons_stay_when_every_clip_is_rejected(
    add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        add_clip(f"s1/{number}", align=None)
    assert main(["prepare", str(tmp_path / "src"), str(tmp_path / "store")]) == 2
    kept = tmp_path / "store.rejects.jsonl"
    assert f"all reasons are in {kept}" in capsys.readouterr().err
    assert [row["id"] for row in read_jsonl(kept)] == [f"s1/{number}" for number in range(5)]
    assert not (tmp_path / "store").exists()


def test_letters_that_are_folded_or_missing_are_told(
    add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_clip("s1/a", align="0 6000 è\n6000 9000 sì\n")
    add_clip("s1/b", align="0 6000 ø\n")
    assert main(["prepare", str(tmp_path / "src"), str(tmp_path / "plain")]) == 3
    out = capsys.readouterr().out
    assert "their replacements (clips): è as e (1), ì as i (1)" in out and "1  letters outside the alphabet" in out
    assert main(["prepare", str(tmp_path / "src"), str(tmp_path / "auto"), "--alphabet", "auto"]) == 0
    assert "alphabet: sèìø (4 letters and the space)" in capsys.readouterr().out
    assert ClipStore.open(tmp_path / "auto").alphabet == " sèìø"
    assert main(["prepare", str(tmp_path / "src"), str(tmp_path / "x"), "--alphabet", "abc"]) == 2


def test_word_times_and_notes_are_counted(
    add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_clip("s1/a")
    add_clip("s1/b", align="5000 9000 go\n0 5000 up\n")
    command = ["prepare", str(tmp_path / "src")]
    assert main([*command, str(tmp_path / "store")]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 clips accepted" in out and "; 1 have word times" in out and "1  no word times" in out
    (note,) = read_jsonl(tmp_path / "store" / "notes.jsonl")
    assert note["id"] == "s1/b" and note["note"].startswith("no word times: line 2: start 0 is before")
    assert main([*command, str(tmp_path / "strict"), "--strict"]) == 3


def test_one_array_costs_its_own_clip(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "s1"
    folder.mkdir(parents=True)
    for name in ("good", "huge", "zip", "text", "objects"):
        (folder / f"{name}.align").write_text(ALIGN)
    np.save(folder / "good.npy", noise(1))
    with open(folder / "huge.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 50, 100, 3)}
        )
    np.savez(folder / "zip.npz", noise(1))
    (folder / "zip.npz").rename(folder / "zip.npy")
    (folder / "text.npy").write_text("no array")
    np.save(folder / "objects.npy", np.array([{}], dtype=object))
    summary = prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert (summary.accepted, summary.rejected) == (1, 4)
