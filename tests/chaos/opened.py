"""Whether MLflow's UI and the dashboard open on a tracking folder, and how long that takes."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.logger import set_log_level

from tests.chaos.arena import Server
from tests.dashboard.opening import PAGES
from tests.dashboard.opening import opened as opened_page
from tuning.tracking.client import connect, default_uri

LISTED = 100  # runs that MLflow's UI asks for at a time
PATIENCE_S = 60.0


def opened(mlruns: Path) -> Iterator[tuple[str, list[str]]]:
    """A line for each page of the dashboard, and one for MLflow's UI: what it is made of, and its first runs."""
    set_log_level("error")  # it misses its server
    with pytest.MonkeyPatch.context() as environment:
        for page in PAGES:
            began, wrong = time.monotonic(), []
            try:
                opened_page(default_uri(mlruns), page, environment)
            except (AssertionError, RuntimeError) as error:
                wrong.append(" ".join(str(error).split())[:200])
            yield f"c the dashboard's page {page}: {time.monotonic() - began:.1f} s", wrong
    server = Server(mlruns)
    try:
        server.start()
        server.wait_until_it_answers()
        began = time.monotonic()
        found = connect(server.uri).get_experiment_by_name("lipkd")
        page = _get(server.uri + "/")
        asked = {"experiment_ids": [found.experiment_id if found else "none"], "max_results": LISTED}
        runs = json.loads(_get(f"{server.uri}/ajax-api/2.0/mlflow/runs/search", json.dumps(asked))).get("runs", [])
        wrong = ["no page"] * ("<html" not in page) + ["no runs"] * (not runs)
        yield f"c MLflow's UI: its page and the first {len(runs)} runs in {time.monotonic() - began:.1f} s", wrong
    finally:
        server.kill()


def _get(uri: str, content: str | None = None) -> str:
    """What a browser gets, or is answered when it sends JSON."""
    request = urllib.request.Request(
        uri, None if content is None else content.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        text: str = answer.read().decode()
    return text
