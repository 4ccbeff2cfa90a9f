"""Try it: a deployed model reads the reader's own video."""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dashboard.components import player, webcam
from dashboard.components.player import SHEET_COLUMNS, Line, Media
from dashboard.components.webcam import Recording
from dashboard.errors.word_times import TimedWord
from dashboard.media.clip_video import crop_sheet, encode
from dashboard.notation import percent
from dashboard.server_settings import MLRUNS_VARIABLE, MOST_MB
from dashboard.shell import page_frame, query_params
from dashboard.upload.deployed_models import CARD, Model, deployed_models
from dashboard.upload.read_upload import LONGEST_S, TYPES, UploadResult, read_upload
from lipkd.errors import LipkdError

FILE, WEBCAM = "a file", "the webcam"
Video = UploadedFile | Recording


def page() -> None:
    folder = Path(os.environ.get(MLRUNS_VARIABLE) or "mlruns").absolute() / "models"
    models = deployed_models(folder)
    if not models:
        raise page_frame.NothingToShow(
            f"No network has been deployed to {folder} yet. This takes the best one out of a trial:",
            "lipkd deploy TRIAL",
        )
    left, right = st.columns([4, 7], gap="medium")
    names = list(models)
    with left:
        name = query_params.select(st.container(), "Model", names, key="model", default=names[0]) or names[0]
        st.caption(page_frame.plain(models[name].facts))
    with right:
        source = query_params.one_of(st.container(), "A video from", [FILE, WEBCAM], key="from", default=FILE)
        video = uploaded() if source == FILE else recorded()
    if video is None:
        st.session_state.pop(page_frame.PRIVATE, None)
    else:
        show(video, models[name])


def uploaded() -> Video | None:
    """The reader's video, a file."""
    private().pop("recording", None)
    # With a kind of file among the types Streamlit leaves it to us to refuse what is no video, in a sentence.
    video = st.file_uploader("A video of one person who speaks", type=["video/mp4", *TYPES], key="video")
    st.caption(
        f"Up to {MOST_MB} MB and {LONGEST_S} seconds, the face towards the camera. "
        "It is read on this machine and kept nowhere."
    )
    return video


def recorded() -> Video | None:
    """The reader's video, from the camera; raises LipkdError when it did not arrive."""
    webcam.show(key="webcam", on_recorded=lambda recording: private().update(recording=recording))
    st.caption(
        f"Up to {LONGEST_S - webcam.SPARE_S} seconds, the face towards the camera. Recording starts when you "
        "press the button. The video is sent to the machine of this dashboard, read there and not kept."
    )
    recording: Recording | LipkdError | None = private().get("recording")
    if isinstance(recording, LipkdError):
        raise recording
    return recording


def private() -> dict[str, Any]:
    """What the page keeps until it is left: a `recording`, and the `result` of which video and model."""
    kept: dict[str, Any] = st.session_state.setdefault(page_frame.PRIVATE, {})
    return kept


def show(video: Video, model: Model) -> None:
    """The model's hypothesis beside the video; computed once, however often the page is drawn."""
    request = (video.file_id, str(model.folder), (model.folder / CARD).stat().st_mtime_ns)
    kept = private()
    if "result" not in kept or kept["result"][0] != request:
        kept.pop("result", None)
        with st.spinner("Finding the mouth and reading the lips …", show_time=True):
            kept["result"] = (request, read(video, model))
    result: UploadResult | LipkdError = kept["result"][1]
    if isinstance(result, LipkdError):
        raise result
    left, right = st.columns([7, 4], gap="medium")
    with left:
        play(" ".join(map(str, request)), result, model.folder.name)
    with right:
        transcript(video.name, result)


def read(video: Video, model: Model) -> UploadResult | LipkdError:
    """The result, or why there is none."""
    try:
        return read_upload(video.name, video.getvalue(), model.folder)
    except LipkdError as error:
        return error


def play(name: str, result: UploadResult, model_name: str) -> None:
    """The video beside the mouth, or the mouth alone, above the posteriors of every frame."""
    if result.face is None:
        content = encode(result.frames, result.fps)
        media = Media(f"{name} mouth", content, "video/webm", False, "Mouth in the video", note=result.note)
    else:
        sheet = crop_sheet(result.frames, SHEET_COLUMNS)
        height, width = result.frames.shape[1:3]
        media = Media(f"{name} face", result.face, "video/mp4", result.sound, "The video", sheet, (height, width))
    seconds = len(result.frames) / result.fps
    timed = tuple(TimedWord(word.text, word.start, word.end) for word in result.hypothesis.words)
    data = player.player_data(
        name,
        len(result.frames),
        result.fps,
        media,
        [Line("hypothesis", result.hypothesis.text, timed)],
        [player.trial_data(model_name, "peer 0", result.posteriors, result.symbols, seconds)],
        alone=True,
    )
    player.show(data, key="player", on_go=lambda _: None)


def transcript(name: str, result: UploadResult) -> None:
    """The text, its confidence, its words with their times, and subtitles to take away."""
    if not result.hypothesis.text:
        st.info("The hypothesis is empty: the network found no letter.", icon=":material/speech_to_text:")
        return
    st.subheader(page_frame.plain(result.hypothesis.text), anchor=False)
    st.metric(
        "Confidence",
        percent(result.hypothesis.confidence),
        help="The likelihood of the text, per letter, of the most confident of four views: two sizes, each also "
        "mirrored. Low where the network guesses, or has not learnt such videos.",
    )
    rows = [
        {"word": word.text, "from": word.start, "to": word.end, "confidence": 100 * word.confidence}
        for word in result.hypothesis.words
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=min(38 + 35 * len(rows), 420),
        column_config={
            "word": "Word",
            "from": number("From", format="%.2f s", width=70),
            "to": number("To", format="%.2f s", width=70),
            "confidence": number("Confidence", format="%.0f %%", width=80),
        },
    )
    stem = re.sub(r"[^\w-]+", "_", PurePosixPath(name).stem)
    with st.container(horizontal=True):
        for label, content, kind in (("SRT", result.srt, "application/x-subrip"), ("VTT", result.vtt, "text/vtt")):
            file = f"{stem}.{label.lower()}"
            st.download_button(label, content, file, kind, icon=":material/subtitles:", on_click="ignore")


if __name__ == "__main__":
    page_frame.show("Try it", page)
