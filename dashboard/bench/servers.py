"""Servers that are measured: started as a user starts them, ended with the block, their memory."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipkd.errors import LipkdError

PATIENCE_S = 120.0
HEALTH = {"dashboard": "/_stcore/health", "ui": "/health"}


@dataclass(frozen=True)
class Served:
    """A server that answers: where, its process, and the seconds that it took to get there."""

    address: str
    pid: int
    ready_s: float

    def megabytes(self) -> int | None:
        """Resident memory of the server and all processes below it; None where there is no /proc."""
        if not Path("/proc/self/statm").is_file():
            return None
        pages = sum(_resident(pid) for pid in [self.pid, *_below(self.pid)])
        return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


@contextlib.contextmanager
def serving(command: str, mlruns: Path) -> Iterator[Served]:
    """`lipkd dashboard` or `lipkd ui` on a tracking folder, on a free port; raises LipkdError when it ends by itself.

    What the dashboard encodes goes to a folder beside the runs: nothing is there from an earlier use."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    called = [sys.executable, "-m", "lipkd", command, "--mlruns", str(mlruns), "--port", str(port)]
    root = str(Path(__file__).parent.parent.parent)
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    environment["XDG_CACHE_HOME"] = str(mlruns / "cache")
    log = mlruns / f"{command}.log"
    began = time.perf_counter()
    with open(log, "wb") as output:
        process = subprocess.Popen(called, stdout=output, stderr=output, env=environment)
    try:
        wait_for(address + HEALTH[command], process, log)
        yield Served(address, process.pid, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the address answers; raises LipkdError with the log's last line when its process ends by itself."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            output = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LipkdError(f"the server ended by itself: {output[-1] if output else 'without output'}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise LipkdError(f"{address} did not answer within {PATIENCE_S:.0f} s")


def _below(pid: int) -> Sequence[int]:
    """All descendants of a process."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                child = int(path.parent.name)
                found += [child, *_below(child)]
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
