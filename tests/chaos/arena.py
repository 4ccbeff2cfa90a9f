"""A miniature sweep of real training, the processes around it, and what a tracking store must hold in the end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dashboard.bench.servers import free_port
from lipkd.data.store import StoreWriter
from lipkd.lock import is_held
from tests.measured import OF_THE_MACHINE
from tests.tuning.store_picture import RunPicture, picture_of
from tuning.sweep_folder import trial_folders
from tuning.tracking.client import NoAnswer, connect, default_uri

ROOT = Path(__file__).parent.parent.parent
SERVER_S = 120.0


def make_store(path: Path) -> Path:
    """Eight clips of noise, two speakers, 18 frames of 24×48: enough to train on, with nothing to learn."""
    rng = np.random.default_rng(0)
    with StoreWriter(path, height=24, width=48, channels=3) as writer:
        for speaker in ("ada", "ben"):
            for text in ("bin red", "lay blue", "set red", "set blue"):
                name = f"{speaker}/{text.replace(' ', '-')}"
                first, second = text.split()
                writer.add(
                    rng.integers(0, 256, (18, 24, 48, 3), dtype=np.uint8),
                    id=name,
                    speaker=speaker,
                    fps=25.0,
                    text=text,
                    words=[(first, 2, 9), (second, 9, 16)],
                    source=f"{name}.mp4",
                )
        writer.close()
    return path


@dataclass
class Arena:
    """Where one sweep is run: its file, its tracking folder, how it is called."""

    folder: Path
    trials: int = 8
    epochs: int = 6
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        store = self.folder.parent / "store"
        if not store.is_dir():
            make_store(store)
        training: dict[str, Any] = {"epochs": self.epochs, "batch_size": 2, "checkpoint_every": 2, "word_weight": 0}
        training["precision"] = "float32"
        content = {
            "name": "storm",
            "trial": {
                "data": {"store": str(store), "scenario": "unseen", "val_speakers": ["ben"]},
                "network": {"name": "lipnet-128", "width": 0.05},
                "training": {**training, **self.training},
            },
            "space": {"cohort": [{"peers": 1}, {"method": "attention", "peers": 2}]},
            "seeds": list(range(self.trials // 2)),
        }
        self.file.write_text(yaml.safe_dump(content), encoding="utf-8")

    @property
    def file(self) -> Path:
        return self.folder / "storm.yaml"

    @property
    def mlruns(self) -> Path:
        return self.folder / "mlruns"

    @property
    def sweep(self) -> Path:
        return self.mlruns / "sweeps" / "storm"

    @property
    def log(self) -> Path:
        return self.folder / "driver.log"

    def command(self, *words: str) -> "subprocess.Popen[bytes]":
        """`lipkd WORDS` as a process of its own, its output in the log."""
        command = [sys.executable, "-m", "lipkd", *words, "--mlruns", str(self.mlruns)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
        with open(self.log, "ab") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=environment)

    def start(self, *options: str) -> "subprocess.Popen[bytes]":
        return self.command("sweep", str(self.file), *self.options, *options)

    def run(self, *options: str) -> int:
        """The sweep from here to its end; its exit code."""
        return self.start(*options).wait()

    def training_seconds(self) -> float:
        """From the first sign of a trial to the last line of a journal."""
        began = min((trial.path / "split.json").stat().st_mtime for trial in trial_folders(self.sweep))
        return max(report.time for trial in trial_folders(self.sweep) for report in trial.reports()) - began

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Server:
    """An MLflow server over HTTP on a database; killed and started again on the same port."""

    mlruns: Path
    backend: str = ""
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.mlruns.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--artifacts-destination", (self.mlruns / "artifacts").absolute().as_uri()]
        environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": self.backend or default_uri(self.mlruns)}
        environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # seven processes for nothing
        with open(self.mlruns / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True, cwd=self.mlruns
            )

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + SERVER_S
        while True:
            assert self.process is not None and self.process.poll() is None, "the MLflow server ended by itself"
            try:
                connect(self.uri)
                return
            except NoAnswer:
                assert time.monotonic() < deadline, "the MLflow server does not answer"
                time.sleep(0.2)

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def children(pid: int) -> list[int]:
    """The processes that a process has started, from /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if int(text.rpartition(")")[2].split()[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def syncers(driver: int) -> list[int]:
    """The syncer of a driver, as a list of one or none."""
    return [pid for pid in children(driver) if b"tuning.tracking.sync_process" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def workers(sweep: Path) -> list[int]:
    """The processes that train a trial now: holders of the trials' locks."""
    held = [trial.lock for trial in trial_folders(sweep) if is_held(trial.lock)] if sweep.is_dir() else []
    holders = [lock.read_text(encoding="utf-8").split() for lock in held]
    return [int(words[1]) for words in holders if len(words) > 1]


def picture_without_times(uri: str) -> dict[str, list[RunPicture]]:
    """What the store says, less what differs between any two runs: times, memory, folders."""
    tags = ("lipkd.folder", "commit")
    return {
        name: [
            RunPicture(
                run.status,
                {k: v for k, v in run.tags.items() if k not in tags},
                run.params,
                [(key, step, 0, value) for key, step, _, value in run.points if not key.startswith(OF_THE_MACHINE)],
                run.files,
            )
            for run in runs
        ]
        for name, runs in picture_of(uri).items()
    }


def faults(uri: str, epochs: int, expected: dict[str, list[RunPicture]] | None = None) -> list[str]:
    """Everything that is wrong with a tracking store after a sweep: empty when each trial is one finished run
    with each step once, and, given an undisturbed sweep's, the same numbers."""
    found = []
    for name, runs in picture_of(uri).items():
        if len(runs) != 1:
            found.append(f"{name}: {len(runs)} runs")
        for run in runs:
            if run.status != "FINISHED":
                found.append(f"{name}: {run.status}")
            metrics = sorted({key for key, _, _, _ in run.points})
            if name != "storm" and "val/wer" not in metrics:
                found.append(f"{name}: no val/wer")
            for key in metrics:
                steps, sometimes = run.steps(key), key.startswith("peers/")  # a distance of spikes needs spikes
                if len(set(steps)) < len(steps) or (not sometimes and steps != list(range(1, epochs + 1))):
                    found.append(f"{name}: {key} at {steps}")
    if expected is not None:
        mine = picture_without_times(uri)
        found += [
            f"{name}: not as in the undisturbed sweep"
            for name in mine | expected
            if mine.get(name) != expected.get(name)
        ]
    return found


def end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
