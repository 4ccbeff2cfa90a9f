"""Subtitles: lines of words as WebVTT tracks, the word that is being said in bold.

https://www.w3.org/TR/webvtt1/
"""

import html
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.timing import TimedWord


@dataclass(frozen=True)
class Line:
    """One line under the picture. `words` in order; without times (`timed` empty) the text stands all the time."""

    text: str
    timed: tuple[TimedWord, ...] = ()
    label: str = ""


def track(lines: Sequence[Line], seconds: float) -> str:
    """A WebVTT file that shows all `lines` from begin to end of a clip of that many seconds."""
    cuts = {0.0, seconds} | {t for line in lines for word in line.timed for t in (word.start, word.end)}
    times = sorted(t for t in cuts if 0 <= t <= seconds)
    cues = [
        f"{_clock(start)} --> {_clock(end)}\n" + "\n".join(_line(line, (start + end) / 2) for line in lines)
        for start, end in itertools.pairwise(times)
        if _clock(start) != _clock(end)
    ]
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _line(line: Line, now: float) -> str:
    """A line at a moment; an empty one shows a dash, because WebVTT ends a cue at an empty line."""
    if line.timed:
        words = [f"<b>{_plain(w.text)}</b>" if w.start <= now < w.end else _plain(w.text) for w in line.timed]
        said = " ".join(words)
    else:
        said = _plain(line.text)
    return f"{_plain(line.label)}: {said or '–'}" if line.label else said or "–"


def _plain(text: str) -> str:
    """Text that WebVTT shows as it is: no markup, no line breaks, no `-->`."""
    return html.escape(" ".join(text.split()), quote=False)


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
