"""The models of a folder: the best first, and what they were trained on."""

import json
from pathlib import Path

from dashboard.upload.deployed_models import deployed_models
from tests.dashboard.deployed import deploy


def test_the_best_model_comes_first_and_what_is_no_model_not_at_all(tmp_path: Path) -> None:
    """By name it would be the last."""
    for name, wer in (("a", 0.5), ("b", 0.4), ("z", 0.1)):
        deploy(tmp_path / name, wer=wer)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{}")
    assert [(name, model.wer) for name, model in deployed_models(tmp_path).items()] == [
        ("z", 0.1),
        ("b", 0.4),
        ("a", 0.5),
    ]
    assert deployed_models(tmp_path / "nowhere") == {}


def test_a_model_says_what_it_was_trained_on(tmp_path: Path) -> None:
    path = deploy(tmp_path / "one") / "model.json"
    card = json.loads(path.read_text())
    assert "trained on clips of one clip store only" in deployed_models(tmp_path)["one"].facts
    card["origin"] |= {"sweep": "drawn", "store_digest": "0123456789abcdef"}
    path.write_text(json.dumps(card))
    facts = deployed_models(tmp_path)["one"].facts
    assert "trained in the sweep drawn on clips of the clip store 0123456789ab only" in facts
    assert "its confidence says nothing then" in facts
