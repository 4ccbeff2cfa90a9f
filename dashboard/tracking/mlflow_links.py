"""Where MLflow's own UI shows a run."""

import os
from urllib.parse import urlsplit, urlunsplit

from dashboard.server_settings import UI_VARIABLE
from dashboard.tracking.records import Trial
from lipkd.tracking_uri import run_page

LOCAL = "http://127.0.0.1:5000"  # what `lipkd ui` serves unless told otherwise


def ui_address(tracking_uri: str) -> str:
    """A server shows its runs itself, without user name and password here; a database is shown by `lipkd ui`."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return os.environ.get(UI_VARIABLE) or LOCAL
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def run_link(tracking_uri: str, trial: Trial) -> str:
    return run_page(ui_address(tracking_uri), trial.experiment_id, trial.run_id)
