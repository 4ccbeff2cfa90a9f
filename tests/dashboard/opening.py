"""Opening a page of the dashboard without a browser, and what stands on it."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.tracking.records import read_sweeps, read_trials

APP = Path(dashboard.__file__).with_name("app.py")


PAGES = ("sweeps", "leaderboard", "compare", "replay", "errors")


def opened(uri: str | None, page: str, monkeypatch: pytest.MonkeyPatch, **query: str | list[str]) -> AppTest:
    """A page as a link to it opens it."""
    monkeypatch.delenv("LIPKD_TRACKING_URI", raising=False)
    if uri is not None:
        monkeypatch.setenv("LIPKD_TRACKING_URI", uri)
    app = AppTest.from_file(str(APP), default_timeout=60)
    if page != "leaderboard":
        app.run().switch_page(f"views/{page}.py")
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    """All sentences of the page that report something."""
    return "\n".join(item.value for kind in (app.info, app.warning, app.error) for item in kind).replace("\\", "")


def chosen(app: AppTest, key: str) -> str:
    """What a menu is set to."""
    return str(app.selectbox(key=key).value)


def played(app: AppTest) -> dict[str, Any]:
    """What the player is told."""
    (component,) = app.get("bidi_component")
    told: dict[str, Any] = json.loads(component.proto.json)
    return told


def written(app: AppTest) -> str:
    """All HTML of the page."""
    return "\n".join(item.value for item in app.html)


def named(uri: str, start: str) -> str:
    """The full name of the only demo trial that begins so."""
    demo = next(sweep for sweep in read_sweeps(uri) if sweep.name == "demo")
    (name,) = (t.name for t in read_trials(uri, demo) if t.name.startswith(start))
    return name
