"""The syncer as a process beside the driver, so that a slow tracking server never holds a trial up.

    MLFLOW_TRACKING_URI=URI python -m tuning.tracking.sync_process SWEEP MLRUNS

syncs a sweep every few seconds until its standard input is closed, which the kernel does too when the
driver that holds the other end is killed; then it syncs a last time.
"""

import argparse
import os
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from lipkd.lock import is_held
from tuning.sweep_folder import trial_folders
from tuning.tracking.client import connect
from tuning.tracking.failures import sentence, sync_errors
from tuning.tracking.sync import Sent, Syncer

POLL_S, LONGEST_POLL_S = 2.0, 60.0
LAST_TRIES_S = 30.0  # after the sweep, for a tracking server that is away for a moment
LAST_SYNC_S = 600.0
ORPHANS_S = 20.0  # workers of a killed driver live on for a moment
LOG = "sync.log"


class SyncProcess:
    """The driver's end: starts the process, starts it again when it dies, waits for the last sync."""

    def __init__(self, folder: Path, uri: str, mlruns: Path) -> None:
        self.folder = folder
        self.uri = uri
        self.mlruns = mlruns
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tuning.tracking.sync_process", str(self.folder), str(self.mlruns)]
        # Not an argument: a URI may hold a password, and everybody can read a process's arguments.
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self.uri, "PYTHONIOENCODING": "utf-8:replace"}
        with open(self.folder / LOG, "ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is the driver's; the syncer then has its last sync to do
            )

    def ensure_running(self) -> None:
        """Start the process again if it has died; returns at once."""
        if self.process.poll() is not None:
            self.process = self._start()

    def finish(self) -> bool:
        """Let it sync a last time and end; whether everything has arrived."""
        self.ensure_running()
        try:
            self.process.communicate(timeout=LAST_SYNC_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode == 0


class Watcher:
    """Syncs one sweep again and again; writes what is wrong into the log, each line once."""

    def __init__(self, folder: Path, uri: str, mlruns: Path) -> None:
        self.folder = folder
        self.uri = uri
        self.mlruns = mlruns
        self.syncer: Syncer | None = None
        self.logged: set[str] = set()

    def run(self) -> int:
        """Sync until standard input ends, then a last time; 1 when something could not be sent."""
        pause = POLL_S
        while not _input_ended(pause):
            sent = self.sync()
            pause = min(pause * 2, LONGEST_POLL_S) if sent is None else POLL_S
        _await_orphans(self.folder)
        deadline = time.monotonic() + LAST_TRIES_S
        while (sent := self.sync()) is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return 1 if sent is None or sent.problems else 0

    def sync(self) -> Sent | None:
        """One sync; None when the tracking store failed. The next attempt then begins with a new connection."""
        lines: list[str] = []
        sent: Sent | None = None
        try:
            self.syncer = self.syncer or Syncer(self.folder, connect(self.uri), self.uri, self.mlruns)
            sent = self.syncer.sync()
            lines = [*sent.notes, *sent.problems]
        except sync_errors() as error:
            lines = [sentence(error)]
        except Exception:
            lines = [traceback.format_exc().rstrip()]
        for line in lines:
            if line not in self.logged:
                print(line, file=sys.stderr, flush=True)
        self.logged = set(lines)
        if sent is None or sent.server_failed:
            self.syncer = None
            return None
        return sent


def _input_ended(timeout: float) -> bool:
    """Wait; True as soon as the driver has closed its end. It never writes, so readable means ended."""
    ready, _, _ = select.select([sys.stdin], [], [], timeout)
    return bool(ready)


def _await_orphans(folder: Path) -> None:
    deadline = time.monotonic() + ORPHANS_S
    while any(is_held(trial.lock) for trial in trial_folders(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.tracking.sync_process", description="Watch one sweep and sync it."
    )
    parser.add_argument("sweep", type=Path, metavar="SWEEP")
    parser.add_argument("mlruns", type=Path, metavar="MLRUNS")
    arguments = parser.parse_args(argv)
    return Watcher(arguments.sweep, os.environ["MLFLOW_TRACKING_URI"], arguments.mlruns).run()


if __name__ == "__main__":
    sys.exit(main())
