"""Ray Tune: start it, share the machine among trials, schedule them."""

import contextlib
import logging
import math
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import ray
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from lipkd.errors import LipkdError
from lipkd.provenance import command_line
from tuning.execution.callback import Progress
from tuning.execution.search import Study, TrialQueue
from tuning.execution.trainable import train_trial
from tuning.gpu import probe
from tuning.gpu.memory_table import OUT_OF_MEMORY
from tuning.gpu.shares import Shares
from tuning.pbt.generations import reached, run_generations
from tuning.plan.planner import Planned, Planner
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import SweepRecord, reported

# No usage statistics, no log files of its own beside the journal, no output but ours.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
ANSWER_S = 5  # a cluster that has not answered by then counts as down
RETRIES = (
    2  # of a trial whose process died; what another start can't mend fails at once (tuning/execution/trainable.py)
)


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
    plain_workers()
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # trials' errors are in their folders and in our lines
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        with _terminate_like_interrupt():
            yield
    finally:
        ray.shutdown()


def plain_workers() -> None:
    """Let Tune's workers be started like all others. It sets a variable in them for the sake of PyTorch Lightning, and
    a worker that wants variables is started by a second Python and never one of those that Ray keeps ready: 0.6 s of
    processor time a trial. A Ray that sets none has nothing to forget."""
    getattr(class_cache, "DEFAULT_ENV_VARS", {}).clear()


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


def run_trials(
    planner: Planner,
    record: SweepRecord,
    waiting: list[Planned],
    shares: Shares,
    epochs: int,
    tend: Callable[[], None],
    *,
    more: bool = True,
    until: Mapping[str, int] = MappingProxyType({}),
    learn: Callable[[], None] = lambda: None,
) -> Shares:
    """Train the waiting trials, those in `until` up to that epoch, and with Optuna and `more` those that it asks for;
    returns when all have ended or wait there, when the time is spent, when interrupted or asked to stop, or when the
    disk is full. `epochs` is the most that a trial has. What it returns is what each trial had in the end.

    Trials that ran out of memory go on from their checkpoints when the others are through, with half as many
    beside them, until they fit or are alone. `learn` is called after each of these turns.
    """

    def unfinished() -> bool:
        return any(reached(record.trial_folder(t)) < until.get(t.name, math.inf) for t in record.open())

    _run(planner, record, waiting, shares, epochs, tend, until, more=more)
    learn()
    while (crowded := out_of_memory(record, shares)) and (roomier := shares.halved()) and not unfinished():
        shares = roomier
        print(f"{len(crowded)} trials ran out of memory: once more, {shares.text()}", flush=True)
        _run(planner, record, crowded, shares, epochs, tend, until, more=False)
        learn()
    return shares


def run_populations(
    planner: Planner,
    record: SweepRecord,
    planned: list[Planned],
    waiting: list[Planned],
    shares: Shares,
    epochs: int,
    tend: Callable[[], None],
    learn: Callable[[], None] = lambda: None,
) -> None:
    """`run_trials` for a sweep of populations, from one exchange of weights to the next."""

    def run(trials: list[Planned], until: Mapping[str, int], seconds: float | None) -> None:
        nonlocal shares
        limited = replace(
            planner, sweep=planner.sweep.model_copy(update={"max_hours": None if seconds is None else seconds / 3600})
        )
        shares = run_trials(limited, record, trials, shares, epochs, tend, more=False, until=until, learn=learn)

    run_generations(planner.sweep, record, planned, waiting, run)


def out_of_memory(record: SweepRecord, shares: Shares) -> list[Planned]:
    """The trials that failed for want of memory, of the machine or of a GPU that they shared with others."""
    failed = [t for t in record.failed() if record.trial_folder(t).state()["reason"].startswith(OUT_OF_MEMORY)]
    return [trial for trial in failed if shares.gpu(trial.config) < 1]


def _run(
    planner: Planner,
    record: SweepRecord,
    waiting: list[Planned],
    shares: Shares,
    epochs: int,
    tend: Callable[[], None],
    until: Mapping[str, int],
    *,
    more: bool,
) -> None:
    sweep = planner.sweep
    study = Study(planner, record) if more and sweep.sampler == "optuna" else None

    def suggestion(trial: Planned) -> dict[str, Any]:
        return {
            "name": trial.name,
            "folder": str(record.folder / trial.name),
            "config": trial.config.to_json(),
            "metric": sweep.metric,
            "mode": sweep.mode,
            "until": until.get(trial.name),
            "watched": list(sweep.stopping.mutate),
            "command": command_line(),
            "gpus": shares.gpu(trial.config),
            "context_mb": shares.context_mb,
        }

    cpus = shares.cpus

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([{"CPU": cpus, "GPU": config["gpus"]}])

    progress = Progress(record, sweep.metric, tend, until)
    scratch = record.folder / ".tune"  # what Tune keeps for its own restore
    shutil.rmtree(scratch, ignore_errors=True)
    tune.run(
        tune.with_resources(train_trial, resources),
        name="sweep",
        storage_path=str(scratch),
        search_alg=TrialQueue(waiting, study, suggestion, lambda: progress.halted),
        scheduler=make_scheduler(sweep, record, epochs),
        num_samples=len(waiting) + (sweep.samples * len(planner.seeds) if study else 0),
        max_concurrent_trials=shares.concurrent,
        time_budget_s=sweep.max_hours * 3600 if sweep.max_hours else None,
        max_failures=RETRIES,
        raise_on_failed_trial=False,
        callbacks=[progress],
        trial_name_creator=lambda trial: str(trial.config["name"]),
        trial_dirname_creator=lambda trial: str(trial.config["name"]),
        verbose=0,
    )
    shutil.rmtree(scratch, ignore_errors=True)


def make_scheduler(sweep: SweepConfig, record: SweepRecord, epochs: int) -> TrialScheduler:
    """First in, first out, or one that stops trials and knows those that have ended before."""
    stopping = sweep.stopping
    scheduler: TrialScheduler
    if stopping.name in ("none", "pbt"):  # populations are no scheduler's: tuning/pbt/generations.py
        return FIFOScheduler()
    if stopping.name == "median":
        scheduler = Median(
            time_attr="step",
            metric=sweep.metric,
            mode=sweep.mode,
            grace_period=stopping.grace_epochs,
            min_samples_required=stopping.min_trials,
            min_time_slice=math.inf,  # else it pauses trials while there are few, and starts their processes anew
        )
    else:
        scheduler = ASHAScheduler(
            time_attr="step",
            metric=sweep.metric,
            mode=sweep.mode,
            max_t=epochs,
            grace_period=min(stopping.grace_epochs, epochs),
            reduction_factor=stopping.reduction_factor,
            stop_last_trials=False,  # the training loop has its own end, and its last files to write
        )
    for trial in record.ended():
        replay(scheduler, record, trial, sweep)
    return scheduler


class Median(MedianStoppingRule):
    """The median rule of Golovin et al. 2017, for trials that say their first epochs again when they are started
    again: an epoch counts once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: set[tuple[str, int]] = set()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        epoch = (trial.trial_id, result["step"])
        if epoch in self.seen:
            return str(TrialScheduler.CONTINUE)
        self.seen.add(epoch)
        return str(super().on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing: this would count the last epoch once more."""


@dataclass(frozen=True)
class Standin:
    """What a scheduler knows a trial by."""

    trial_id: str


def replay(scheduler: TrialScheduler, record: SweepRecord, trial: Planned, sweep: SweepConfig) -> None:
    """Tell a scheduler of a trial that ended in an earlier run, through its public calls; no worker is started."""
    standin: Any = Standin(trial.name)
    controller: Any = None  # neither rule asks anything of it
    results = [reported(r.step, r.metrics, sweep.metric, sweep.mode) for r in record.trial_folder(trial).reports()]
    if not results:
        return
    scheduler.on_trial_add(controller, standin)
    for result in results:
        scheduler.on_trial_result(controller, standin, result)
    scheduler.on_trial_complete(controller, standin, results[-1])
