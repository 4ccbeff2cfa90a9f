"""The dashboard's entry, run by Streamlit: `lipkd dashboard`, or `streamlit run dashboard/app.py`."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

# Pictures of our own: Streamlit fetches the favicon of a named icon from a server on the Internet.
st.set_page_config(page_title="lipkd", page_icon=str(HERE / "icon.svg"), layout="wide")
st.logo(HERE / "logo.svg", size="large")
st.navigation(
    [
        st.Page(
            "views/sweeps.py",
            title="Sweeps",
            icon=":material/dynamic_feed:",
            help="All sweeps: state, best rates, cost, and the progress of one that runs.",
        ),
        st.Page(
            "views/leaderboard.py",
            title="Leaderboard",
            icon=":material/leaderboard:",
            help="All trials of a sweep: which setting reads lips best.",
            default=True,
        ),
        st.Page(
            "views/compare.py",
            title="Compare",
            icon=":material/show_chart:",
            help="Learning curves of chosen trials, and every method against vanilla at equal width.",
        ),
        st.Page(
            "views/replay.py",
            title="Replay",
            icon=":material/play_circle:",
            help="What trials read on each validation clip, beside the video.",
        ),
        st.Page(
            "views/errors.py",
            title="Errors",
            icon=":material/error_outline:",
            help="What a trial gets wrong: speakers, sentences, words, letters, mouth shapes.",
        ),
        st.Page(
            "views/try_it.py",
            title="Try it",
            icon=":material/video_file:",
            help="A deployed model reads a video of yours.",
        ),
    ]
).run()
