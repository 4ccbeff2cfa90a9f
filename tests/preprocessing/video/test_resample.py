"""Any frame rate to 25 frames/s by time stamps: which source frame each output picture is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from preprocessing.rejects import BadClip
from preprocessing.video.resample import video_pictures
from preprocessing.video.video_file import check_file

FFMPEG = ("ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi")
DARKEST, STEP = 20, 8  # grey levels between one source frame and the next


@pytest.fixture(autouse=True)
def _ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed: no test videos")


def film(path: Path, rate: str, frames: int, filters: str = "null", size: str = "64x48", *more: str) -> Path:
    """A video whose frame n is grey of level DARKEST + STEP · n, lossless."""
    picture = f"color=black:size={size}:rate={rate},format=gray,geq=lum='{DARKEST}+{STEP}*N',{filters},format=yuv420p"
    coded = ("-c:v", "libx264", "-qp", "0", "-frames:v", str(frames), "-vsync", "vfr", *more, f"file:{path}")
    subprocess.run((*FFMPEG, "-i", picture, *coded), check=True)
    return path


def shown(path: Path, span: tuple[float, float] | None = None) -> list[int]:
    """Numbers of the source frames that come out."""
    return [round((float(picture.mean()) - DARKEST) / STEP) for picture in video_pictures(path, span)]


@pytest.mark.parametrize(
    ("rate", "frames", "expected"),
    [
        ("25", 10, list(range(10))),
        ("50", 20, list(range(0, 20, 2))),
        ("12.5", 5, [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]),  # of two that are as near, the later
        # 40 ms against 33.3 ms: ticks at 0, 1.2, 2.4, 3.6, 4.8, 6.0, … source frames
        ("30", 12, [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]),
    ],
)
def test_ticks_take_the_nearest_frame(tmp_path: Path, rate: str, frames: int, expected: list[int]) -> None:
    assert shown(film(tmp_path / "film.mp4", rate, frames)) == expected


def test_a_variable_rate_keeps_its_timing(tmp_path: Path) -> None:
    """Frames 3 to 6 are dropped from 25 frames/s: 2 and 7 stand in for them, each on its side of the middle."""
    path = film(tmp_path / "film.mp4", "25", 8, "select='not(between(n,3,6))'")
    assert shown(path)[:8] == [0, 1, 2, 2, 2, 7, 7, 7]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("film.mkv", ()),
        ("film.mkv", ("-live", "1")),  # no duration in its header
        ("film.mp4", ("-movflags", "frag_keyframe+empty_moov")),
    ],
)
def test_a_camera_that_slows_down_keeps_its_timing(tmp_path: Path, name: str, more: tuple[str, ...]) -> None:
    """As browsers record: all of frames 0 to 9, then every third up to 27, so 16 where 25 frames/s promise 28."""
    path = film(tmp_path / name, "25", 16, "select='lt(n,10)+not(mod(n,3))'", "64x48", *more)
    late = [frame for frame in range(12, 27, 3) for _ in range(3)]
    assert shown(path) == [*range(10), 9, *late, 27, 27, 27, 27]


def test_sound_that_outlasts_the_pictures_of_a_fragmented_file_promises_no_more_of_them(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", "25", 20, "null", "64x48", "-bf", "0")
    both = (*FFMPEG, "-i", "sine=duration=0.85", "-f", "mp4", "-i", str(path), "-c:v", "copy", "-c:a", "aac")
    subprocess.run((*both, "-movflags", "frag_keyframe+delay_moov", str(tmp_path / "both.mp4")), check=True)
    assert shown(tmp_path / "both.mp4") == list(range(20))


def test_a_film_whose_end_is_missing_is_refused(tmp_path: Path) -> None:
    whole = film(
        tmp_path / "film.mkv", "25", 20, "noise=alls=20", "320x240", "-g", "1", "-cluster_time_limit", "100"
    ).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadClip, match=r"truncated video: it ends at 0\.\d+ s of 0\.80 s"):
        shown(cut)


def test_a_span_is_cut_out(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", "25", 20)
    assert shown(path, (0.2, 0.6)) == list(range(5, 15))
    with pytest.raises(BadClip, match=r"span outside the video: it ends at 0\.80 s, the span at 2 s"):
        shown(path, (0.2, 2.0))
    with pytest.raises(BadClip, match="span outside the video"):
        shown(path, (3.0, 4.0))


def test_a_rotation_flag_is_obeyed(tmp_path: Path) -> None:
    upright = film(tmp_path / "film.mp4", "25", 3)
    turned = tmp_path / "turned.mp4"
    flag = ("-c", "copy", "-metadata:s:v", "rotate=90", f"file:{turned}")
    subprocess.run((*FFMPEG[:-2], "-i", f"file:{upright}", *flag), check=True)
    assert [picture.shape for picture in video_pictures(turned)] == [(64, 48, 3)] * 3


def test_a_hole_and_a_slow_film_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadClip, match="frame rate too low: 5 frames/s, at least 10 are needed"):
        shown(film(tmp_path / "slow.mp4", "5", 5))
    hole = film(tmp_path / "hole.mp4", "25", 60, "setpts='PTS+gte(N,10)*2/TB'")
    with pytest.raises(BadClip, match=r"hole in the video: no frame from 0\.36 s to 2\.40 s"):
        shown(hole)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x")
    secret.chmod(0)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(BadClip, match="unreadable file: Permission denied"):
            check_file(secret)
    finally:
        if root:
            os.seteuid(0)
    with pytest.raises(BadClip, match="not a file"):
        check_file(tmp_path)
    with pytest.raises(BadClip, match="unreadable file: No such file"):
        check_file(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "mpg"])
def test_a_grid_clip_has_75_frames(real_data: Path, suffix: str) -> None:
    clip = next((real_data / "grid" / "video" / "s1").glob(f"*.{suffix}"))
    assert sum(1 for _ in video_pictures(clip)) == 75
