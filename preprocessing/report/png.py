"""The report on a clip store as one picture: for a chat, a paper, or a machine without a browser."""

from collections.abc import Sequence

import cv2
import numpy as np

from preprocessing.report.contact_sheet import Picture
from preprocessing.report.facts import SpeakerFacts, StoreFacts
from preprocessing.report.html import bins, count, duration

INK, GREY, BLUE = (28, 30, 34), (91, 98, 112), (59, 110, 168)
MARGIN, LINE = 24, 22  # pixels
CHART = (300, 90)
NARROWEST = 960


def picture(facts: StoreFacts, sheets: dict[str, Picture]) -> Picture:
    """The report as an RGB picture; what is longer than a line is cut."""
    width = max(NARROWEST, *(sheet.shape[1] for sheet in sheets.values())) + 2 * MARGIN
    known = {speaker.name: speaker for speaker in facts.speakers}
    height, columns, _ = facts.size
    left_out = sum(n for _, n, _ in facts.rejects)
    blocks = [
        text(facts.name, width, INK, 24),
        text(
            f"{facts.clips} clips of {len(facts.speakers)} speakers, {duration(facts.seconds)}, {columns}×{height} "
            f"pixels, {left_out} clips left out",
            width,
        ),
        *(text(f"{count(len(f.clips))}: {f.what}", width, INK) for f in facts.findings),
        *(text(f"{count(n)} left out: {kind}", width, INK) for kind, n, _ in facts.rejects),
        _charts(facts, width),
    ]
    for name, sheet in sheets.items():
        blocks += [text(_line(known[name]), width, INK), _framed(sheet, width)]
    if len(sheets) < len(facts.speakers):
        blocks.append(text(f"and {len(facts.speakers) - len(sheets)} more speakers", width))
    edge = np.full((MARGIN, width, 3), 255, np.uint8)
    return np.concatenate([edge, *blocks, edge])


def _line(speaker: SpeakerFacts) -> str:
    found = "" if speaker.face_found is None else f", face found in {100 * speaker.face_found:.1f} % of the frames"
    return (
        f"{speaker.name}: {speaker.clips} clips, {duration(speaker.seconds)}, "
        f"brightness {speaker.brightness:.0f} ({speaker.darkest:.0f} – {speaker.brightest:.0f}){found}"
    )


def text(line: str, width: int, colour: tuple[int, int, int] = GREY, size: int = 14) -> Picture:
    """A line of text on white, (about 1.5 × size, width, 3)."""
    canvas = np.full((LINE * size // 14, width, 3), 255, np.uint8)
    _write(canvas, line, MARGIN, LINE * size // 14 - 6, colour, size)
    return canvas


def _write(canvas: Picture, line: str, x: int, y: int, colour: tuple[int, int, int], size: int) -> None:
    plain = "".join(c if c.isprintable() else " " for c in line)
    cv2.putText(canvas, plain, (x, y), colour, cv2.FontFace("sans"), size)  # OpenCV 5: any script, drawn in place


def _charts(facts: StoreFacts, width: int) -> Picture:
    canvas = np.full((CHART[1] + 2 * LINE, width, 3), 255, np.uint8)
    charts: tuple[tuple[str, Sequence[float]], ...] = (
        ("seconds a clip", facts.durations),
        ("frames a word", facts.word_frames),
    )
    for number, (title, values) in enumerate(charts):
        if not values:
            continue
        left, floor = MARGIN + number * (CHART[0] + 2 * MARGIN), CHART[1] + LINE // 2
        counts, _ = bins(values)
        bar = CHART[0] / len(counts)
        for index, height in enumerate(counts):
            top = floor - round(height / max(counts) * (CHART[1] - 2))
            first, last = left + round(index * bar), left + round((index + 1) * bar) - 1
            canvas[top:floor, first : max(first + 1, last)] = BLUE
        caption = f"{title}: median {float(np.median(values)):.3g}, {min(values):.3g} to {max(values):.3g}"
        _write(canvas, caption, left, floor + LINE - 6, GREY, 14)
    return canvas


def _framed(sheet: Picture, width: int) -> Picture:
    canvas = np.full((sheet.shape[0] + MARGIN // 2, width, 3), 255, np.uint8)
    canvas[: sheet.shape[0], MARGIN : MARGIN + sheet.shape[1]] = sheet
    return canvas
