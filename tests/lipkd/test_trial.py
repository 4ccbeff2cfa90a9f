from pathlib import Path

import pytest

from lipkd.trial import Cause, Journal, TrialFolder


def test_every_step_once_and_the_first_line_counts(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    journal = Journal(folder.journal)
    journal.append(1, {"val/wer": 1.0})
    journal.append(1, {"val/wer": 0.5})
    Journal(folder.journal).append(1, {"val/wer": 0.4})
    Journal(folder.journal).append(2, {"val/wer": 0.3})
    assert [(r.step, r.metrics["val/wer"]) for r in folder.reports()] == [(1, 1.0), (2, 0.3)]


def test_a_torn_line_is_ignored_and_then_cut_off(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    Journal(folder.journal).append(1, {"val/wer": 1.0})
    with open(folder.journal, "a") as file:
        file.write('{"step": 2, "time": 1.0, "met')
    assert [r.step for r in folder.reports()] == [1]
    Journal(folder.journal).append(2, {"val/wer": 0.5})
    assert [(r.step, r.metrics) for r in folder.reports()] == [(1, {"val/wer": 1.0}), (2, {"val/wer": 0.5})]


def test_a_journal_of_nothing_but_a_torn_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"st')
    Journal(tmp_path / "journal.jsonl").append(1, {"a": 1.0})
    assert [r.step for r in TrialFolder(tmp_path).reports()] == [1]


def test_metrics_must_be_finite(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Journal(tmp_path / "journal.jsonl").append(1, {"a": float("nan")})
    assert TrialFolder(tmp_path).reports() == []


def test_state(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    assert folder.state()["state"] == "running"
    folder.set_state("failed", "no luck")
    assert (folder.state()["state"], folder.state()["reason"]) == ("failed", "no luck")


def test_a_trial_that_is_not_comparable_stays_so(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    assert folder.incomparable_reason() == ""
    folder.set_state("running")
    folder.set_incomparable("it went on from the weights of another")
    folder.set_state("failed", "CUDA out of memory", Cause.OUT_OF_MEMORY)
    state = folder.state()
    assert {key: state[key] for key in state if key != "time"} == {
        "state": "failed",
        "reason": "CUDA out of memory",
        "cause": "out_of_memory",
        "comparable": False,
        "incomparable_reason": "it went on from the weights of another",
    }
    assert folder.incomparable_reason() == "it went on from the weights of another"
    folder.set_state("finished")
    assert "cause" not in folder.state() and folder.incomparable_reason()
