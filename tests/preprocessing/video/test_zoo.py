"""Bad files of every kind: each costs itself only, with a reason of its own, and what is good comes out right."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.files import read_jsonl

ALIGN = "0 5000 sil\n5000 12000 go\n12000 20000 up\n20000 25000 sil\n"
FFMPEG = ("ffmpeg", "-v", "error", "-nostdin", "-y")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
Make = Callable[[Path, Path], object]


def filtered(filters: str, *more: str) -> Make:
    """One second of the good clip through FFmpeg's filters."""

    def make(good: Path, to: Path) -> None:
        inputs = ("-i", f"file:{good}", "-t", "1", "-vf", filters or "null", "-an", *H264, *more, f"file:{to}")
        subprocess.run((*FFMPEG, *inputs), check=True)

    return make


def generated(source: str) -> Make:
    return lambda good, to: subprocess.run((*FFMPEG, "-f", "lavfi", "-i", source, "-t", "1", to), check=True)


def cut(good: Path, to: Path) -> None:
    to.write_bytes(good.read_bytes()[: good.stat().st_size // 2])


def sound_only(good: Path, to: Path) -> None:
    subprocess.run((*FFMPEG, "-f", "lavfi", "-i", "sine=440:duration=1", "-c:a", "aac", to), check=True)


def copy(good: Path, to: Path) -> None:
    filtered("")(good, to)


TWO = "split[a][b];[b]scale=iw*0.7:-2,pad=360:288:20:20:gray[c];[a][c]hstack"
# The frames that the face is gone for are painted over.
GONE = "drawbox=color=gray:t=fill:enable='between(n,{},{})'"
ZOO: dict[str, tuple[Make, str]] = {
    "empty.mp4": (lambda good, to: to.touch(), "empty file: 0 bytes"),
    "truncated.mp4": (cut, "truncated video: its index"),
    "text.mp4": (lambda good, to: to.write_text("not a video\n" * 99), "not a video: no known format"),
    "sound.mp4": (sound_only, "no pictures: only audio"),
    "one frame.mp4": (filtered("", "-frames:v", "1"), "a single picture: "),
    "slow.mp4": (filtered("fps=1"), "frame rate too low: 1 frames/s, at least 10"),
    "no face.mp4": (generated("testsrc=size=360x288:rate=25"), "no face: in none of 25 frames"),
    "black.mp4": (generated("color=black:size=360x288:rate=25"), "black pictures: mean brightness 0"),
    "gone.mp4": (filtered(GONE.format(8, 20)), "face missing too long: 13 frames in a row"),
    "often.mp4": (filtered(GONE.format(2, 7) + "," + GONE.format(12, 17)), "face missing too often: in 48%"),
    "loop.mp4": (lambda good, to: to.symlink_to(to), "unreadable file: Too many levels of symbolic links"),
    "dangling.mp4": (lambda good, to: to.symlink_to("nowhere"), "unreadable file: No such file"),
    "list.mp4": (lambda good, to: to.write_text(f"#EXTM3U\n#EXTINF:3,\n{good}\n#EXT-X-ENDLIST\n"), "not a video: "),
    "pipe.mp4": (lambda good, to: os.mkfifo(to), "not a file: "),
    "fast.mp4": (filtered("fps=240"), ""),
    "ntsc.mp4": (filtered("fps=30000/1001"), ""),
    "huge.mp4": (filtered("scale=3840:2160"), ""),
    "two faces.mp4": (filtered(TWO), ""),
    "blink.mp4": (filtered(GONE.format(10, 13)), ""),
    'it\'s "quoted".mp4': (copy, ""),
    "bocca è ångström 口.mp4": (copy, ""),
    "two\nlines.mp4": (copy, ""),
    "-dash %03d.mp4": (copy, ""),
}
SECOND = 25


def test_every_animal_of_the_zoo(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed: the zoo cannot be bred")
    good = real_data / "grid" / "video" / "s1" / "bbaf4p.mp4"
    (cage := tmp_path / "zoo" / "s1").mkdir(parents=True)
    (cage / "round").symlink_to("..")
    for name, (make, _) in ZOO.items():
        make(good, cage / name)
        cage.joinpath(name).with_suffix(".align").write_text(ALIGN)
    (cage / b"not text \xff.mp4".decode(errors="surrogateescape")).write_bytes(good.read_bytes())
    (cage / "unsaid.mp4").write_bytes(good.read_bytes())
    model = str(real_data / "models" / "face_landmarker.task")
    out = tmp_path / "store"

    assert main(["prepare", str(tmp_path / "zoo"), str(out), "--landmarker", model, "--workers", "2"]) == 3

    rejects = {row["source"].removeprefix("s1/"): row["reason"] for row in read_jsonl(out / "rejects.jsonl")}
    assert rejects.pop("unsaid.mp4").startswith("no transcript: no s1/unsaid.align and no unsaid.txt")
    assert rejects.pop("not text �.mp4").startswith("file name is not UTF-8")
    expected = {name: reason for name, (_, reason) in ZOO.items() if reason}
    assert rejects.keys() == expected.keys()
    assert {name: reason for name, reason in rejects.items() if not reason.startswith(expected[name])} == {}
    store = ClipStore.open(out)
    assert store.check() == []
    assert {Path(clip.source).name: clip.n_frames for clip in store.clips} == {
        name: SECOND for name, (_, reason) in ZOO.items() if not reason
    }
    seen = {row["id"].removeprefix("s1/"): row for row in read_jsonl(out / "seen.jsonl")}
    assert {name for name, row in seen.items() if row["other_faces"]} == {"two faces"}
    assert seen["blink"]["longest_gap"] == 4
    printed = capsys.readouterr()
    assert "layout speakers: 25 clips, whole faces" in printed.out
    assert "9 of 25 clips accepted" in printed.out and "unreadable file" in printed.out
    assert "Traceback" not in printed.err
