"""`lipkd sweep FILE`: plan, share the machine, train under Ray Tune, track, and show what came out.

Tune schedules; the training loop writes each trial's folder; a process beside (tuning/tracking/sync_process.py)
brings the folders into MLflow. So nothing is lost when any of the three is killed: the same command with `--resume`
plans the same trials again, leaves those that have ended, and lets the others go on from their checkpoints.
Tune's own restore isn't used: it unpickles code, and it could not take up a changed sweep file.
"""

import contextlib
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lipkd.errors import LipkdError
from lipkd.lock import only_one
from lipkd.tracking_uri import public_uri
from tuning import stop_request, sweep_folder
from tuning.gpu import probe
from tuning.gpu.memory_table import MemoryTable
from tuning.gpu.shares import Packing, Shares, find_packing, share_out
from tuning.plan.planner import Plan, Planned, Planner, make_plan
from tuning.plan.sweep_config import SweepConfig, load_sweep
from tuning.status.plan_text import plan_text
from tuning.status.result_table import Row, result_rows, result_text
from tuning.sweep_folder import SweepRecord, driver_lock
from tuning.tracking.client import NoAnswer, connect, default_uri, experiment_id, find_runs
from tuning.tracking.location import recorded_uri, uri_of_sweep
from tuning.tracking.sync_process import LOG, SyncProcess


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep is run. Trials lie in `storage`/NAME (default: the file's storage, LIPKD_STORAGE, `mlruns`/sweeps).

    `resume` goes on with a sweep; `only_failed` goes on with the trials that failed, and no others. With `dry_run` the
    plan is printed and nothing is written. A new sweep begins without an answer from the tracking store only if
    `offline`; one that goes on needs none.
    """

    mlruns: Path
    resume: bool = False
    only_failed: bool = False
    dry_run: bool = False
    offline: bool = False
    address: str | None = None
    tracking_uri: str | None = None
    storage: Path | None = None


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended: a row per trial, in the order in which they were planned."""

    folder: Path
    rows: tuple[Row, ...] = ()
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """130 when it was interrupted, 1 when a trial failed or is damaged, else 0."""
        if self.interrupted:
            return 130
        return 1 if any(row.state in ("failed", sweep_folder.DAMAGED) for row in self.rows) else 0


def run_sweep(file: Path, options: SweepOptions) -> SweepResult:
    """Run a sweep file, or go on with a sweep (`options.resume`); `file` may also be the folder of a sweep.

    What can be known to be wrong is raised as LipkdError before a trial starts; afterwards a trial that fails costs
    that trial only.
    """
    with SweepRun(file, options) as run:
        run.plan()
        run.share()
        if options.dry_run:
            return run.estimate()
        run.train()
    return run.finish()


def find_folder(file: Path, mlruns: Path, storage: Path | None = None) -> Path:
    """Where the trials of a sweep lie, given its file or that folder itself."""
    if file.is_dir() and ((file / "sweep.json").is_file() or not (file / "sweep.yaml").is_file()):
        return file.absolute()
    sweep = load_sweep(file / "sweep.yaml" if file.is_dir() else file)
    given = storage or sweep.storage or os.environ.get("LIPKD_STORAGE")
    return (Path(given).expanduser() if given else mlruns / "sweeps").absolute() / sweep.name


class SweepRun:
    """One run of a sweep, as a context: it holds the driver's lock before it reads anything of the sweep's folder, and
    lets go of it when Ray has ended, so that no other run acts on what this one changes. A dry run takes no lock."""

    sweep: SweepConfig
    record: SweepRecord
    planned: Plan
    uri: str
    memory: MemoryTable
    packing: Packing | None
    shares: Shares

    def __init__(self, file: Path, options: SweepOptions) -> None:
        self.file = file / "sweep.yaml" if file.is_dir() else file
        self.options = options
        self.folder = find_folder(file, options.mlruns, options.storage)
        self.waiting: list[Planned] = []
        self.syncer: SyncProcess | None = None
        self.arrived = True
        self.time_is_up = False
        self.exits = contextlib.ExitStack()

    def __enter__(self) -> "SweepRun":
        with self.exits:
            self.exits.callback(self._sync_last)  # last: it has to find how every trial ended
            if not self.options.dry_run:
                self._lock()
            self.sweep = load_sweep(self.file)
            self.record = self._open_record()
            self.exits = self.exits.pop_all()  # from here on they are left with the context
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.exits.__exit__(kind, error, traceback)

    def _lock(self) -> None:
        """Take the driver's lock; raises LipkdError when another process runs the sweep. A new sweep that is refused
        leaves no folder."""
        fresh = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        self.exits.enter_context(only_one(driver_lock(self.folder), f"sweep {self.folder.name!r}"))
        self.exits.callback(self._remove_unused, fresh)
        stop_request.withdraw(self.folder)  # an earlier one: what comes from here on is for this run

    def _remove_unused(self, fresh: list[Path]) -> None:
        """Remove the folders that were made for the lock alone."""
        if fresh and not (self.folder / "sweep.json").is_file():
            driver_lock(self.folder).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for path in fresh:
                    path.rmdir()

    def _open_record(self) -> SweepRecord:
        """The sweep's record, a new one for a new sweep; raises LipkdError when it may not go on."""
        options, name = self.options, self.sweep.name
        if not (self.folder / "sweep.json").is_file():
            record = sweep_folder.begin(self.folder, experiment=self.sweep.experiment, working_folder=Path.cwd())
        elif not (options.resume or options.only_failed):
            raise LipkdError(f"sweep {name!r} is there already ({self.folder}): go on with --resume, or rename it")
        else:
            record = sweep_folder.load(self.folder)
        if record.experiment != self.sweep.experiment:
            raise LipkdError(f"sweep {name!r} was started in experiment {record.experiment!r}, which cannot be changed")
        if options.only_failed and not record.failed():
            raise LipkdError(f"sweep {name!r}: no trial of it has failed ({self.folder})")
        return record

    def plan(self) -> None:
        """Parse every trial, open its data, and check that the tracking store answers."""
        options, record = self.options, self.record
        self.planned = make_plan(Planner(self.sweep, Path(record.working_folder), where=str(self.file)))
        if self.sweep.stopping.name == "pbt":
            from tuning.pbt.generations import check_populations  # torch

            check_populations(self.planned, record)
        given = (options.tracking_uri, self.sweep.tracking_uri)
        self.uri = uri_of_sweep(self.folder, record.tracking_uri, options.mlruns, *given)
        record.tracking_uri = recorded_uri(self.uri, self.folder)
        if not (options.dry_run or options.offline):
            self._check_tracking()

    def _check_tracking(self) -> None:
        """The tracking store answers, and a new sweep does not take the name of one that lies in another folder."""
        record = self.record
        try:
            client = connect(self.uri)
            experiment = experiment_id(client, record.experiment)
            runs = [] if record.trials else find_runs(client, experiment, "sweep", record.name)
            if any(run.data.tags.get("lipkd.folder") != str(self.folder) for run in runs):
                raise LipkdError(
                    f"{public_uri(self.uri)} has runs of a sweep {record.name!r} whose folder is not {record.folder}: "
                    "rename this one"
                )
        except NoAnswer as error:
            if not record.trials:
                raise LipkdError(f"{error}; --offline starts without it, and `lipkd sync` sends later") from error
            print(f"{error}; the sweep goes on, and what is missing there is sent when it does", flush=True)

    def share(self) -> None:
        """Find out what each trial gets of the machine or cluster, and print the plan."""
        from tuning.execution import ray_session  # Ray, only now that the plan is known to be good

        address = self.options.address
        if address is not None:
            self.exits.enter_context(ray_session.cluster(address))
        cores, gpus = ray_session.capacity(address)
        self.memory = MemoryTable.beside(self.folder)
        likely = [trial.config for trial in (self.planned.trials or [*self.planned.corners, *self.record.trials])]
        self.packing = None
        if gpus and self.sweep.resources.gpus is None:
            self.memory.update(self.record.with_folders())
            try:
                self.packing = find_packing(likely, self.memory, ray_session.probe_node if address else probe.run_probe)
            except LipkdError as error:
                print(f"GPU memory of the trials is not known ({error}): each has one, unless max_concurrent is more")
        self.shares = share_out(self.sweep.resources, self.planned.count, cores, gpus, self.packing, likely)
        self.planned = self.planned.with_threads(self.shares.cpus)
        print(plan_text(self.planned, self.record, self.shares), flush=True)
        if self.shares.packing:
            print(self.shares.packing.text(likely), flush=True)
        print(f"  trials in {self.folder}, tracked in {public_uri(self.uri)}", flush=True)

    def estimate(self) -> SweepResult:
        """Print the trials and what the sweep will take."""
        from tuning.plan.estimate import estimate, kinds_of  # torch

        examples = self.planned.trials or tuple(self.record.trials) or self.planned.corners
        for trial in self.planned.trials:
            values = ", ".join(f"{key} {value}" for key, value in trial.values.items())
            print(f"  {trial.name}: {values}" if values else f"  {trial.name}")
        kinds = len(kinds_of(examples))
        print(f"  measuring an epoch of {kinds} kinds of trials on this machine, for a minute at most …", flush=True)
        print("  " + estimate(examples, self.planned.count).text(self.shares.concurrent), flush=True)
        return SweepResult(self.folder)

    def train(self) -> None:
        """Record the plan, start Ray and the syncer, and train what has yet to be trained."""
        from tuning.execution import ray_session
        from tuning.execution.engine import Engine

        record, only_failed = self.record, self.options.only_failed
        if not only_failed:
            record.keep_to(self.planned.trials or record.trials)
            record.add(self.planned.trials)
            record.copy_file(self.file)
        if self.packing:
            self.memory.save()
        self.syncer = SyncProcess(self.folder, self.uri, self.options.mlruns)
        self.waiting = record.failed() if only_failed else record.waiting(self.planned.trials or record.trials)
        more = self.sweep.sampler == "optuna" and not only_failed
        if not (self.waiting or more):
            return
        if self.options.address is None:
            self.exits.enter_context(ray_session.this_machine(self.shares, self.sweep.resources.niceness))
        hours = self.sweep.max_hours
        deadline = time.monotonic() + 3600 * hours if hours else math.inf
        Engine(self.planned, record, self.memory, self.shares, self.syncer.ensure_running, deadline).run(
            self.waiting, more=more
        )
        self.time_is_up = time.monotonic() >= deadline

    def _sync_last(self) -> None:
        self.arrived = self.syncer is None or self.syncer.finish()

    def finish(self) -> SweepResult:
        """Print the table, what is missing, and where to look; the result. Only trials that were to be trained now make
        it an interrupted one: what `--only-failed` leaves alone may be open."""
        rows = result_rows(self.record)
        print("\n" + result_text(rows, self.record, self.sweep), flush=True)
        not_done = {row.trial for row in rows if row.state in ("abandoned", "not begun")}
        due = {trial.name for trial in (self.waiting if self.options.only_failed else self.record.trials)}
        if not_done:
            why = f" (max_hours {self.sweep.max_hours:g})" if self.time_is_up else ""
            print(f"{len(not_done)} trials are not done{why}; go on with: lipkd sweep {self.folder} --resume")
        if not self.arrived:
            log = self.folder / LOG
            print(f"not everything has reached {public_uri(self.uri)} (see {log}); later: lipkd sync {self.folder}")
        print("\n" + self._where_to_look(), flush=True)
        return SweepResult(self.folder, rows, interrupted=bool(not_done & due) and not self.time_is_up)

    def _where_to_look(self) -> str:
        mlruns = self.options.mlruns
        place = "" if mlruns.absolute() == Path("mlruns").absolute() else f" --mlruns {mlruns}"
        if self.uri != default_uri(mlruns):
            place += f" --tracking-uri {public_uri(self.uri)}"
        return f"the runs in MLflow:       lipkd ui{place}\nthe review in a browser:  lipkd dashboard{place}"
