"""Where MLflow's own UI shows a run."""

from functools import cache
from urllib.parse import quote, urlsplit, urlunsplit

from dashboard.tracking.records import Trial

LOCAL = "http://127.0.0.1:5000"  # what `lipkd ui` serves unless told otherwise


@cache
def ui_address(tracking_uri: str) -> str:
    """A server shows its runs itself, without user name and password here; a database is shown by `lipkd ui`."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return LOCAL
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def run_link(tracking_uri: str, trial: Trial) -> str:
    experiment, run = quote(trial.experiment_id, safe=""), quote(trial.run_id, safe="")
    return f"{ui_address(tracking_uri)}/#/experiments/{experiment}/runs/{run}"
