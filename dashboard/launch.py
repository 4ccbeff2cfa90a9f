"""Start the dashboard: Streamlit as a process of its own, on the loopback address unless --host says otherwise."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path
from types import FrameType

from dashboard.server_settings import MLRUNS_VARIABLE, MOST_MB, TRACKING_VARIABLE, UI_VARIABLE
from lipkd.errors import LipkdError

APP = Path(__file__).with_name("app.py")
NEEDED = ("streamlit", "mlflow", "cv2")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def run_dashboard(
    tracking_uri: str,
    *,
    port: int,
    host: str = "127.0.0.1",
    mlruns: Path | None = None,
    ui: str = "",
    browser: bool = False,
) -> int:
    """Serve the dashboard until it is interrupted; returns the exit code.

    `mlruns` is the folder whose deployed models can be tried (default: what LIPKD_MLRUNS names, else `mlruns`), `ui`
    the address of MLflow's own UI (default: what LIPKD_UI names, else that of `lipkd ui`). With `browser` a browser
    opens on the pages as soon as they are served.

    Raises LipkdError when a package of the extra is missing or the port is taken.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise LipkdError(f"the dashboard needs {', '.join(missing)}: install it with `pip install 'lipkd[dashboard]'`")
    _check_port(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"dashboard: {address}  (Ctrl+C ends it)", flush=True)
    process = subprocess.Popen(command(port, host), env=environment(tracking_uri, mlruns, ui))
    if browser:
        threading.Thread(target=open_browser, args=(address, host, port), daemon=True, name="browser").start()
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
        process.terminate()
        process.wait()


def command(port: int, host: str) -> list[str]:
    """How Streamlit is called; what it looks like is in `.streamlit/config.toml` beside the app."""
    options = {
        "server.port": str(port),
        "server.address": host,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": str(MOST_MB),
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "viewer",
        "logger.hideWelcomeMessage": "true",
    }
    # -P: a file in the working folder that is called like a module of Python's is not taken for it.
    called = [sys.executable, "-P", "-m", "dashboard.serve", "run", str(APP)]
    for name, value in options.items():
        called += [f"--{name}", value]
    if host in LOOPBACK:  # a page of a stranger that calls itself by our address is not answered (DNS rebinding)
        for name in LOOPBACK:
            called += ["--server.allowedHosts", name]
    return called


def open_browser(address: str, host: str, port: int, patience: float = 60.0) -> None:
    """Open the reader's browser when somebody listens; nothing where no window can be opened, as over SSH."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            webbrowser.open(address)
            return


def environment(tracking_uri: str, mlruns: Path | None = None, ui: str = "") -> dict[str, str]:
    """The server's environment: where MLflow, the models and this package are, little patience with a dead server."""
    path = os.pathsep.join(filter(None, [str(APP.parent.parent), os.environ.get("PYTHONPATH")]))
    quiet = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    where = {TRACKING_VARIABLE: tracking_uri, "PYTHONPATH": path}
    models = {MLRUNS_VARIABLE: str(mlruns.absolute())} if mlruns else {}
    return quiet | patience | dict(os.environ) | where | models | ({UI_VARIABLE: ui.rstrip("/")} if ui else {})


def _check_port(host: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise LipkdError(f"port {port} on {host} cannot be used: choose one from 1 to 65535 with --port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LipkdError(f"port {port} on {host} cannot be used ({reason}): choose another with --port") from error


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
