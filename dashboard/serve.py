"""The process that serves the pages: Streamlit, and beside it what the first reader would otherwise wait for.

    python -m dashboard.serve run APP OPTIONS

is `python -m streamlit run APP OPTIONS` with a thread that imports what the pages need (pandas, Altair, OpenCV: a
second) and reads the trials of the latest sweep, while the server starts and the reader's browser loads its scripts.
"""

import inspect
import logging
import os
import threading
import time

from streamlit import runtime
from streamlit.web import cli

WAIT_S = 60.0  # for the server
log = logging.getLogger(__name__)


def prepare() -> None:
    """Do once what every reader needs; what fails here is reported when a page does it."""
    try:
        import altair
        import pandas

        drawn = altair.Chart(pandas.DataFrame({"x": [0]})).mark_point().encode(x="x:Q")
        drawn.to_dict()  # Vega-Lite's schema is read with the first chart
        deadline = time.monotonic() + WAIT_S
        while not runtime.exists() and time.monotonic() < deadline:  # which the caches belong to
            time.sleep(0.02)
        from dashboard import cache
        from dashboard.server_settings import TRACKING_VARIABLE
        from dashboard.views import compare, leaderboard, replay

        inspect.stack()  # Streamlit asks for it before the first element; it looks into every module once
        log.debug("imported %s, %s and %s", leaderboard.__name__, compare.__name__, replay.__name__)
        if uri := os.environ.get(TRACKING_VARIABLE):
            cache.prepare_trials(uri)
    except Exception:
        log.debug("nothing is prepared", exc_info=True)


def main() -> None:
    """Serve until interrupted; the arguments are Streamlit's."""
    threading.Thread(target=prepare, daemon=True, name="prepare").start()
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
