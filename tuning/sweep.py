"""`lipkd sweep FILE`: plan, check, train under Ray Tune, track, and show what came out.

Tune schedules; the training loop writes each trial's folder; a process beside (tuning/tracking/sync_process.py)
brings the folders into MLflow. So nothing is lost when any of the three is killed: the same command with `--resume`
plans the same trials again, leaves those that have ended, and lets the others go on from their checkpoints.
Tune's own restore isn't used: it unpickles code, and it could not take up a changed sweep file.
"""

import contextlib
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lipkd.config.trial_config import TrialConfig
from lipkd.errors import LipkdError
from lipkd.lock import only_one
from tuning import stop_request
from tuning import sweep_folder as records
from tuning.gpu import probe
from tuning.gpu.memory_table import FILE, MemoryTable
from tuning.gpu.shares import Packing, Shares, find_packing, share_out
from tuning.plan.pareto import best_value, trade_offs, usual_value
from tuning.plan.planner import Planned, Planner, check_data
from tuning.plan.space import Choice
from tuning.plan.sweep_config import SweepConfig, load_sweep
from tuning.status.result_table import Row, result_row, result_table
from tuning.sweep_folder import SweepRecord, driver_lock
from tuning.tracking.client import NoAnswer, choose_uri, connect, default_uri, experiment_id, find_runs, public_uri
from tuning.tracking.sync_process import LOG, SyncProcess


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended: a row per trial, in the order in which they were planned."""

    folder: Path
    rows: tuple[Row, ...] = ()
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """130 when it was interrupted, 1 when a trial failed, else 0."""
        if self.interrupted:
            return 130
        return 1 if any(row.state == "failed" for row in self.rows) else 0


def run_sweep(
    file: Path,
    *,
    mlruns: Path,
    resume: bool = False,
    address: str | None = None,
    tracking_uri: str | None = None,
    storage: Path | None = None,
    dry_run: bool = False,
    only_failed: bool = False,
    offline: bool = False,
) -> SweepResult:
    """Run a sweep file, or go on with a sweep (`resume`); `file` may also be the folder of a sweep.

    Trials lie in `storage`/NAME (default: the file's storage, LIPKD_STORAGE, `mlruns`/sweeps). What can be
    known to be wrong is raised as LipkdError before a trial starts; afterwards a trial that fails costs
    that trial only. With `dry_run` the plan is printed and nothing is written. With `only_failed` the trials
    that failed go on from their checkpoints, and no others. A new sweep begins without an answer from the
    tracking store only if `offline`; one that goes on needs none.
    """
    folder = sweep_folder(file, mlruns, storage)
    file = file / "sweep.yaml" if file.is_dir() else file
    sweep = load_sweep(file)
    record = _open_record(folder, sweep, resume=resume or only_failed)
    if only_failed and not record.failed():
        raise LipkdError(f"sweep {sweep.name!r}: no trial of it has failed ({folder})")
    planner = Planner(sweep, Path(record.working_folder), where=str(file))
    edges, trials = planner.edges(), planner.trials()
    check_data([*edges, *trials], str(file))
    _check_populations(trials, record, sweep, str(file))
    uri = choose_uri(mlruns, tracking_uri, sweep.tracking_uri, record.tracking_uri)
    record.tracking_uri = public_uri(uri)
    if not (dry_run or offline):
        try:
            _check_tracking(uri, record, mlruns)
        except NoAnswer as error:
            if not record.trials:
                raise LipkdError(f"{error}; --offline begins without it, and `lipkd sync` sends later") from error
            print(f"{error}; the sweep goes on, and what is missing there is sent when it does", flush=True)

    from tuning.execution import engine  # Ray, only now that the plan is known to be good

    syncer = None
    waiting: list[Planned] = []
    with contextlib.ExitStack() as connected:
        if address is not None:
            connected.enter_context(engine.cluster(address))
        count = len(trials) or sweep.samples * len(planner.seeds)
        cores, gpus = engine.capacity(address)
        likely = [trial.config for trial in (trials or [*edges, *record.trials])]
        memory = MemoryTable.load(folder.parent / FILE)
        packing = None
        if gpus and sweep.resources.gpus is None:
            packing = _packing(record, memory, likely, engine.ask_a_node if address else probe.ask)
        shares = share_out(sweep.resources, count, cores, gpus, packing, likely)
        planner = replace(planner, threads=shares.cpus)
        planned = planner.trials() or record.trials  # Optuna's are not known beforehand
        over = len(record.ended())
        print(plan_text(planner, planned or edges, count, over, shares), flush=True)
        if shares.packing:
            print(shares.packing.text(likely), flush=True)
        print(f"  trials in {folder}, tracked in {public_uri(uri)}", flush=True)
        if dry_run:
            from tuning.plan.estimate import estimate  # torch

            print("  " + estimate(planned or edges, count).text(shares.concurrent), flush=True)
            return SweepResult(folder)
        try:
            with only_one(driver_lock(folder), f"sweep {sweep.name}"), connected.pop_all() as ray:
                stop_request.withdraw(folder)
                if not only_failed:
                    record.keep_to(planned)
                    record.add(planned)
                    record.copy_file(file)
                if packing:
                    memory.save()
                syncer = SyncProcess(folder, uri, mlruns)
                waiting = record.failed() if only_failed else record.waiting(planned)
                more = sweep.sampler == "optuna" and not only_failed
                if waiting or more:
                    if address is None:
                        ray.enter_context(engine.this_machine(shares))
                    epochs = max(_epochs(planned or edges))
                    learn = partial(learn_memory, record, memory)
                    if sweep.stopping.name == "pbt":
                        engine.run_populations(planner, record, planned, waiting, shares, epochs, syncer.tend, learn)
                    else:
                        engine.run_trials(planner, record, waiting, shares, epochs, syncer.tend, more=more, learn=learn)
        finally:  # after Ray and its workers are gone, so that the last sync finds how every trial ended
            arrived = syncer is None or syncer.finish()
    due = {trial.name for trial in waiting} if only_failed else {trial.name for trial in record.trials}
    return _finish(record, planner, mlruns, uri, due, arrived=arrived)


def sweep_folder(file: Path, mlruns: Path, storage: Path | None = None) -> Path:
    """Where the trials of a sweep lie, given its file or that folder itself."""
    if file.is_dir() and ((file / "sweep.json").is_file() or not (file / "sweep.yaml").is_file()):
        return file.absolute()
    sweep = load_sweep(file / "sweep.yaml" if file.is_dir() else file)
    given = storage or sweep.storage or os.environ.get("LIPKD_STORAGE")
    return (Path(given).expanduser() if given else mlruns / "sweeps").absolute() / sweep.name


def _open_record(folder: Path, sweep: SweepConfig, *, resume: bool) -> SweepRecord:
    """The sweep's record, a new one for a new sweep; raises LipkdError when it is there and not resumed."""
    if not (folder / "sweep.json").is_file():
        return records.begin(folder, experiment=sweep.experiment, working_folder=Path.cwd())
    if not resume:
        raise LipkdError(f"sweep {sweep.name!r} is there already ({folder}): go on with --resume, or rename it")
    record = records.load(folder)
    if record.experiment != sweep.experiment:
        raise LipkdError(f"sweep {sweep.name!r} was begun in experiment {record.experiment!r}: it has to stay there")
    return record


def _check_populations(trials: list[Planned], record: SweepRecord, sweep: SweepConfig, where: str) -> None:
    """Trials of populations can exchange weights, and nobody joins a population late."""
    if sweep.stopping.name == "pbt":
        from tuning.pbt.generations import refuse_strangers  # torch
        from tuning.pbt.population import check

        check(trials, sweep.stopping, where)
        refuse_strangers(record, trials, sweep)


def _packing(record: SweepRecord, memory: MemoryTable, configs: list[TrialConfig], ask: probe.Ask) -> Packing | None:
    """What trials take of the GPU, from earlier ones or measured now; None, and a line, when that can't be found."""
    memory.learn((record.trial_folder(trial), trial.config) for trial in record.trials)
    try:
        return find_packing(configs, memory, ask)
    except LipkdError as error:
        print(
            f"what trials take of a GPU is not known ({error}): each has one, unless max_concurrent is more", flush=True
        )
        return None


def learn_memory(record: SweepRecord, memory: MemoryTable) -> None:
    """Add to the file what the sweep's trials took of their GPUs."""
    if memory.learn((record.trial_folder(trial), trial.config) for trial in record.trials):
        memory.save()


def _check_tracking(uri: str, record: SweepRecord, mlruns: Path) -> None:
    """The store answers, and a new sweep does not take the name of one whose folder is gone."""
    client = connect(uri)
    experiment = experiment_id(client, record.experiment, mlruns)
    if not record.trials and find_runs(client, experiment, "sweep", record.name):
        raise LipkdError(
            f"{public_uri(uri)} has runs of a sweep {record.name!r} whose folder is not {record.folder}: "
            "rename this one, or delete those runs in MLflow"
        )


def plan_text(planner: Planner, trials: list[Planned], count: int, over: int, shares: Shares) -> str:
    """What a sweep will do and cost, before it does."""
    sweep = planner.sweep
    epochs = _epochs(trials)
    each = f"{epochs[0]}" if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]}"
    whole = sum(epochs) if len(trials) == count else count * epochs[-1]
    most = "" if sweep.stopping.name in ("none", "pbt") else "at most "
    sizes = [f"{k} ({len(d.values)})" if isinstance(d, Choice) else k for k, d in sweep.space.items()]
    sizes += [f"seed ({len(sweep.seeds)})"] if sweep.seeds else []
    lines = [
        f"sweep {sweep.name}: {count} trials × {most}{each} epochs = {most}{whole} epochs",
        f"  {sweep.sampler} over {', '.join(sizes) or 'nothing'}; scheduler {sweep.stopping.name}; {shares.text()}",
    ]
    if sweep.stopping.name == "pbt":
        lines.append(_populations_text(sweep, trials))
    if over:
        lines.append(f"  {over} trials have ended already")
    return "\n".join(lines)


def _populations_text(sweep: SweepConfig, trials: list[Planned]) -> str:
    from tuning.pbt.population import populations, quantile_of

    sizes = sorted(len(population) for population in populations(trials, sweep.stopping.mutate))
    each = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    most = quantile_of(sizes[-1], sweep.stopping.quantile)
    return (
        f"  {len(sizes)} populations of {each} trials; every {sweep.stopping.every_epochs} epochs the worst {most} go "
        f"on from the best {most}, with {', '.join(sweep.stopping.mutate)} changed"
    )


def _epochs(trials: list[Planned]) -> list[int]:
    return sorted(trial.config.training.epochs for trial in trials)


def _finish(
    record: SweepRecord, planner: Planner, mlruns: Path, uri: str, due: set[str], *, arrived: bool
) -> SweepResult:
    """Print the table, what is missing, and where to look; the result. Trials that are not `due` may be open."""
    rows = tuple(result_row(record, trial) for trial in record.trials)
    print("\n" + result_table(rows))
    open_ = [row for row in rows if row.state in ("abandoned", "not begun")]
    if planner.sweep.cost:
        print(_trade_off_text(record, planner.sweep.metric, planner.sweep.mode, planner.sweep.cost))
    if planner.sweep.stopping.name == "pbt" and any(row.wer is not None for row in rows):
        print(f"the best schedule, to be trained from the beginning: lipkd sweep {record.folder} --best-schedule")
    hours = planner.sweep.max_hours
    if open_:
        why = f" (max_hours {hours:g})" if hours else ""
        print(f"{len(open_)} trials are not done{why}; go on with: lipkd sweep {record.folder} --resume")
    if not arrived:
        log = record.folder / LOG
        print(f"not everything has reached {public_uri(uri)} (see {log}); later: lipkd sync {record.folder}")
    place = "" if mlruns.absolute() == Path("mlruns").absolute() else f" --mlruns {mlruns}"
    if uri != default_uri(mlruns):
        place += f" --tracking-uri {public_uri(uri)}"
    print(f"\nthe runs in MLflow:       lipkd ui{place}\nthe review in a browser:  lipkd dashboard{place}", flush=True)
    return SweepResult(record.folder, rows, interrupted=any(row.trial in due for row in open_) and not hours)


def _trade_off_text(record: SweepRecord, metric: str, mode: str, cost: str) -> str:
    """The trials among which only taste can choose."""
    values: dict[str, tuple[float, float]] = {}
    for trial in record.ended():
        reports = record.trial_folder(trial).reports()
        best, usual = best_value(reports, metric, mode), usual_value(reports, cost)
        if best is not None and usual is not None:
            values[trial.name] = (best, usual)
    lines = [f"  {name}: {values[name][0]:.3f}, {values[name][1]:.4g}" for name in trade_offs(values, mode)]
    return "\n".join([f"not beaten in {metric} and {cost} by any other:", *lines])
