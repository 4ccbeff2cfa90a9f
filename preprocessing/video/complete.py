"""Whether the end of a video is there: what its container promises, against what the file holds.

What counts is what is shown when the video is played. An edit list leaves out pictures of an MP4, the sound may outlast
the pictures, a recorder that writes to a pipe cannot fill in the count of frames: none of these is truncated.
"""

from dataclasses import dataclass, field

import av
from av.packet import Packet

from preprocessing.rejects import BadClip
from preprocessing.video.video_file import Video

INDEXED = "mov"  # MP4 and its kin list the place of every frame
EXACT = "avi"  # the header counts the frames
BY_DURATION = ("matroska", "asf", "flv", "mxf")  # the header tells how long it plays; other containers tell nothing
DURATION_SHARE = 0.9  # a file that ends before this share of its duration is truncated
DAMAGED_SHARE = 0.1  # frames that may be lost where the container lists no frames
SMALLEST_CHUNK = 8  # bytes of a frame in an AVI: the head alone


@dataclass
class Completeness:
    """Counts the packets of a video while it is read, and says at its end whether any are missing."""

    video: Video
    ends: float = 0.0  # seconds: the last packet of any stream
    lost: int = 0  # packets that could not be decoded, since the first picture
    _format: str = field(init=False)

    def __post_init__(self) -> None:
        self._format = self.video.container.format.name.partition(",")[0]

    @property
    def all_streams(self) -> bool:
        """Whether the packets of the sound matter as well."""
        return self._format in BY_DURATION

    def add(self, packet: Packet) -> None:
        """Note where a packet ends."""
        if self._format == INDEXED:
            return
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None and packet.time_base is not None:
            base = packet.time_base
            self.ends = max(self.ends, (at + (packet.duration or 0)) * base.numerator / base.denominator)

    def check(self, shown: int) -> None:
        """Raise BadClip when the file ends too early or frames were lost; `shown` frames were decoded."""
        video = self.video
        if self._format == INDEXED:
            size = video.path.stat().st_size
            entries = list(video.stream.index_entries)
            there = sum(entry.pos + entry.size <= size for entry in entries)
            if there < len(entries):
                raise BadClip("truncated video", f"{there} of {len(entries)} frames are in the file")
        elif self._format == EXACT:
            promised = video.stream.frames
            believable = promised * SMALLEST_CHUNK <= video.path.stat().st_size
            if believable and shown + self.lost < promised and self._frames_passed() < promised:
                raise BadClip("truncated video", f"{shown} of {promised} frames can be decoded")
        elif self._format in BY_DURATION and video.container.duration:
            promised_s = video.container.duration / av.time_base
            if self.ends - self._start() < promised_s * DURATION_SHARE:
                raise BadClip("truncated video", f"it ends at {self.ends - self._start():.2f} s of {promised_s:.2f} s")
        may_be_lost = 0.0 if self._format in (INDEXED, EXACT) else DAMAGED_SHARE * shown
        if self.lost > may_be_lost:
            raise BadClip("truncated video", f"{shown} of {shown + self.lost} frames can be decoded")

    def _start(self) -> float:
        return (self.video.container.start_time or 0) / av.time_base

    def _frames_passed(self) -> int:
        """Frames of an AVI up to its last packet: a frame that repeats the one before takes no packet of its own."""
        return round(self.ends * self.video.rate)
