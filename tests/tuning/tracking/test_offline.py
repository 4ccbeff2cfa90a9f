"""A sweep whose MLflow server is away: a new one is refused unless --offline is given, an old one goes on."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from tests.tuning.trials import write_trial
from tuning.plan.planner import Planner
from tuning.plan.sweep_config import load_sweep
from tuning.sweep import SweepOptions, run_sweep
from tuning.sweep_folder import load


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a server that is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def file(tmp_path: Path, tiny_store: ClipStore) -> Path:
    data = {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "trial": {"data": data, "training": {"epochs": 1}}}), encoding="utf-8")
    return path


class SyncerOfNothing:
    """In place of the process beside: it would wait half a minute for the server."""

    def __init__(self, *_: Any) -> None:
        self.ensure_running = lambda: None

    def finish(self) -> bool:
        return False


@pytest.mark.timeout(120)
def test_the_server_is_asked_for_only_by_a_new_sweep(
    file: Path, nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mlruns = tmp_path / "mlruns"
    with pytest.raises(LipkdError, match=r"does not answer .*; --offline starts without it, and `lipkd sync` sends"):
        run_sweep(file, SweepOptions(mlruns, tracking_uri=nobody))
    assert not mlruns.exists()

    [planned] = Planner(load_sweep(file), Path.cwd()).trials()

    def train(engine: Any, waiting: Any, *, more: bool) -> None:
        assert [t.name for t in waiting] == [planned.name] and not more
        write_trial(engine.record.folder, [0.5], config=planned.config, state="finished")

    monkeypatch.setattr("tuning.execution.engine.Engine.run", train)
    monkeypatch.setattr("tuning.execution.ray_session._ray", lambda **_: contextlib.nullcontext())
    monkeypatch.setattr("tuning.sweep.SyncProcess", SyncerOfNothing)
    result = run_sweep(file, SweepOptions(mlruns, tracking_uri=nobody, offline=True))
    assert (result.exit_code, [row.state for row in result.rows]) == (0, ["finished"])
    assert load(result.folder).tracking_uri == nobody
    assert f"not everything has reached {nobody}" in capsys.readouterr().out

    assert run_sweep(file, SweepOptions(mlruns, tracking_uri=nobody, resume=True)).exit_code == 0
    assert "does not answer" in capsys.readouterr().out
