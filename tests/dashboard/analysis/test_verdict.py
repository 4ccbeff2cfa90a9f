"""The verdict from MLflow is that of `lipkd compare` on the folders."""

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dashboard.analysis.verdict import read_tracked, verdict
from dashboard.tracking.records import Trial, read_sweeps, read_trials
from lipkd.errors import LipkdError
from lipkd.evaluation.compare import compare
from lipkd.files import write_json, write_jsonl
from lipkd.trial import TrialFolder


@pytest.fixture(scope="module")
def trials(tracking: str) -> list[Trial]:
    return read_trials(tracking, next(sweep for sweep in read_sweeps(tracking) if sweep.name == "demo"))


def at(trials: list[Trial], method: str, width: str) -> Trial:
    return next(t for t in trials if (t.method, t.width) == (method, width) and t.epochs)


def test_the_same_words_as_from_folders(tracking: str, trials: list[Trial], tmp_path: Path) -> None:
    sides = at(trials, "attention", "1"), at(trials, "vanilla", "1")
    folders = []
    for trial in sides:
        tracked = read_tracked(tracking, trial)
        folder = TrialFolder(tmp_path / trial.name)
        write_json(folder.path / "config.json", tracked.config().to_json())
        write_json(folder.path / "split.json", tracked.split())
        write_json(folder.path / "state.json", {"state": "finished", "reason": "", "time": 0.0})
        write_jsonl(folder.predictions("best"), tracked.read_predictions())
        folders.append(folder)
    found = verdict(tracking, [sides[0]], [sides[1]])
    assert found.to_json() == compare([folders[0]], [folders[1]]).to_json()
    lines = found.verdict().splitlines()
    assert len(lines) == 3 and "not shown that attention" in lines[0] and "with one seed" in lines[0]


def test_refusals_are_sentences(tracking: str, trials: list[Trial]) -> None:
    wide = at(trials, "vanilla", "1")
    cases = [
        (at(trials, "attention", "0.5"), r"no peers of the same width on both sides \(1 and 0\.5\)"),
        (at(trials, "attention", "0.25"), "differ in"),
        (next(t for t in trials if t.state == "failed"), "its run has no config.json"),
    ]
    for other, sentence in cases:
        with pytest.raises(LipkdError, match=sentence):
            verdict(tracking, [wide], [other])


def test_a_torn_artifact_is_one_sentence(tracking: str, trials: list[Trial]) -> None:
    failed = next(t for t in trials if t.state == "failed")
    client = MlflowClient(tracking)
    run = client.create_run(failed.experiment_id).info.run_id
    client.log_text(run, '{"data": ', "config.json")
    with pytest.raises(LipkdError, match=r"config\.json of its run is not valid JSON"):
        verdict(tracking, [Trial(**{**vars(failed), "run_id": run})], [failed])
    client.delete_run(run)


def test_comparing_needs_no_torch() -> None:
    """A dashboard that is left open should not hold a learning library in memory."""
    script = "import sys, dashboard.analysis.verdict; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
