"""How Streamlit is called, and what stops it before it starts."""

import importlib.util
import socket
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from dashboard import launch
from lipkd.errors import LipkdError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_one_sentence(taken: int) -> None:
    with pytest.raises(LipkdError, match=rf"port {taken} on 127\.0\.0\.1 cannot be used .*--port"):
        launch.run_dashboard("sqlite:////nowhere/mlflow.db", port=taken)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_an_impossible_port_is_one_sentence(port: int) -> None:
    with pytest.raises(LipkdError, match=f"port {port} on 127"):
        launch.run_dashboard("sqlite:////nowhere/mlflow.db", port=port)


def test_an_unknown_host_is_one_sentence() -> None:
    with pytest.raises(LipkdError, match=r"on no\.such\.host\.invalid cannot be used"):
        launch.run_dashboard("sqlite:////nowhere/mlflow.db", port=8501, host="no.such.host.invalid")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "streamlit" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(LipkdError, match=r"needs streamlit: install it with `pip install 'lipkd\[dashboard\]'`"):
        launch.run_dashboard("sqlite:////nowhere/mlflow.db", port=8501)


def test_the_command_is_quiet_and_bound_to_its_host() -> None:
    called = launch.command(8600, "127.0.0.1")
    assert called[:5] == [sys.executable, "-P", "-m", "dashboard.serve", "run"]
    assert called[5] == str(launch.APP) and launch.APP.is_file()
    options = dict(zip(called[6::2], called[7::2], strict=True))
    assert options["--server.address"] == "127.0.0.1"
    assert options["--server.port"] == "8600"
    assert options["--browser.gatherUsageStats"] == "false"
    assert options["--client.showErrorDetails"] == "none"
    assert options["--server.headless"] == "true"
    assert options["--server.maxUploadSize"] == "200"


def test_only_the_loopback_address_refuses_other_names() -> None:
    assert "--server.allowedHosts" in launch.command(8600, "127.0.0.1")
    assert "--server.allowedHosts" not in launch.command(8600, "0.0.0.0")


def test_the_address_of_mlflow_goes_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not through the command line, which every user of the machine can read: it may hold a password."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    found = launch.environment("http://u:p@host")
    assert found["LIPKD_TRACKING_URI"] == "http://u:p@host"
    assert found["PYTHONPATH"].endswith(":/somewhere")
    assert not [word for word in launch.command(1, "127.0.0.1") if "u:p" in word]


def test_the_models_are_those_of_the_tracking_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPKD_MLRUNS", "/somewhere")
    assert launch.environment("sqlite:///x", tmp_path)["LIPKD_MLRUNS"] == str(tmp_path)
    assert launch.environment("sqlite:///x")["LIPKD_MLRUNS"] == "/somewhere"


def test_the_address_of_mlflows_own_pages_can_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIPKD_UI", raising=False)
    assert launch.environment("sqlite:///x", ui="http://127.0.0.1:5051/")["LIPKD_UI"] == "http://127.0.0.1:5051"
    assert "LIPKD_UI" not in launch.environment("sqlite:///x")


def test_a_browser_opens_when_somebody_listens(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    launch.open_browser(f"http://127.0.0.1:{taken}", "127.0.0.1", taken)
    assert opened == [f"http://127.0.0.1:{taken}"]
    launch.open_browser("http://127.0.0.1:1", "127.0.0.1", 1, patience=0.0)  # nobody came
    assert len(opened) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a window")
def test_no_browser_opens_where_there_is_no_window(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("webbrowser.open", None)
    launch.open_browser(f"http://127.0.0.1:{taken}", "127.0.0.1", taken)


def test_the_looks_lie_beside_the_app() -> None:
    """Streamlit finds them there whatever the working folder is."""
    assert "[theme.dark]" in (launch.APP.parent / ".streamlit" / "config.toml").read_text()
