"""A video of any frame rate as pictures at 25 frames/s, by time stamps.

Zero is the first picture shown: for pictures, sound, words and spans alike. Output picture k stands for the time
k / 25 s after it (or after the span's start); it is the source frame whose time stamp is nearest. So 25 frames/s come
through one to one, 50 are halved, 12.5 doubled, and a variable rate keeps its timing.
"""

from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import VideoFrame

from preprocessing.rejects import BadClip
from preprocessing.video.complete import Completeness
from preprocessing.video.picture import Picture, ToPicture
from preprocessing.video.video_file import Video, open_video

Span = tuple[float, float]  # seconds: start, end
FPS = 25.0  # of every clip in a store
SLOWEST = 10.0  # frames/s; lips move faster than that
LONGEST_GAP_S = 1.0  # between two time stamps
LONGEST_S = 300.0
EPSILON = 1e-6  # frames; times are sums of fractions


def video_pictures(path: Path, span: Span | None = None) -> Iterator[Picture]:
    """Yield BGR pictures (h, w, 3) at 25 frames/s, of the whole video or of `span`, as players show them.

    Raises BadClip: not a readable file, no pictures in it, damaged or cut off, under 10 frames/s, a hole
    of over a second, longer than five minutes, or a span that reaches beyond the end.
    """
    start, end = span or (0.0, float("inf"))
    number = 0
    previous: Picture | None = None
    before, step = start, 1 / FPS
    with open_video(path) as video:
        to_picture = ToPicture(video.stream)
        for time, frame in _frames(video, start, end):
            picture = to_picture(frame)
            if previous is not None:
                step = time - before
                while number < min((before + time) / 2 - start, end - start) * FPS - EPSILON:
                    yield previous
                    number += 1
            previous, before = picture, time
    if previous is None:
        raise BadClip("span outside the video", f"no frame from {start:g} s on")
    for _ in range(number, round(min(before - start + step, end - start) * FPS)):
        yield previous


def video_width(path: Path) -> int:
    """Width in pixels of a video's pictures as players show them; raises BadClip when it cannot be read."""
    with open_video(path) as video:
        return ToPicture(video.stream).width(first_frame(video))


def first_frame(video: Video) -> VideoFrame:
    """The frame whose time is zero; raises BadClip when none can be decoded."""
    for frame in _decoded(video, Completeness(video)):
        return frame
    raise BadClip("empty video", "not one frame can be decoded")


def _frames(video: Video, start: float, end: float) -> Iterator[tuple[float, VideoFrame]]:
    """Yield (seconds, frame) of every frame that may matter between `start` and `end`; check that none is missing."""
    rate = video.rate
    if rate < SLOWEST:
        raise BadClip("frame rate too low", f"{rate:g} frames/s, at least {SLOWEST:g} are needed")
    completeness = Completeness(video)
    count, time, zero = 0, 0.0, 0.0
    for count, frame in enumerate(_decoded(video, completeness), 1):
        stamp = frame.time
        if count == 1:
            zero = stamp or 0.0
        elif stamp is not None and stamp - zero > time:
            if stamp - zero - time > LONGEST_GAP_S:
                raise BadClip("hole in the video", f"no frame from {time:.2f} s to {stamp - zero:.2f} s")
            time = stamp - zero
        else:  # streams without time stamps, or with a wrong one
            time += 1 / rate
        if time > min(end, start + LONGEST_S) + 1 / FPS:
            break
        if time > start - 1 / FPS:
            yield time, frame
    else:
        if count == 0:
            raise BadClip("empty video", "not one frame can be decoded")
        completeness.check(count)
        if end < float("inf") and time + 2 / rate < end:
            raise BadClip("span outside the video", f"it ends at {time + 1 / rate:.2f} s, the span at {end:g} s")
    if min(end, time) - start > LONGEST_S:
        raise BadClip("too long", f"over {LONGEST_S:g} s; cut it with start and end in a table of clips")


def _decoded(video: Video, completeness: Completeness) -> Iterator[VideoFrame]:
    """Decode all frames; what cannot be decoded is counted and left out."""
    streams = video.container.streams if completeness.all_streams else [video.stream]
    packets = video.container.demux(*streams)
    begun = False
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):  # a file that breaks off
            return
        completeness.add(packet)
        if packet.stream is not video.stream:
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            completeness.lost += begun
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame):
                begun = True
                yield frame
