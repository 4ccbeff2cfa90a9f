"""Reads one uploaded video, beside which it puts its answer: `python -m dashboard.upload.worker VIDEO MODEL`.

Called by `dashboard.upload.read_upload`, which says how the answer views. Streamlit is not imported here.
"""

import os
import resource
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import av
import numpy as np

from dashboard.media.source_video import WIDEST_CROP, encode_mp4
from dashboard.upload.read_upload import ANSWER, FACE, FRAMES, LONGEST_S, POSTERIORS
from lipkd.errors import LipkdError
from lipkd.files import write_json
from preprocessing.face.mouth_reader import MouthReader
from preprocessing.rejects import BadClip
from preprocessing.video.mouth_clips import picture_width
from preprocessing.video.picture import shown_size
from preprocessing.video.sound import has_sound
from preprocessing.video.video_file import open_video

MOST_PIXELS = 4096 * 2304  # of a picture
MOST_BYTES = 8_000_000_000  # of memory


def main(video: Path, model: Path) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    threading.Thread(target=_end_with_caller, args=[video.parent], daemon=True).start()
    try:
        answer = read(video, model)
    except LipkdError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "it needs too much memory"}
    except Exception:
        answer = {"fault": traceback.format_exc()}
    write_json(video.parent / ANSWER, answer)


def read(video: Path, model: Path) -> dict[str, Any]:
    """Read the video; raises LipkdError when it cannot be read."""
    width = _check(video)
    # Imported late: slow, and needless for a file that is refused.
    from lipkd.ctc.options import DecodingOptions
    from lipkd.ctc.subtitles import srt, vtt
    from lipkd.deployment.lipreader import LipReader

    # Not on the GPU: a trial may be using all of it, and for one clip a processor will do.
    reader = LipReader.load(model, "cpu")
    frames = MouthReader(reader.picture)(video)
    if len(frames) > LONGEST_S * reader.fps:
        raise _too_long()
    options = DecodingOptions.of(tta=True)  # an unseen speaker
    logits, lengths = reader.logits([frames], options)
    (hypothesis,) = reader.hypotheses(logits, lengths, options)
    folder = video.parent
    np.save(folder / POSTERIORS, logits.float().softmax(-1).half().numpy())
    np.save(folder / FRAMES, frames)
    face, sound, note = _play(video, width, len(frames), reader.fps)
    return {
        "hypothesis": hypothesis.to_json(),
        "srt": srt(hypothesis),
        "vtt": vtt(hypothesis),
        "alphabet": reader.card["alphabet"],
        "fps": reader.fps,
        "face": face,
        "sound": sound,
        "note": note,
    }


def _check(video: Path) -> int:
    """The width of the pictures; raises LipkdError for what is no video, or is too large."""
    try:
        with open_video(video) as opened:
            width, height = shown_size(opened.stream)
            if width * height > MOST_PIXELS:
                raise LipkdError(f"its pictures are {width}×{height}, up to 4096×2304 are read")
            if (opened.container.duration or 0) / av.time_base > LONGEST_S:
                raise _too_long()
            return picture_width(video)
    except BadClip as reason:
        raise LipkdError(f"it is damaged, or not a video ({reason})") from reason


def _too_long() -> LipkdError:
    return LipkdError(f"it is longer than {LONGEST_S} seconds")


def _play(video: Path, width: int, frames: int, fps: float) -> tuple[bool, bool, str]:
    """Whether the video lies there as MP4, whether that has sound, and what the reader should know of it."""
    sound = has_sound(video)
    if width <= WIDEST_CROP and not sound:
        return False, False, ""
    try:
        encode_mp4(video, video.with_name(FACE), begin=0.0, frames=frames, fps=fps)
    except (OSError, BadClip):
        return False, False, "The video cannot be converted; here is the mouth alone."
    return True, sound, ""


def _end_with_caller(folder: Path) -> None:
    """Wait for the end of the dashboard, then leave nothing behind, no program called from here either."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
