"""What a sweep says and does on a machine with a GPU, which is pretended: no CUDA is asked."""

from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from tests.chaos.trivial import train_trial
from tuning.gpu.memory_table import MemoryTable
from tuning.plan.estimate import Estimate
from tuning.sweep import SweepOptions, run_sweep
from tuning.sweep_folder import trial_folders

CARD = {"device": "Pretended 16G", "total_mb": 16_000.0}


@pytest.fixture
def file(tmp_path: Path, tiny_store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four trials of two kinds, on one GPU beside sixteen processors."""
    content = {
        "name": "packed",
        "trial": {
            "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
            "network": {"name": "lipnet-128"},
            "training": {"batch_size": 4},
        },
        "space": {"network.width": [0.1, 0.5]},
        "seeds": [0, 1],
    }
    path = tmp_path / "packed.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr("tuning.execution.ray_session.capacity", lambda address: (16.0, 1.0))
    monkeypatch.setattr("tuning.plan.estimate.estimate", lambda trials, count: Estimate(60.0, 1, 1, 1))
    return path


def plan(file: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    run_sweep(file, SweepOptions(file.parent / "mlruns", dry_run=True))
    return capsys.readouterr().out.splitlines()


def test_a_dry_run_prints_the_table_and_writes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """(1100 + 500) × 1.2 / 16000 = 0.12, an eighth, but there are only four trials to share the card; (4500 + 500) ×
    1.2 / 16000 = 0.375, a half."""

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        peaks = {name: 4500.0 if " w0.5 " in name else 1100.0 for name, _ in request["trials"]}
        return {**CARD, "context_mb": 500.0, "peaks": peaks}

    monkeypatch.setattr("tuning.gpu.probe.run_probe", ask)
    lines = plan(file, capsys)
    assert lines[1].endswith("scheduler none; at most 4 at a time, 4 CPU and 0.25 GPU or more each")
    assert lines[2] == "  on Pretended 16G: 16000 MiB, 500 of them for each trial's context"
    assert [line.split()[:3] for line in lines[4:6]] == [["4500", "0.5000", "2"], ["1100", "0.2500", "4"]]
    assert not (file.parent / "mlruns").exists()


def test_a_gpu_that_tells_nothing_is_not_shared(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(request: dict[str, Any]) -> dict[str, Any]:
        raise LipkdError("no kernel image")

    monkeypatch.setattr("tuning.gpu.probe.run_probe", ask)
    lines = plan(file, capsys)
    assert "is not known (no kernel image)" in lines[0]
    assert lines[2].endswith("; 1 at a time, 16 CPU and 1 GPU each")


@pytest.mark.storm
def test_ray_gives_trials_of_different_size_different_shares(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ray is told of a GPU that is not there, and trials train nothing. Those that need the whole GPU, (13,000 + 500) ×
    1.2 / 16,000 > 1, have it to themselves; the table is kept."""
    start = ray.init

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        peaks = {name: 13_000.0 if " w0.5 " in name else 1100.0 for name, _ in request["trials"]}
        return {**CARD, "context_mb": 500.0, "peaks": peaks}

    monkeypatch.setattr("tuning.gpu.probe.run_probe", ask)
    monkeypatch.setattr("tuning.execution.engine.train_trial", train_trial)
    monkeypatch.setattr(ray, "init", lambda **options: start(**{**options, "num_gpus": 1}))
    result = run_sweep(file, SweepOptions(file.parent / "mlruns"))
    assert result.exit_code == 0, capsys.readouterr().out
    times = {folder.name: [r.time for r in folder.reports()] for folder in trial_folders(result.folder)}
    assert [len(reports) for reports in times.values()] == [100] * 4
    for large in (name for name in times if "-w0.5-" in name):
        for other in times.keys() - {large}:
            assert times[other][-1] < times[large][0] or times[large][-1] < times[other][0]
    known = MemoryTable.load(result.folder.parent / "memory.json").cards["Pretended 16G"]
    assert {kind.widths: peak for kind, peak in known.peaks.items()} == {(0.5,): 13_000.0, (0.1,): 1100.0}


def test_shares_that_are_given_are_not_measured(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tuning.gpu.probe.run_probe", lambda request: pytest.fail("asked"))
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**content, "resources": {"gpus": 0.25}}), encoding="utf-8")
    assert plan(file, capsys)[1].endswith("; 4 at a time, 4 CPU and 0.25 GPU each")
