"""How Ray is started where it usually breaks: long folders, no home, a busy machine."""

import os
from pathlib import Path
from typing import Any

import pytest

from lipkd.errors import LipkdError
from tuning.execution import ray_session
from tuning.execution.ray_session import LONGEST_SCRATCH, carry_token, scratch_folder, this_machine
from tuning.gpu.shares import Shares

ALONE = Shares(1, 0.0, 1)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each start of Ray; none is really started."""
    started: list[dict[str, Any]] = []
    monkeypatch.setattr("tuning.execution.ray_session.ray.init", lambda **options: started.append(options))
    monkeypatch.setattr("tuning.execution.ray_session.ray.shutdown", lambda: None)
    monkeypatch.setattr("tuning.execution.ray_session.time.sleep", lambda seconds: None)
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", ray_session.NICENESS):
        monkeypatch.setenv(name, "")
    return started


def test_the_usual_folder_is_taken_where_sockets_fit(starts: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path has at most 107 bytes, of which Ray's session takes 69 at most."""
    assert scratch_folder() == Path("/tmp/ray")
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert scratch_folder() == Path("/var/tmp/ray")
    socket = "/ray/session_2026-11-25_06-19-22_910372_4194304/sockets/plasma_store"
    assert LONGEST_SCRATCH + len(socket) <= 107


@pytest.mark.parametrize("bad", ["long", "missing"])
def test_another_folder_is_taken_where_sockets_do_not_fit(
    starts: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bad: str
) -> None:
    folder = tmp_path / ("scratch_of_a_user_in_a_project" * 3)
    if bad == "long":
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder) if bad == "long" else "/not/there")
    with this_machine(ALONE):
        assert starts[0]["_temp_dir"] == "/tmp/ray"


def test_no_folder_at_all_is_said_with_the_remedy(starts: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LipkdError, match="set RAY_TMPDIR to one that can be written"), this_machine(ALONE):
        pytest.fail("started")


def test_a_home_that_cannot_be_written_needs_no_token_file(
    starts: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    with this_machine(ALONE):
        token = os.environ["RAY_AUTH_TOKEN"]
    assert len(token) == 64
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    carry_token()
    assert not os.environ["RAY_AUTH_TOKEN"]


def test_a_start_is_tried_again_with_patience(
    starts: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[int] = []

    def busy(**_: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("The node took more\nthan 30 seconds")

    monkeypatch.setattr("tuning.execution.ray_session.ray.init", busy)
    with this_machine(ALONE):
        assert len(tries) == 3
    assert capsys.readouterr().out.count("Ray did not start (The node took more than 30 seconds): another try in") == 2

    tries[:] = []
    monkeypatch.setattr("tuning.execution.ray_session.PAUSES_S", (5.0,))
    message = r"^Ray did not start on this machine in 2 tries \(The node took more than 30 seconds\): start.*$"
    with pytest.raises(LipkdError, match=message), this_machine(ALONE):
        pytest.fail("started")


def test_workers_run_at_the_niceness_of_the_file(starts: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with this_machine(ALONE):
        assert not os.environ[ray_session.NICENESS]  # Ray's own
    with this_machine(ALONE, 3):
        assert os.environ[ray_session.NICENESS] == "3"
