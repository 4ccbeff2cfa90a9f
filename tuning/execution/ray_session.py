"""Ray itself: one of our own on this machine, or a connection to a running cluster; what it has, and how it ends."""

import contextlib
import importlib
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from lipkd.errors import LipkdError
from tuning.gpu import probe
from tuning.gpu.shares import Shares

# No usage statistics, no log files of its own beside the journal, no output but ours.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
NICENESS = "RAY_worker_niceness"
LONGEST_SCRATCH = (
    38  # bytes: 107, the most of a socket's path, less /ray/session_DATE_TIME_MICROSECONDS_PID/sockets/NAME
)
PAUSES_S = (5.0, 20.0)  # between tries to start Ray: under load its parts give each other up too early
ANSWER_S = 5  # a cluster that has not answered by then counts as down


def capacity(address: str | None) -> tuple[float, float]:
    """CPU cores and GPUs: of the cluster that Ray is connected to, else of this machine."""
    if address is not None:
        resources = ray.cluster_resources()
        return resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    import torch

    return float(len(os.sched_getaffinity(0))), float(torch.cuda.device_count())


@contextlib.contextmanager
def this_machine(shares: Shares, niceness: int | None = None) -> Iterator[None]:
    """A Ray of our own on this machine, which ends with us, however we end; its workers run at that `niceness` (None:
    Ray's own, 15). Raises LipkdError with the remedy when it doesn't start, after more than one try."""
    if niceness is not None:
        os.environ[NICENESS] = str(niceness)
    cpus = max(len(os.sched_getaffinity(0)), shares.cpus * shares.concurrent)
    options = {"address": "local", "num_cpus": cpus, "include_dashboard": False, "_temp_dir": str(scratch_folder())}
    carry_token()
    with contextlib.ExitStack() as stack:
        for pause in (*PAUSES_S, None):
            try:
                stack.enter_context(_ray(**options))
                break
            except Exception as error:  # Ray raises plain ones, such as when a part took more than 30 seconds
                reason = " ".join(str(error).split())
                if pause is None:
                    raise LipkdError(
                        f"Ray did not start on this machine in {len(PAUSES_S) + 1} tries ({reason}): start the sweep "
                        "again when the machine is less busy, or read the logs of the newest session under "
                        f"{options['_temp_dir']}"
                    ) from error
                print(f"Ray did not start ({reason}): another try in {pause:.0f} s", flush=True)
                time.sleep(pause)
        yield


def scratch_folder() -> Path:
    """Where Ray keeps its session: its usual place (RAY_TMPDIR, TMPDIR, /tmp), unless its sockets, whose paths may have
    107 bytes, would not fit there, or nobody may write there. Raises LipkdError when there is none."""
    usual = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    for folder in (usual, "/tmp", "/var/tmp", "/dev/shm"):
        short = len(os.fsencode(Path(folder).absolute())) <= LONGEST_SCRATCH
        if short and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder).absolute() / "ray"
    raise LipkdError(
        f"Ray finds no folder for its sockets: set RAY_TMPDIR to one that can be written and whose path has at most "
        f"{LONGEST_SCRATCH} characters (not {usual})"
    )


def carry_token() -> None:
    """Ray writes the token of a new cluster into ~/.ray; where that can't be written, the environment carries one."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    try:
        folder = Path.home() / ".ray"
        folder.mkdir(parents=True, exist_ok=True)
        usable = (folder / "auth_token").is_file() or os.access(folder, os.W_OK)
    except (OSError, RuntimeError):
        usable = False
    if not usable:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextlib.contextmanager
def cluster(address: str) -> Iterator[None]:
    """A connection to a running Ray cluster; raises LipkdError when none answers at `address`."""
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal() and "/" not in host):
        raise LipkdError(f"--address {address}: give HOST:PORT of the cluster's head, or auto, on one of its nodes")
    stack = contextlib.ExitStack()
    hint = ""
    try:
        if address != "auto":  # Ray tries for minutes where nobody listens
            socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
            hint = "; a cluster that checks tokens needs RAY_AUTH_MODE=token"
        stack.enter_context(_ray(address=address))
    except (OSError, RuntimeError) as error:
        raise LipkdError(f"--address {address}: no Ray cluster answers there ({error}{hint})") from error
    with stack:
        yield


def probe_node(request: probe.Request) -> probe.Answer:
    """`tuning.gpu.probe` on a node of the cluster that has a GPU to spare, in a worker that ends with it."""
    try:
        work = ray.remote(num_cpus=1, num_gpus=1, max_calls=1)(probe.answer).remote(request)
        answered: probe.Answer = ray.get(work, timeout=probe.PATIENCE_S)
    except Exception as error:  # whatever went wrong there, or no GPU was free in time
        raise LipkdError(" ".join(str(error).split())[-300:]) from error
    return answered


@contextlib.contextmanager
def _ray(**options: Any) -> Iterator[None]:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    use_prestarted_workers()
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # trials' errors are in their folders and in our lines
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        with _terminate_like_interrupt():
            yield
    finally:
        ray.shutdown()


def use_prestarted_workers() -> None:
    """Clear Tune's default runtime_env so that trials reuse Ray's prestarted workers (0.6 s of processor time each).

    The module is internal to Ray: where a Ray has it no longer, or in another form, nothing is done, and trials start a
    little later."""
    try:
        variables = importlib.import_module("ray.tune.execution.class_cache").DEFAULT_ENV_VARS
    except (ImportError, AttributeError):
        return
    if isinstance(variables, dict):
        variables.clear()


@contextlib.contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """Tune ends in order on SIGINT; SIGTERM (a batch system's) shall do the same."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
