"""Opening a video with PyAV: that file and nothing else, and what is wrong with one that cannot be opened.

A play list that calls itself a video would make FFmpeg read other files, or call addresses, on this machine. So only
containers that hold their own content are recognised, and nothing but a file is opened.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from preprocessing.rejects import BadClip

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegps,mpegts,mpegvideo,avi,flv,asf,ogg,mxf,dv,gif"
ONLY_THIS_FILE = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}


@dataclass(frozen=True)
class Video:
    """An open video: its container and the stream of pictures that players show."""

    path: Path
    container: InputContainer
    stream: VideoStream

    @property
    def rate(self) -> float:
        """Frames/s as the file tells or FFmpeg guesses; 0 when neither knows."""
        return float(self.stream.average_rate or self.stream.guessed_rate or 0)


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video for reading; raises BadClip when it is no file, no video or holds no pictures.

    Decodes in one thread: clips are worked on in parallel, one a process.
    """
    check_file(path)
    with open_container(path) as container:
        stream = container.streams.best("video")  # not the cover of an album, which may come first
        if not isinstance(stream, VideoStream) or stream.codec_context is None:
            kinds = sorted({other.type for other in container.streams})
            detail = f"only {' and '.join(kinds)}" if kinds else "no picture stream that can be decoded"
            raise BadClip("no pictures", detail)
        stream.codec_context.thread_count = 1
        yield Video(path, container, stream)


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a file of any container of CONTAINERS; raises BadClip when it is none or its index is missing."""
    try:
        # file: because a name may look like a protocol.
        container = av.open(f"file:{path}", options=ONLY_THIS_FILE, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise _why_unreadable(path) from error
    with container:
        yield container


def check_file(path: Path) -> None:
    """Raise BadClip unless `path` is a file with something in it that we may read."""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size:
            path.open("rb").close()
    except OSError as error:
        raise BadClip("unreadable file", error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise BadClip("not a file", "a folder, pipe or device where a video should be")
    if status.st_size == 0:
        raise BadClip("empty file", "0 bytes")


def _why_unreadable(path: Path) -> BadClip:
    with open(path, "rb") as file:
        begins_as_mp4 = file.read(8)[4:] == b"ftyp"
    if begins_as_mp4:
        return BadClip("truncated video", "its index, at the end of the file, is missing")
    return BadClip("not a video", "no known format")
