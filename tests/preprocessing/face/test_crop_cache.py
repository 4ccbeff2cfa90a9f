"""Whole faces on real clips: what becomes of them, and that kills and workers leave no trace in the store."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lipkd.data.store import ClipStore

ROOT = Path(__file__).parents[3]
FILES = ("frames.npy", "manifest.jsonl", "meta.json", "rejects.jsonl", "seen.jsonl")
KILLS = 3


def command(real_data: Path, out: Path, workers: int) -> list[str]:
    options = ("--pattern", "s1/bb.f", "--workers", str(workers))
    model = real_data / "models" / "face_landmarker.task"
    source = str(real_data / "grid")
    return [sys.executable, "-m", "lipkd", "prepare", source, str(out), *options, "--landmarker", str(model)]


def wait_for_clips(process: subprocess.Popen[bytes], work: Path, number: int) -> None:
    """Return when `number` clips are kept in `work`, or the process has ended."""
    while process.poll() is None and len(list(work.glob("*.crop"))) < number:
        time.sleep(0.02)


def test_a_killed_run_goes_on_to_the_same_bytes(real_data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    work = killed.with_name("killed.work")
    subprocess.run(command(real_data, whole, 2), check=True, cwd=ROOT, capture_output=True)
    store = ClipStore.open(whole)
    assert len(store.clips) >= KILLS and {clip.n_frames for clip in store.clips} == {75}
    assert all(clip.words[0][0] == "bin" and len(clip.words) == 6 for clip in store.clips)
    assert store.check() == []

    rng = random.Random(0)
    kept: dict[str, int] = {}
    for kill in range(KILLS):
        process = subprocess.Popen(
            command(real_data, killed, 1 + kill % 3), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_clips(process, work, kill + 1)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not killed.exists()
        for path in work.glob("*.crop"):
            assert kept.setdefault(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns  # not made again
    assert kept
    subprocess.run(command(real_data, killed, 1), check=True, cwd=ROOT, capture_output=True)
    for name in FILES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["killed", "whole"]


def test_two_runs_do_not_share_a_store(real_data: Path, tmp_path: Path) -> None:
    first = subprocess.Popen(
        command(real_data, tmp_path / "store", 1), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_clips(first, tmp_path / "store.work", 1)
    second = subprocess.run(command(real_data, tmp_path / "store", 1), cwd=ROOT, capture_output=True, text=True)
    assert first.poll() is None
    first.kill()
    first.wait()
    assert second.returncode == 2 and "is in use by" in second.stderr


@pytest.mark.parametrize("garbage", [b"", b"{}\n", b"\x93NUMPY"])
def test_a_torn_file_is_made_again(tmp_path: Path, garbage: bytes) -> None:
    from preprocessing.face.crop_cache import _load

    (tmp_path / "x").write_bytes(garbage)
    assert _load(tmp_path / "x") is None
