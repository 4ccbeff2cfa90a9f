"""A trial whose alphabet is not a–z: the pages count its errors in its own letters, as its metrics do."""

import dataclasses
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dashboard.tracking.records import read_sweeps, read_trials
from lipkd.data.store import ClipStore
from lipkd.text import LETTERS
from tests.dashboard.opening import opened, written
from tests.dashboard.tracked import Planned, track_sweep

pytestmark = pytest.mark.usefixtures("fresh_caches")
ITALIAN = f"{LETTERS}è"
TEXTS = (("È no", "e no"), ("E no", "e no"))  # references and hypotheses; è and e are two letters here
PLAN = Planned((0.9, 0.25), (0.5, 0.125), alphabet=ITALIAN)


@pytest.fixture
def italian(mlruns: Path, tiny_store: ClipStore) -> str:
    """A trial with è in its alphabet: one of four words is wrong, one of eight characters."""
    clips = [dataclasses.replace(clip, text=text) for clip, (text, _) in zip(tiny_store.clips, TEXTS, strict=False)]
    uri = track_sweep(mlruns, "italian", tiny_store, clips, [PLAN])
    (trial,) = read_trials(uri, read_sweeps(uri)[0])
    pairs = zip(clips, TEXTS, strict=True)
    rows = [{"id": clip.id, "reference": text, "hypotheses": [said], "ensemble": said} for clip, (text, said) in pairs]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    MlflowClient(uri).log_text(trial.run_id, text, "predictions/best.jsonl")
    return uri


def test_the_rates_of_the_pages_are_those_of_the_metrics(italian: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(italian, "errors", monkeypatch, part="letters")
    assert "WER 25.0 %, CER 12.5 %; 1 of 2 clips have an error" in written(app)
    assert list(app.dataframe[0].value["Reference"]) == ["è"]
    assert list(app.dataframe[0].value["Hypothesis"]) == ["e"]


def test_sentences_and_hard_clips_are_those_of_the_alphabet(italian: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = opened(italian, "errors", monkeypatch, part="sentences").dataframe[0].value
    assert list(sentences["sentence"]) == ["è no", "e no"]
    hardest = opened(italian, "errors", monkeypatch, part="hardest clips").dataframe[0].value
    assert list(hardest["wrong"]) == [1, 0] and hardest["missed"][0] == "è (1)"


def test_replay_searches_and_lists_in_the_alphabet(italian: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(italian, "replay", monkeypatch, find="è>e")
    assert not app.error
    assert list(app.dataframe[0].value["wer_a"]) == [50.0]
