"""`lipkd ui`: the MLflow UI on the tracking store, for this machine only."""

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lipkd.errors import LipkdError
from lipkd.tracking_uri import experiment_page, public_uri
from tuning.tracking.client import choose_uri, connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOST = "127.0.0.1"


def open_ui(*, mlruns: Path, tracking_uri: str | None = None, port: int = 5000) -> int:
    """Become the UI's server, until interrupted.

    A tracking server has its own UI: then its address is printed and 0 returned. Raises LipkdError when the
    port is taken or the store cannot be opened.
    """
    uri = choose_uri(mlruns, tracking_uri)
    client = connect(uri)
    if uri.startswith("http"):
        print(f"{public_uri(uri)} is an MLflow server; open it in a browser")
        print("\n".join(pages(client, public_uri(uri).rstrip("/"))))
        return 0
    refuse_taken_port(port)
    print(f"MLflow UI on http://{HOST}:{port} (Ctrl-C ends it)")
    print("\n".join(pages(client, f"http://{HOST}:{port}")), flush=True)
    artifacts = (mlruns.absolute() / "artifacts").as_uri()
    command = [sys.executable, "-m", "mlflow", "server", "--default-artifact-root", artifacts]
    command += ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level=warning"]
    # Not an argument: a database's URI may hold a password, and everybody can read a process's arguments.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "PYTHONWARNINGS": "ignore"}
    # Its queue for evaluating language models takes seven processes more, and nothing here asks for them.
    environment.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    # In place of this process, so that whoever ends it ends the server.
    os.execve(sys.executable, command, environment)


def pages(client: "MlflowClient", address: str) -> list[str]:
    """A line per experiment that has runs: where its trials are listed, lowest WER first."""
    found = [
        experiment
        for experiment in client.search_experiments()
        if client.search_runs([experiment.experiment_id], max_results=1)
    ]
    return [f"  {e.name}: {experiment_page(address, e.experiment_id)}" for e in found]


def refuse_taken_port(port: int) -> None:
    """Raises LipkdError when something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LipkdError(
                f"port {port} on {HOST} cannot be used ({error.strerror}); choose another with --port"
            ) from error
