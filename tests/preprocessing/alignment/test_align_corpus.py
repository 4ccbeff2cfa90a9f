"""Alignment of a corpus: with aeneas where it is installed, and with a stand-in that shares the time evenly."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from preprocessing.alignment import align_corpus as subject
from preprocessing.alignment.aeneas_client import Aligner
from preprocessing.alignment.aeneas_worker import word_starts
from preprocessing.alignment.align_corpus import Summary, doubt, to_segments
from preprocessing.alignment.audio import RATE
from preprocessing.alignment.compare_alignments import compare_alignments
from preprocessing.corpus.align_file import Segment, read_align
from preprocessing.rejects import CannotAlign
from preprocessing.video.sound import Samples

STAND_IN = """
import json, sys, wave
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    words = request["words"]
    if "crash" in words:
        sys.exit(1)
    with wave.open(request["audio"]) as file:
        seconds = file.getnframes() / file.getframerate()
    times = [seconds * i / len(words) for i in range(len(words) + 1)]
    print(json.dumps({"error": "no way"} if "never" in words else {"times": times}), flush=True)
"""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four clips of 2 s; in the first three a tone sounds from 0.5 s to 1.5 s, the last is mute."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("ffmpeg and ffprobe are not installed")
    folder = tmp_path / "raw" / "s1"
    folder.mkdir(parents=True)
    black = ["-f", "lavfi", "-i", "color=size=32x32:rate=25:duration=2"]
    tone = ["-f", "lavfi", "-i", "aevalsrc=if(between(t\\,0.5\\,1.5)\\,0.5*sin(2000*t)\\,0.001*sin(900*t)):d=2"]
    for name, audio in (("a", tone), ("mute", [])):
        command = ["ffmpeg", "-nostdin", "-v", "error", *black, *audio, "-y", str(folder / f"{name}.mp4")]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        (folder / f"{name}.txt").write_text("uno due")
    for name, text in (("b", "uno, due tre quattro cinque"), ("c", "a " * 20)):
        shutil.copy(folder / "a.mp4", folder / f"{name}.mp4")
        (folder / f"{name}.txt").write_text(text)
    return tmp_path / "raw"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replaces aeneas by a program that gives every word the same time."""
    path = tmp_path / "stand_in.py"
    path.write_text(STAND_IN)
    monkeypatch.setattr(subject, "Aligner", lambda language: Aligner(language, worker=(sys.executable, str(path))))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.usefixtures("stand_in")
def test_clips_are_aligned_flagged_or_left_out_with_the_reason(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["align", str(raw), str(out), "--workers", "1"]) == 3
    assert sorted(contents(out)) == [
        "align.json",
        "flags.jsonl",
        "rejects.jsonl",
        "s1/a.align",
        "s1/b.align",
        "s1/c.align",
    ]
    segments = read_align(out / "s1" / "a.align").segments
    assert [segment.word for segment in segments] == ["sil", "uno", "due", "sil"]
    assert segments[0].start == 0 and segments[-1].end == 50_000  # 2 s are 50 frames
    assert [s.end / 1000 for s in segments[:3]] == pytest.approx([12.5, 25, 37.5], abs=2)
    assert read_align(out / "s1" / "b.align").text == "uno, due tre quattro cinque"
    (flag,) = map(json.loads, (out / "flags.jsonl").read_text().splitlines())
    assert flag["id"] == "s1/c" and "'a' has 1.4 at frame" in flag["reason"] and "19 more" in flag["reason"]
    (reject,) = map(json.loads, (out / "rejects.jsonl").read_text().splitlines())
    assert reject == {"id": "s1/mute", "source": "s1/mute.mp4", "reason": "no audio: the video has no sound stream"}


@pytest.mark.usefixtures("stand_in")
def test_parts_of_a_video_that_a_table_names_are_aligned_and_prepared(raw: Path, tmp_path: Path) -> None:
    table = raw / "s1" / "clips.csv"
    table.write_text("path,speaker,text,start,end\na.mp4,anna,Uno due,0.4,1.6\na.mp4,anna,tre,9,10\n")
    assert main(["align", str(table), str(tmp_path / "out"), "--workers", "1"]) == 3
    (reject,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert reject["reason"] == "span outside the video: nothing is there from 9 s on"
    segments = read_align(tmp_path / "out" / "anna" / "a@0.4.align").segments
    assert segments[-1].end == 30_000  # 1.2 s
    assert [s.end / 1000 for s in segments[:3]] == pytest.approx([2.5, 15, 27.5], abs=2)
    store = tmp_path / "store"
    options = ["--align", str(tmp_path / "out"), "--limit", "1"]
    assert main(["prepare", str(table), str(store), *options]) == 0
    (clip,) = ClipStore.open(store).clips
    assert (clip.id, clip.n_frames, [word for word, _, _ in clip.words]) == ("anna/a@0.4", 30, ["Uno", "due"])


@pytest.mark.usefixtures("stand_in")
def test_a_table_by_path_names_clips_as_prepare_does(raw: Path, tmp_path: Path) -> None:
    for name in ("anna/session1", "anna/session2", "ben/session1"):
        folder = tmp_path / "corpus" / name
        folder.mkdir(parents=True)
        (folder / "0001.mp4").write_bytes((raw / "s1" / "a.mp4").read_bytes() + name.encode())
    rows = ["path,text", "anna/session1/0001.mp4,uno due", "anna/session2/0001.mp4,tre", "ben/session1/0001.mp4,si"]
    (tmp_path / "texts.csv").write_text("\n".join(rows))
    out, store = tmp_path / "out", tmp_path / "store"
    options = ["--transcripts", str(tmp_path / "texts.csv"), "--layout", "speakers"]
    assert main(["align", str(tmp_path / "corpus"), str(out), *options]) == 0
    assert main(["prepare", str(tmp_path / "corpus"), str(store), "--align", str(out), "--layout", "speakers"]) == 0
    clips = {clip.id: [word for word, _, _ in clip.words] for clip in ClipStore.open(store).clips}
    assert clips == {"anna/session1-0001": ["uno", "due"], "anna/session2-0001": ["tre"], "ben/0001": ["si"]}


@pytest.mark.usefixtures("stand_in")
def test_the_bytes_do_not_depend_on_the_workers_nor_on_a_stop_in_between(raw: Path, tmp_path: Path) -> None:
    subject.align_corpus(raw, tmp_path / "one", workers=1)
    subject.align_corpus(raw, tmp_path / "three", workers=3)
    subject.align_corpus(raw, tmp_path / "stopped", workers=1, limit=2)
    (tmp_path / "stopped" / "s1" / "b.align").write_text("0 1000 si")  # half a file, as no kill leaves it
    summary = subject.align_corpus(raw, tmp_path / "stopped", workers=2)
    assert (summary.made, summary.kept, summary.flagged, summary.rejected) == (2, 1, 1, 1)
    assert contents(tmp_path / "one") == contents(tmp_path / "three") == contents(tmp_path / "stopped")


@pytest.mark.usefixtures("stand_in")
def test_what_is_there_is_kept_until_words_change_or_force(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert subject.align_corpus(raw, out).kept == 0
    assert subject.align_corpus(raw, out).kept == 3
    (raw / "s1" / "a.txt").write_text("tre")
    (raw / "s1" / "b.txt").unlink()
    summary = subject.align_corpus(raw, out)
    assert (summary.made, summary.kept, summary.reasons) == (1, 1, {"no transcript": 1, "no audio": 1})
    assert read_align(out / "s1" / "a.align").text == "tre"
    assert not (out / "s1" / "b.align").exists()  # its words are known no more
    assert read_align(out / "s1" / "b.align.stale").text == "uno, due tre quattro cinque"  # nothing is deleted
    assert subject.align_corpus(raw, out, force=True).kept == 0


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_file_of_one_id_costs_the_first_nothing(raw: Path, tmp_path: Path, workers: int) -> None:
    """A recording beside its converted copy: the first form is aligned, the second rejected, at every run."""
    shutil.copy(raw / "s1" / "a.mp4", raw / "s1" / "a.mov")
    for made, kept in ((3, 0), (0, 3)):
        summary = subject.align_corpus(raw, tmp_path / "out", workers=workers)
        assert (summary.made, summary.kept) == (made, kept)
        assert summary.reasons == {"second copy of a clip": 1, "no audio": 1}
        assert sorted(path.name for path in tmp_path.glob("out/s1/*")) == ["a.align", "b.align", "c.align"]


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_row_that_stands_twice_costs_the_other_parts_of_its_video_nothing(
    raw: Path, tmp_path: Path, workers: int
) -> None:
    rows = ["0.3,1.7,uno", "0.35,1.7,due", "0.4,1.7,tre", "0.4,1.7,tre"]
    table = raw / "s1" / "clips.csv"
    table.write_text("path,speaker,start,end,text\n" + "".join(f"a.mp4,anna,{row}\n" for row in rows))
    for _ in range(2):
        summary = subject.align_corpus(table, tmp_path / "out", workers=workers)
        assert (summary.made + summary.kept, summary.reasons) == (3, {"second copy of a clip": 1})
        names = sorted(path.name for path in tmp_path.glob("out/anna/*"))
        assert names == ["a@0.3.align", "a@0.35.align", "a@0.4.align"]
    (reject,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert reject["reason"] == "second copy of a clip: it is listed twice"


@pytest.mark.usefixtures("stand_in")
def test_a_folder_of_another_making_is_left_alone(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "hand" / "s1").mkdir(parents=True)
    (tmp_path / "hand" / "s1" / "a.align").write_text("0 9000 uno\n9000 50000 due\n")
    before = contents(tmp_path / "hand")
    with pytest.raises(LipkdError, match="did not make"):
        subject.align_corpus(raw, tmp_path / "hand", force=True)
    assert contents(tmp_path / "hand") == before
    subject.align_corpus(raw, tmp_path / "out", language="ita")
    with pytest.raises(LipkdError, match="other settings"):
        subject.align_corpus(raw, tmp_path / "out", language="eng")
    assert subject.align_corpus(raw, tmp_path / "out", language="eng", force=True).made == 3


@pytest.mark.usefixtures("stand_in")
def test_a_crash_of_the_aligner_costs_one_clip(raw: Path, tmp_path: Path) -> None:
    (raw / "s1" / "a.txt").write_text("crash")
    (raw / "s1" / "b.txt").write_text("never")
    summary = subject.align_corpus(raw, tmp_path / "out", workers=1)
    assert summary.reasons == {"aeneas failed": 2, "no audio": 1}
    assert (tmp_path / "out" / "s1" / "c.align").is_file()


@pytest.mark.usefixtures("stand_in")
def test_a_sample_is_drawn_by_the_seed_and_compared(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("one", "two"):
        subject.align_corpus(raw, tmp_path / folder, sample=2, seed=5)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    subject.align_corpus(raw, tmp_path / "reference")
    capsys.readouterr()
    main(["align", str(raw), str(tmp_path / "three"), "--compare", str(tmp_path / "reference")])
    assert "median 0 ms" in capsys.readouterr().out


@pytest.mark.parametrize(("missing", "advice"), [("aeneas", "pip install"), ("espeak", "apt install espeak")])
def test_what_is_missing_is_named_with_how_to_install_it(tmp_path: Path, missing: str, advice: str) -> None:
    path = tmp_path / "worker.py"
    path.write_text(f"print('{json.dumps({'missing': missing})}')")
    with pytest.raises(LipkdError, match=advice):
        Aligner("eng", worker=(sys.executable, str(path)))


@pytest.mark.usefixtures("stand_in")
def test_no_ffmpeg_program_is_needed(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert subject.align_corpus(raw, tmp_path / "out").made == 3


def test_words_become_segments_with_silence_at_both_ends() -> None:
    assert to_segments(["go", "up"], [0.2, 0.4, 0.8], 1.0) == [
        Segment(0, 5000, "sil"),
        Segment(5000, 10000, "go"),
        Segment(10000, 20000, "up"),
        Segment(20000, 25000, "sil"),
    ]
    assert to_segments(["go"], [0.0, 1.02], 1.0) == [Segment(0, 25000, "go")]  # sound half a frame too long
    with pytest.raises(CannotAlign, match="outside the clip"):
        to_segments(["go"], [0.0, 1.5], 1.0)


def test_a_word_under_two_frames_is_doubtful_and_silence_is_not() -> None:
    assert doubt([Segment(0, 500, "sil"), Segment(500, 2500, "go")]) is None
    assert doubt([Segment(1500, 3000, "go")]) == "word under 2 frames: 'go' has 1.5 at frame 1.5"


def test_the_summary_tells_what_became_of_the_clips() -> None:
    text = Summary(3, 1, 2, 1, 2.0, {"no audio": 1}, {"text file": 4}).text()
    assert "3 of 5 clips aligned, 1 were there already" in text
    assert "2 aligned, but doubtful" in text and "1  no audio" in text and "text file (4)" in text


def test_distances_are_those_of_starts_and_of_ends_before_a_pause(tmp_path: Path) -> None:
    for folder, lines in (("a", "1000 2000 x\n2000 3000 y\n"), ("b", "1000 1500 x\n2500 4000 y\n")):
        (tmp_path / folder / "s").mkdir(parents=True)
        (tmp_path / folder / "s" / "c.align").write_text(lines)
        (tmp_path / folder / "s" / f"{folder}.align").write_text(lines)
    found = compare_alignments(tmp_path / "a", tmp_path / "b")
    assert (found.clips, found.boundaries, found.skipped) == (1, 4, 1)
    assert (found.median, found.mean) == (20, 20)  # 0, 20, 20 and 40 ms
    with pytest.raises(LipkdError, match="has the words"):
        compare_alignments(tmp_path / "a", tmp_path)


def test_words_that_espeak_runs_together_share_their_time_by_letters() -> None:
    assert word_starts(["of", "the", "sea"], [(0, 0.0), (7, 0.7)], 1.0) == pytest.approx([0.0, 0.3, 0.7])
    assert word_starts(["a", "b"], [], 1.0) == pytest.approx([0.0, 0.5])


@pytest.fixture
def aeneas() -> None:
    if importlib.util.find_spec("aeneas") is None or shutil.which("espeak") is None:
        pytest.skip("aeneas or espeak is not installed")


@pytest.mark.usefixtures("aeneas")
@pytest.mark.parametrize(
    ("language", "text"), [("eng", "bin blue at f three soon"), ("ita", "va bene grazie lo stesso")]
)
def test_aeneas_finds_the_words_of_a_synthetic_voice(language: str, text: str, tmp_path: Path) -> None:
    """espeak's CLI says the words one by one, half a second of silence between them: so the truth is known."""
    samples: list[Samples] = []
    truth = [0.0]
    for word in text.split():
        subprocess.run(["espeak", "-v", language[:2], "-w", str(tmp_path / "w.wav"), word], check=True)
        spoken = np.frombuffer((tmp_path / "w.wav").read_bytes()[44:], "<i2")
        loud = np.flatnonzero(np.abs(spoken.astype(int)) > 100)
        samples.append(spoken[loud[0] : loud[-1] + 1])
        truth.append(truth[-1] + len(samples[-1]) / RATE)
    speech = np.concatenate(samples)
    with Aligner(language) as aligner:
        found = aligner.align(speech, text.split())
        aligner.align(speech, list(reversed(text.split())))
        assert np.array_equal(aligner.align(speech, text.split()), found)  # whatever was said before
        with pytest.raises(CannotAlign, match="has no output"):
            aligner.align(speech, ["'"])
    assert found == pytest.approx(np.array(truth), abs=0.08)


@pytest.mark.usefixtures("aeneas")
def test_a_language_that_espeak_lacks_is_refused() -> None:
    with pytest.raises(LipkdError, match="language 'klingon': espeak has no voice"):
        Aligner("klingon")


@pytest.mark.usefixtures("aeneas")
def test_grid_words_are_found_where_the_corpus_has_them(real_data: Path, tmp_path: Path) -> None:
    grid = real_data / "grid"
    summary = subject.align_corpus(grid / "video", tmp_path / "out", sample=8, seed=1, workers=os.cpu_count())
    assert (summary.made, summary.rejected) == (8, 0)
    found = compare_alignments(tmp_path / "out", grid / "align")
    assert found.clips == 8 and found.median <= 50
