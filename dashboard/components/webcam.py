"""The reader's own camera: recorded in the browser, whose video comes here as if it had been uploaded.

What comes is whatever a browser has sent. It goes the way of every upload (`dashboard.upload.read_upload`).
"""

import base64
import binascii
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from dashboard.components import component
from dashboard.upload.read_upload import LONGEST_S
from lipkd.errors import LipkdError

SPARE_S = 1  # of the longest video, which a browser's clock may need


@dataclass(frozen=True)
class Recording:
    """A recorded video, in the form of an uploaded one."""

    content: bytes = field(repr=False)
    file_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def name(self) -> str:
        """What it begins with decides: MP4 is what Safari records."""
        return "webcam.mp4" if self.content[4:8] == b"ftyp" else "webcam.webm"

    def getvalue(self) -> bytes:
        return self.content


def show(*, key: str, on_recorded: Callable[[Recording | LipkdError], None]) -> None:
    """A camera to record with; before the page is drawn `on_recorded` gets the video, or why it did not arrive."""

    def sent() -> None:
        on_recorded(received(st.session_state[key].get("video")))

    component.component("webcam")(key=key, data={"seconds": LONGEST_S - SPARE_S}, on_video_change=sent)


def received(sent: object) -> Recording | LipkdError:
    """The video in what the browser has sent, base64."""
    try:
        return Recording(base64.b64decode(sent, validate=True) if isinstance(sent, str) else b"")
    except (binascii.Error, ValueError):
        return LipkdError("The recording did not arrive as a whole: please record it again.")
