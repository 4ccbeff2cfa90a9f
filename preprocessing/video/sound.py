"""The sound of a clip, from the moment at which its first picture is shown."""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet
from numpy.typing import NDArray

from preprocessing.rejects import BadClip
from preprocessing.video.resample import LONGEST_S, Span, first_frame
from preprocessing.video.video_file import Video, open_video

Samples = NDArray[np.int16]
JITTER = 0.02  # seconds; time stamps that are off by less are rounded ones
RUN_UP = 1.0  # seconds decoded before a span, so that the decoder has settled


@dataclass(frozen=True)
class Sound:
    """Mono samples (N,) int16 from the first picture shown on; `duration` of the clip's pictures in seconds."""

    samples: Samples
    duration: float


def has_sound(path: Path) -> bool:
    """Whether a video holds sound; raises BadClip when it is none."""
    with open_video(path) as video:
        return bool(video.container.streams.audio)


def read_sound(path: Path, span: Span | None = None, *, rate: int, longest: float = LONGEST_S) -> Sound:
    """The sound of a video, or of its seconds `span` after the first picture, at `rate` samples/s.

    Samples before the sound sets in are 0; what comes before the first picture is left out. Raises BadClip when there
    is no sound, the video is damaged, or it lasts over `longest` seconds.
    """
    with open_video(path) as video:
        if not video.container.streams.audio:
            raise BadClip("no audio", "the video has no sound stream")
        try:
            return _read(video, span, rate, longest)
        except av.FFmpegError as error:
            raise BadClip("unreadable audio", error.strerror or str(error)) from error


def _read(video: Video, span: Span | None, rate: int, longest: float) -> Sound:
    zero = first_frame(video).time or 0.0
    start, end = span or (0.0, math.inf)
    begin = math.floor((zero + start - RUN_UP) * av.time_base)
    video.container.seek(begin if start > RUN_UP else video.container.start_time or 0)
    placed = _Placed(zero + start, rate)
    stream = video.container.streams.audio[0]
    picture_end = zero
    for packet in video.container.demux(stream, video.stream):
        at = _time(packet)
        if packet.stream is video.stream:
            if at is not None and at >= zero:
                picture_end = max(picture_end, at + (_length(packet) or 1 / max(video.rate, 1.0)))
        else:
            placed.add(packet)
        if at is not None and at > zero + min(end, start + longest) + RUN_UP:
            break
    duration = min(end, picture_end - zero) - start
    if duration <= 0:
        raise BadClip("span outside the video", f"nothing is there from {start:g} s on")
    if duration > longest:
        raise BadClip("too long", f"over {longest:.0f} s: cut it into sentences")
    samples = placed.samples(duration)
    if len(samples) == 0:
        raise BadClip("no audio", "the sound stream is empty")
    return Sound(samples, duration)


class _Placed:
    """Decoded sound, each piece at the time that its stamp tells."""

    def __init__(self, begin: float, rate: int) -> None:
        self.begin = begin  # of the samples, in seconds of the container's clock
        self.rate = rate
        self.pieces: list[tuple[int, Samples]] = []  # first sample, samples
        self.next: int | None = None  # sample at which the last piece ended
        self.resampler = AudioResampler(format="s16", layout="mono", rate=rate)

    def add(self, packet: Packet) -> None:
        """Decode a packet of sound; a damaged one is silence."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            if isinstance(frame, AudioFrame):
                for resampled in self.resampler.resample(frame):
                    self._place(resampled)

    def _place(self, frame: AudioFrame) -> None:
        at = None if frame.time is None else round((frame.time - self.begin) * self.rate)
        if at is None or (self.next is not None and abs(at - self.next) < JITTER * self.rate):
            at = self.next or 0
        samples = frame.to_ndarray()[0].astype(np.int16, copy=False)
        self.pieces.append((at, samples))
        self.next = at + len(samples)

    def samples(self, duration: float) -> Samples:
        """The first `duration` seconds; less when the sound ends before, none when there is none."""
        for resampled in self.resampler.resample(None):
            self._place(resampled)
        limit = math.ceil(duration * self.rate)
        inside = [(at, piece) for at, piece in self.pieces if at < limit and at + len(piece) > 0]
        end = min(max((at + len(piece) for at, piece in inside), default=0), limit)
        samples = np.zeros(end, np.int16)
        for at, piece in inside:
            kept = piece[max(0, -at) : max(0, end - at)]
            samples[max(0, at) : max(0, at) + len(kept)] = kept
        return samples


def _time(packet: Packet) -> float | None:
    at = packet.pts if packet.pts is not None else packet.dts
    return None if at is None or packet.time_base is None else float(at * packet.time_base)


def _length(packet: Packet) -> float:
    return float((packet.duration or 0) * packet.time_base) if packet.time_base is not None else 0.0
