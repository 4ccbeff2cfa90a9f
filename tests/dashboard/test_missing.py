"""What the pages say when something is missing, dead, odd or hostile: a sentence, never a stack trace."""

import re
import shutil
from pathlib import Path

import pytest

from lipkd.data.store import ClipStore
from tests.dashboard.conftest import PLAN
from tests.dashboard.opening import PAGES, chosen, opened, played, said, written
from tests.dashboard.tracked import HOSTILE, track_hostile, track_sweep

ERRORS = ("letters", "words", "speakers", "sentences", "A against B")
pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_says_what_to_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(f"sqlite:///{tmp_path / 'mlflow.db'}", page, monkeypatch)
    assert "There is no sweep yet" in said(app)
    assert app.code[0].value == "lipkd sweep tuning/sweeps/demo.yaml"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("page", PAGES)
def test_a_dead_server_is_one_sentence(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    app = opened("http://127.0.0.1:1", page, monkeypatch)
    assert said(app).startswith("MLflow at http://127.0.0.1:1 cannot be read")


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_what_is_not_there_says_so(page: str, tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, page, monkeypatch, sweep="nope")
    assert "The address asks for sweep=nope, which does not exist: this page shows the default instead." in said(app)
    assert chosen(app, "sweep") == "later"
    other = opened(tracking, page, monkeypatch, sweep="demo")
    assert "The address asks for" not in said(other)


def test_a_link_to_trials_of_another_sweep_says_so(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tracking, "compare", monkeypatch, sweep="later", trials=["attention-p2-w1"])
    assert "trials=attention-p2-w1, which does not exist" in said(app)


def test_started_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "start the dashboard with `lipkd dashboard`" in said(opened(None, "leaderboard", monkeypatch))


@pytest.mark.parametrize("page", PAGES)
def test_a_sweep_whose_trials_have_not_reported(
    page: str, mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = track_sweep(mlruns, "new", tiny_store, [], PLAN[-1:])
    app = opened(uri, page, monkeypatch)
    assert not app.error
    assert said(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_sweep_without_trials(
    page: str, mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(track_sweep(mlruns, "bare", tiny_store, [], []), page, monkeypatch)
    assert "The sweep bare has no trial yet" in said(app)
    assert app.code[0].value == "lipkd sync"


def test_a_store_that_moved_is_asked_for(
    tmp_path: Path, mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts and posteriors stay; the video comes back when the reader says where the store is now."""
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(tiny_store.path, old)
    store = ClipStore.open(old)
    uri = track_sweep(mlruns, "moved", store, store.clips[:3], PLAN[:1])
    old.rename(new)
    app = opened(uri, "replay", monkeypatch)
    assert f"The clip store {old} is not there" in said(app)
    assert "ada/0" in chosen(app, "clip") and 'data-testid="reference"' in written(app)
    assert played(app)["video"] is None and played(app)["trials"][0]["map"]
    app.text_input(key="store path").set_value(str(tmp_path / "nowhere")).run()
    assert f"The clip store {tmp_path / 'nowhere'} is not there" in said(app)
    app.text_input(key="store path").set_value(str(new)).run()
    assert not app.exception and not said(app)
    assert played(app)["video"]


def test_a_store_that_changed_is_told(mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ClipStore(tiny_store.path, tiny_store.meta | {"digest": "0" * 64}, tiny_store.clips, tiny_store.frames)
    uri = track_sweep(mlruns, "changed", other, tiny_store.clips[:2], PLAN[:1])
    assert "has changed since this trial was trained" in said(opened(uri, "replay", monkeypatch))


def test_a_fault_of_ours_is_no_stack_trace(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("inner detail")

    monkeypatch.setattr("dashboard.cache.trials", fail)
    text = said(opened(tracking, "compare", monkeypatch, sweep="demo"))
    assert text == "This page failed because of a fault in lipkd; the dashboard's terminal has the traceback."


def test_names_with_markup_are_shown_as_they_are(
    mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "![x](http://stranger/x.png) <img src=x onerror=alert(1)> ' \" ../.."
    uri = track_sweep(mlruns, name, tiny_store, tiny_store.clips[:2], PLAN[:1])
    for page in PAGES:
        app = opened(uri, page, monkeypatch)
        assert not app.error
        assert app.selectbox(key="sweep").value == name
        shown = [item.value for kind in (app.caption, app.markdown, app.info) for item in kind]
        assert not [text for text in shown if "![" in text or "<img" in text]


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("sweeps", {}),
        ("leaderboard", {"details": "importance of parameters"}),
        ("leaderboard", {"details": "parallel coordinates", "parameter": "x.note"}),
        ("compare", {"of": "settings"}),
        ("compare", {}),
        ("replay", {"find": HOSTILE}),
        ("replay", {}),
        *(("errors", {"part": part}) for part in (*ERRORS, "hardest clips")),
    ],
)
def test_hostile_names_and_texts_stay_text(
    page: str, query: dict[str, str], mlruns: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sweep, trials, clips, transcripts, hypotheses, a parameter and a reason with markup, scripts and `../`."""
    app = opened(track_hostile(mlruns, tiny_store), page, monkeypatch, **query)
    assert app.selectbox(key="sweep").value == HOSTILE
    shown = [item.value for kind in (app.caption, app.markdown, app.info, app.warning, app.error) for item in kind]
    assert not [text for text in shown if re.search(r"(?<!\\)(<img|!\[|\]\()", text)]  # marks that are not escaped
    assert "<img" not in written(app) and "</script" not in written(app)
    assert "fault in lipkd" not in said(app)
