"""Ray itself: one of our own on this machine, or a connection to a running cluster; what it has, and how it ends."""

import contextlib
import importlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
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
ANSWER_S = 5  # a cluster that has not answered by then counts as down


def capacity(address: str | None) -> tuple[float, float]:
    """CPU cores and GPUs: of the cluster that Ray is connected to, else of this machine."""
    if address is not None:
        resources = ray.cluster_resources()
        return resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    import torch

    return float(len(os.sched_getaffinity(0))), float(torch.cuda.device_count())


@contextlib.contextmanager
def this_machine(shares: Shares) -> Iterator[None]:
    """A Ray of our own on this machine, which ends with us, however we end; raises LipkdError when it doesn't
    start, which on a machine that is busy with other things may only take another try."""
    cpus = max(len(os.sched_getaffinity(0)), shares.cpus * shares.concurrent)
    stack = contextlib.ExitStack()
    try:
        stack.enter_context(_ray(address="local", num_cpus=cpus, include_dashboard=False))
    except Exception as error:  # Ray raises plain ones, such as when it took more than 30 seconds
        raise LipkdError(f"Ray did not start on this machine: {error}") from error
    with stack:
        yield


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
            hint = "; a cluster that checks tokens wants RAY_AUTH_MODE=token"
        stack.enter_context(_ray(address=address))
    except (OSError, RuntimeError) as error:
        raise LipkdError(f"--address {address}: no Ray cluster answers there ({error}{hint})") from error
    with stack:
        yield


def ask_a_node(request: probe.Request) -> probe.Answer:
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
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
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
