"""What counts is what is shown when a video is played: edit lists, late pictures, pixels, turns, tones; its zero."""

import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from preprocessing.rejects import BadClip
from preprocessing.video.mouth_clips import picture_width
from preprocessing.video.picture import square_size, turn
from preprocessing.video.resample import video_pictures
from preprocessing.video.sound import read_sound
from preprocessing.video.video_file import CONTAINERS, open_video
from tests.preprocessing.video.test_resample import film, shown

RATE = 8000


@pytest.fixture(autouse=True)
def _ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed: no test videos")


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)


def with_tone(path: Path, video: Path, *more: str, picture_late: float = 0.0, sound_late: float = 0.0) -> Path:
    """The video with a sound in which a tone begins 0.4 s after the sound does."""
    tone = "aevalsrc=if(gte(t\\,0.4)\\,0.5*sin(5000*t)\\,0):s=44100:d=2"
    inputs = ("-itsoffset", str(picture_late), "-i", video, "-itsoffset", str(sound_late), "-f", "lavfi", "-i", tone)
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", *(more or ("-c:v", "copy")), path)
    return path


def tone_begins(path: Path, span: tuple[float, float] | None = None) -> float:
    """Seconds after the first picture at which the tone is heard."""
    samples = read_sound(path, span, rate=RATE).samples
    return float(np.flatnonzero(np.abs(samples.astype(int)) > 4000)[0]) / RATE


# --- G: whole videos are not truncated


def test_an_edit_list_leaves_pictures_out(tmp_path: Path) -> None:
    """Cut without encoding at a picture that is no key frame: the first five are in the file, but not shown."""
    whole = film(tmp_path / "whole.mp4", "25", 20, "null", "64x48", "-g", "20")
    ffmpeg("-ss", "0.2", "-i", whole, "-c", "copy", tmp_path / "cut.mp4")
    with open_video(tmp_path / "cut.mp4") as video:
        assert video.stream.frames > 15  # else this tests nothing
    assert shown(tmp_path / "cut.mp4") == list(range(5, 20))


@pytest.mark.parametrize("name", ["both.mp4", "both.mkv", "both.mov"])
@pytest.mark.parametrize("seconds", ["0.3", "6"])
def test_sound_may_be_shorter_or_longer_than_the_pictures(tmp_path: Path, name: str, seconds: str) -> None:
    sound = ("-f", "lavfi", "-i", f"sine=duration={seconds}", "-c:v", "copy", "-c:a", "aac")
    ffmpeg("-i", film(tmp_path / "film.mp4", "25", 20), *sound, tmp_path / name)
    assert shown(tmp_path / name) == list(range(20))


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
@pytest.mark.parametrize("count", [None, 0, 0xFFFFFFFF, 1_000_000])
def test_an_avi_that_was_written_to_a_pipe_promises_nothing(tmp_path: Path, codec: str, count: int | None) -> None:
    """Recorders leave all kinds of numbers where the counts of frames should be."""
    whole = film(tmp_path / "film.mp4", "25", 20)
    command = ["ffmpeg", "-v", "error", "-i", str(whole), "-c:v", codec, "-q:v", "1", "-f", "avi", "-"]
    content = bytearray(subprocess.run(command, check=True, capture_output=True).stdout)
    if count is not None:
        at = content.index(b"strh") + 8 + 32  # dwLength of the stream's header
        content[at : at + 4] = struct.pack("<I", count)
    (tmp_path / "piped.avi").write_bytes(content)
    assert shown(tmp_path / "piped.avi") == list(range(20))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("film.mp4", ("-movflags", "faststart")),
        ("film.mov", ("-movflags", "faststart")),
        ("film.mp4", ("-movflags", "frag_keyframe+empty_moov", "-g", "5")),
        ("film.mkv", ("-cluster_time_limit", "100")),
        ("film.avi", ("-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj420p")),
        ("film.flv", ()),
    ],
)
def test_a_file_that_lacks_its_end_is_refused(tmp_path: Path, name: str, more: tuple[str, ...]) -> None:
    whole = film(tmp_path / name, "25", 40, "noise=alls=20", "320x240", *more)
    assert len(shown(whole)) == 40
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with pytest.raises(BadClip, match="truncated video"):
        shown(cut)


# --- D: zero is the first picture


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.mov", "late.ts", "late.webm"])
@pytest.mark.parametrize(("picture_late", "sound_late"), [(0.3, 0.0), (0.0, 0.3), (0.0, 0.0)])
def test_zero_is_the_first_picture_shown(tmp_path: Path, name: str, picture_late: float, sound_late: float) -> None:
    whole = film(tmp_path / "whole.mp4", "25", 25, "null", "64x48", "-bf", "0")
    more = ("-c:v", "libvpx", "-crf", "4", "-b:v", "2M", "-c:a", "libopus") if name.endswith("webm") else ()
    late = with_tone(tmp_path / name, whole, *more, picture_late=picture_late, sound_late=sound_late)
    assert shown(late) == list(range(25))
    assert shown(late, (0.2, 0.8)) == list(range(5, 20))
    heard = 0.4 - picture_late + sound_late
    assert tone_begins(late) == pytest.approx(heard, abs=0.03)
    if heard > 0.1:
        assert tone_begins(late, (0.08, 0.9)) == pytest.approx(heard - 0.08, abs=0.03)


def test_zero_of_a_cut_without_encoding_is_the_first_picture_shown(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", "25", 25, "null", "64x48", "-g", "25")
    with_tone(tmp_path / "both.mp4", whole)
    ffmpeg("-ss", "0.2", "-i", tmp_path / "both.mp4", "-c", "copy", tmp_path / "cut.mp4")
    assert shown(tmp_path / "cut.mp4")[:3] == [5, 6, 7]
    assert tone_begins(tmp_path / "cut.mp4") == pytest.approx(0.2, abs=0.03)


def test_sound_of_a_span_far_into_a_video_is_that_of_the_span(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", "25", 250, "lutyuv=y=50", "64x48")
    tone = "aevalsrc=if(gte(t\\,7.5)\\,0.5*sin(5000*t)\\,0):s=44100:d=10"
    ffmpeg("-i", whole, "-f", "lavfi", "-i", tone, "-c:v", "copy", tmp_path / "long.mkv")
    assert tone_begins(tmp_path / "long.mkv", (7.0, 9.0)) == pytest.approx(0.5, abs=0.03)


# --- J: pixels, turns, tones


def marked(path: Path, *more: str) -> Path:
    """96×64: black, and white in the upper left quarter."""
    picture = "color=black:size=96x64:rate=25,drawbox=w=48:h=32:color=white:t=fill,format=yuv444p"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", "3", "-c:v", "libx264", "-qp", "1", *more, path)
    return path


def white(path: Path) -> tuple[tuple[int, ...], list[list[bool]]]:
    """Size (h, w) of the pictures, and which of their four quarters are white."""
    picture = next(iter(video_pictures(path)))[..., 0]
    h, w = picture.shape
    quarters = [[picture[y : y + h // 2, x : x + w // 2].mean() > 128 for x in (0, w // 2)] for y in (0, h // 2)]
    return picture.shape, [[bool(quarter) for quarter in row] for row in quarters]


UPPER_LEFT, UPPER_RIGHT = [[True, False], [False, False]], [[False, True], [False, False]]
LOWER_LEFT, LOWER_RIGHT = [[False, False], [True, False]], [[False, False], [False, True]]


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "size", "where"),
    [
        (1, 0, 0, 1, (64, 96), UPPER_LEFT),
        (0, 1, -1, 0, (96, 64), UPPER_RIGHT),  # a quarter clockwise, as a phone held upright writes it
        (-1, 0, 0, -1, (64, 96), LOWER_RIGHT),
        (0, -1, 1, 0, (96, 64), LOWER_LEFT),  # a quarter against the clock
        (-1, 0, 0, 1, (64, 96), UPPER_RIGHT),  # mirrored, as front cameras do
        (1, 0, 0, -1, (64, 96), LOWER_LEFT),
        (0, 1, 1, 0, (96, 64), UPPER_LEFT),
        (0, -1, -1, 0, (96, 64), LOWER_RIGHT),
    ],
)
def test_pictures_are_turned_and_mirrored_as_the_file_says(
    tmp_path: Path, a: int, b: int, c: int, d: int, size: tuple[int, int], where: list[list[bool]]
) -> None:
    """The matrix of the track header is written by hand: 16.16 numbers a b u c d v x y w, u v w of 2.30."""
    content = bytearray(marked(tmp_path / "film.mp4").read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 20 + 16
    content[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    (tmp_path / "film.mp4").write_bytes(content)
    assert white(tmp_path / "film.mp4") == (size, where)
    assert picture_width(tmp_path / "film.mp4") == size[1]


@pytest.mark.parametrize(
    ("pixel", "name", "size"),
    [
        ("64/45", "film.mp4", (64, 137)),  # PAL, wide: 96 · 64 / 45 = 136.5
        ("8/9", "film.mp4", (72, 96)),  # NTSC
        ("2/1", "film.mkv", (64, 192)),
        ("1/2", "film.avi", (128, 96)),
        ("0/1", "film.mp4", (64, 96)),  # unknown
    ],
)
def test_pixels_are_made_square_before_anything_is_measured(
    tmp_path: Path, pixel: str, name: str, size: tuple[int, int]
) -> None:
    path = marked(tmp_path / name, "-vf", f"setsar={pixel}")
    assert white(path) == (size, UPPER_LEFT)
    assert picture_width(path) == size[1]


def test_pixels_that_no_camera_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadClip, match="pixels not square: 100 times as wide as high"):
        white(marked(tmp_path / "film.mp4", "-vf", "setsar=100/1"))


def test_sizes_and_turns_by_hand() -> None:
    assert square_size(720, 576, Fraction(16, 15)) == (768, 576)
    assert square_size(720, 480, Fraction(8, 9)) == (720, 540)
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    assert turn(picture, (0, 1, -1, 0))[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]


@pytest.mark.parametrize(("transfer", "white"), [("arib-std-b67", 0.75), ("smpte2084", 0.58)])
def test_high_dynamic_range_is_toned_down(tmp_path: Path, transfer: str, white: float) -> None:
    """ITU-R BT.2408: the white of ordinary pictures lies at 75 % of HLG's and at 58 % of PQ's range. Shown as it is,
    it would be grey (191 and 148 of 255)."""
    if "libx265" not in subprocess.run(["ffmpeg", "-v", "error", "-encoders"], capture_output=True, text=True).stdout:
        pytest.skip("this ffmpeg has no libx265")
    code = struct.pack("<H", round(white * 65535)) * 3 * 64 * 64
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "64x64", "-r", "25", "-i", tmp_path / "raw")
    (tmp_path / "raw").write_bytes(code * 3)
    colours = f"log-level=none:crf=2:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    convert = ("-vf", "scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv420p10le")
    ffmpeg(*raw, *convert, "-c:v", "libx265", "-x265-params", colours, tmp_path / "hdr.mp4")
    picture = next(iter(video_pictures(tmp_path / "hdr.mp4")))
    assert picture.min() >= 225 and np.ptp(picture) <= 6


# --- only that file


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
        "<?xml version='1.0'?><MPD><Period><AdaptationSet><BaseURL>{}</BaseURL></AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    ],
)
def test_a_list_of_other_files_is_no_video(tmp_path: Path, content: str) -> None:
    (tmp_path / "list.mp4").write_text(content.format(film(tmp_path / "secret.mp4", "25", 3)))
    with pytest.raises(BadClip, match="not a video: no known format"):
        shown(tmp_path / "list.mp4")
    assert {"hls", "concat", "dash", "sdp", "rtsp"}.isdisjoint(CONTAINERS.split(","))
