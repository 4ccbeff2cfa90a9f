"""What the player is told: plain data, ready for JSON."""

import base64
import json

import numpy as np
import pytest

from dashboard.components.player import Line, Media, player_data, trial_data
from dashboard.errors.word_times import TimedWord, ensemble_of, spikes
from tests.dashboard.errors.test_word_times import SYMBOLS, path


def test_spikes_stand_where_a_run_is_likeliest() -> None:
    """`-aab-␣`: a in frames 1–2 (likelier in 2), b in 3, a space in 5; a tenth of a second each."""
    values = path("-aab- ")
    values[2, 2] = 0.9
    found = spikes(values, SYMBOLS, 0.6)
    assert [(round(spike.middle, 2), spike.symbol) for spike in found] == [(0.25, "a"), (0.35, "b"), (0.55, "␣")]
    assert [spike.posterior for spike in found] == pytest.approx([0.9, 0.7, 0.7], abs=1e-3)


def test_the_ensemble_is_the_softmax_of_the_mean_of_the_logits() -> None:
    logits = np.array([[[2.0, 0.0, -1.0]], [[0.0, 1.0, 3.0]]])
    peers = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    mean = np.exp(logits.mean(0))
    assert ensemble_of(peers.astype(np.float16))[0] == pytest.approx((mean / mean.sum())[0], abs=2e-3)


def test_a_trial_in_the_player() -> None:
    """Peer 1 says `ba`; symbols that it never sees have no row, but the blank always has."""
    kept = np.stack([path("-a-"), path("b-a")])
    kept[kept < 0.5] = 0.01
    told = trial_data("A · name", "peer 1", kept, SYMBOLS, 0.3)
    assert told["title"] == "A · name: peer 1"
    assert [peer["name"] for peer in told["spikes"]] == ["peer 0", "peer 1"]
    assert [symbol for _, symbol, _ in told["spikes"][1]["spikes"]] == ["b", "a"]
    assert told["words"] == [{"text": "ba", "start": 0.0, "end": pytest.approx(0.3)}]
    assert (told["map"]["symbols"], told["map"]["frames"]) == (["blank", "a", "b"], 3)
    values = np.frombuffer(base64.b64decode(told["map"]["values"]), np.uint8).reshape(3, 3)
    assert values.tolist() == [[3, 179, 3], [3, 3, 179], [179, 3, 3]]  # of 255


def test_a_trial_without_posteriors_says_so() -> None:
    told = trial_data("A", "peer 0", None, (), 1.0)
    assert told["title"] == "A: no posteriors were kept" and told["map"] is None


def test_the_data_are_json_and_carry_texts_as_they_are() -> None:
    media = Media("k", b"\x00video", "video/mp4", True, "<img src=x>", b"jpeg", (24, 48), "note")
    lines = [Line("reference", "</script><b>", (TimedWord("</script>", 0.0, 0.5),))]
    told = json.loads(json.dumps(player_data("s/'\"<x>", 25, 25.0, media, lines, [])))
    assert (told["clip"], told["seconds"], told["note"]) == ("s/'\"<x>", 1.0, "note")
    assert base64.b64decode(told["video"]["content"]) == b"\x00video" and told["video"]["sound"]
    assert (told["mouth"]["height"], told["mouth"]["width"], told["mouth"]["columns"]) == (24, 48, 10)
    assert told["lines"][0]["words"] == [{"text": "</script>", "start": 0.0, "end": 0.5}]


def test_without_a_store_there_is_nothing_to_play() -> None:
    told = player_data("s/1", 25, 25.0, None, [], [])
    assert told["video"] is None and told["mouth"] is None
