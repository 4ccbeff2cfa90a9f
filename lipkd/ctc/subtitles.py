"""Subtitles of a hypothesis, as SubRip (.srt) or WebVTT (.vtt) files."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

from lipkd.ctc.hypothesis import Hypothesis, Word

LONGEST = 42  # characters of a line, as broadcasters have it
PAUSE_S = 1.0  # of silence, after which a new subtitle begins
SHORTEST_S = 1.0  # that one stands, unless the next comes sooner


@dataclass(frozen=True)
class Cue:
    """One subtitle: its text, from `start` to `end` in seconds."""

    text: str
    start: float
    end: float


def cues(hypothesis: Hypothesis) -> list[Cue]:
    """The words of a hypothesis in lines of up to LONGEST characters; a longer word has a line of its own."""
    lines: list[list[Word]] = []
    for word in hypothesis.words:
        line = lines[-1] if lines else []
        length = sum(len(w.text) + 1 for w in line) + len(word.text)
        if line and length <= LONGEST and word.start - line[-1].end < PAUSE_S:
            line.append(word)
        else:
            lines.append([word])
    starts = [line[0].start for line in lines]
    nexts = [*starts[1:], max(hypothesis.seconds, lines[-1][-1].end)] if lines else []
    return [
        Cue(" ".join(w.text for w in line), start, max(line[-1].end, min(start + SHORTEST_S, following)))
        for line, start, following in zip(lines, starts, nexts, strict=True)
    ]


def srt(hypothesis: Hypothesis) -> str:
    """A SubRip file."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(hypothesis), 1)
    ]
    return "\n".join(blocks)


def vtt(hypothesis: Hypothesis) -> str:
    """A WebVTT file (https://www.w3.org/TR/webvtt1/)."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{html.escape(cue.text, quote=False)}"
        for cue in cues(hypothesis)
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _clock(seconds: float, point: str) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def file_names(clips: Sequence[str]) -> list[str]:
    """A file name for each clip, without suffix: the last part of its name, made distinct by a number."""
    names: dict[str, None] = {}
    for clip in clips:
        last = clip.rstrip("/").rpartition("/")[2]
        stem = last.rpartition(".")[0] or last
        plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in stem) or "clip"
        numbered = (f"{plain}-{number}" for number in count(2))
        names[next(name for name in chain([plain], numbered) if name not in names)] = None
    return list(names)
