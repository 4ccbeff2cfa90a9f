"""The player of the replay page: video, mouth, subtitles and posteriors on one time axis, moved by one cursor.

What it shows is plain data, made and tested here; `player.js` draws it. Texts travel as JSON and are never
put into HTML, videos travel inside the data: nothing is served at an address of its own.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.components import component
from dashboard.errors.word_times import TimedWord, ensemble_of, hypothesis_words, spikes
from dashboard.notation import visible

LEAST_POSTERIOR = 0.05  # symbols that never reach it in a clip have no row
SHEET_COLUMNS = 10


@dataclass(frozen=True)
class Media:
    """The video that is played (MP4 or WebM) and, if that shows a face, the frames of the mouth as one JPEG of
    SHEET_COLUMNS pictures a row, `mouth_size` (height, width) each. `note` is what the reader should know of it."""

    key: str
    content: bytes
    type: str
    sound: bool
    label: str
    mouth: bytes | None = None
    mouth_size: tuple[int, int] = (0, 0)
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A subtitle: whose text it is, and the time of each word (none: the text is there all the time)."""

    label: str
    text: str
    words: tuple[TimedWord, ...] = ()


def trial_data(
    title: str, output: str, posteriors: NDArray[np.float16] | None, symbols: Sequence[str], seconds: float
) -> dict[str, Any]:
    """A trial's tracks, from the posteriors (P, T, V) of its peers: the map of one output (`peer 0` …, `ensemble`), its
    words, and the spikes of every peer. Without posteriors the title says so."""
    if posteriors is None:
        return {"title": f"{title}: no posteriors were kept", "map": None, "words": [], "spikes": []}
    chosen = posteriors_of(posteriors, output)
    rows = [v for v in range(chosen.shape[1]) if v == 0 or float(chosen[:, v].max()) >= LEAST_POSTERIOR]
    values = np.rint(255 * chosen[:, rows].T.astype(np.float32)).astype(np.uint8)
    return {
        "title": f"{title}: {output}",
        "words": _words(hypothesis_words(chosen, symbols, seconds)),
        "spikes": [
            {
                "name": f"peer {i}" if len(posteriors) > 1 else "spikes",
                "spikes": [(spike.middle, spike.symbol, spike.posterior) for spike in spikes(each, symbols, seconds)],
            }
            for i, each in enumerate(posteriors)
        ],
        "map": {
            "symbols": [visible(symbols[v]) for v in rows],
            "frames": len(chosen),
            "values": _text(values.tobytes()),
        },
    }


def posteriors_of(posteriors: NDArray[np.float16], output: str) -> NDArray[np.float16]:
    """Of the posteriors (P, T, V) of all peers those (T, V) of one output: `peer 0` …, `ensemble`."""
    if output == "ensemble":
        return ensemble_of(posteriors)
    one: NDArray[np.float16] = posteriors[int(output.removeprefix("peer "))]
    return one


def player_data(
    clip_id: str,
    frames: int,
    fps: float,
    media: Media | None,
    lines: Sequence[Line],
    trials: Sequence[dict[str, Any]],
    *,
    alone: bool = False,
) -> dict[str, Any]:
    """All that the player needs for a clip, ready for JSON; without media there is nothing to play.

    A clip that is `alone` has no others before and after it, and no reference.
    """
    return {
        "clip": clip_id,
        "frames": frames,
        "fps": fps,
        "seconds": frames / fps,
        "alone": alone,
        "note": media.note if media else "",
        "video": media and _video(media),
        "mouth": media and _mouth(media),
        "lines": [{"label": line.label, "text": line.text, "words": _words(line.words)} for line in lines],
        "trials": list(trials),
    }


def _video(media: Media) -> dict[str, Any]:
    named = {"key": media.key, "type": media.type, "sound": media.sound, "label": media.label}
    return named | {"content": _text(media.content)}


def _mouth(media: Media) -> dict[str, Any] | None:
    if media.mouth is None:
        return None
    height, width = media.mouth_size
    return {"sheet": _text(media.mouth), "columns": SHEET_COLUMNS, "height": height, "width": width}


def show(data: dict[str, Any], *, key: str, on_go: Callable[[str], None]) -> None:
    """Mount the player; `on_go` is called with `next` or `previous` when the reader asks for another clip."""

    def went() -> None:
        if (direction := st.session_state[key].get("go")) in ("next", "previous"):
            on_go(direction)

    component.component("player")(key=key, data=data, on_go_change=went)


def _words(words: Sequence[TimedWord]) -> list[dict[str, Any]]:
    return [{"text": word.text, "start": word.start, "end": word.end} for word in words]


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
