"""A thousand trials that train nothing, through everything that the product puts around training: what that costs,
and whether all of it arrives.

    python -m tests.chaos.thousand FILE MLRUNS

is the driver of such a sweep, a process of its own so that its processor time can be told.
"""

import contextlib
import itertools
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from unittest.mock import patch

import yaml

from lipkd.files import write_json
from lipkd.trial import TrialFolder
from tests.chaos.arena import ROOT, make_store
from tests.chaos.opened import opened
from tests.chaos.trivial import COSTS, train_trial
from tuning.execution import engine
from tuning.sweep import SweepOptions, run_sweep
from tuning.sweep_folder import load

WIDTHS = (0.25, 0.5)
EPOCHS = 50
DRIVER = "driver.json"  # seconds, beside the tracking folder


def thousand(root: Path, trials: int, epochs: int = EPOCHS) -> Iterator[tuple[str, list[str]]]:
    """c: as many trials (an even number) as that, then what each costs, what of it is not in MLflow, and how that and
    the dashboard open on it."""
    folder = root / "thousand"
    folder.mkdir(parents=True)
    file = folder / "thousand.yaml"
    file.write_text(yaml.safe_dump(sweep_content(make_store(folder / "store"), trials, epochs)), encoding="utf-8")
    command = [sys.executable, "-m", "tests.chaos.thousand", str(file), str(folder / "mlruns")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    with open(folder / "driver.log", "ab") as log:
        code = subprocess.run(command, cwd=folder, stdout=log, stderr=log, env=environment, check=False).returncode
    wrong = [f"exit code {code}, see {folder / 'driver.log'}"] * bool(code)
    if (folder / DRIVER).is_file():
        wrong += missing(folder / "mlruns", len(WIDTHS) * (trials // len(WIDTHS)), epochs)
        yield costs_text(folder), wrong
        yield from opened(folder / "mlruns")
    else:
        yield f"c {trials} trials", wrong


def sweep_content(store: Path, trials: int, epochs: int) -> dict[str, object]:
    return {
        "name": "thousand",
        "trial": {
            "data": {"store": str(store), "scenario": "unseen", "val_speakers": ["ben"]},
            "training": {"epochs": epochs, "checkpoint_every": 10},
        },
        "space": {"network.width": list(WIDTHS)},
        "seeds": list(range(trials // len(WIDTHS))),
    }


def costs_text(folder: Path) -> str:
    """Medians over the trials, and what the driver and its helpers took for all of them."""
    sweep = folder / "mlruns" / "sweeps" / "thousand"
    costs = [json.loads(path.read_text(encoding="utf-8")) for path in sweep.glob(f"*/{COSTS}")]
    driver = json.loads((folder / DRIVER).read_text(encoding="utf-8"))

    def middle(name: str) -> float:
        return median(cost[name] for cost in costs) if costs else 0.0

    count = max(len(costs), 1)
    return (
        f"c {len(costs)} trials: a report {1000 * middle('report_s'):.1f} ms, its journal line "
        f"{1000 * middle('journal_s'):.1f} ms; a trial {driver['wall_s'] / count:.2f} s on the clock, and of processor "
        f"time {middle('processor_s'):.2f} s in its process ({middle('start_processor_s'):.2f} s before it begins, "
        f"{middle('start_s'):.2f} s on the clock), {driver['driver_s'] / count:.2f} s in the driver, "
        f"{driver['others_s'] / count:.2f} s in syncer and Ray"
    )


def missing(mlruns: Path, trials: int, epochs: int) -> list[str]:
    """Whatever is not one finished run per trial with every value of its journal once, steps 1 to `epochs`.

    Asked of the database itself: a client would need a call for each metric of each run.
    """
    sweep = mlruns / "sweeps" / "thousand"
    names = [trial.name for trial in load(sweep).trials]
    wrong = [f"{len(names)} trials planned"] * (len(names) != trials)
    with contextlib.closing(sqlite3.connect(mlruns / "mlflow.db")) as database:
        runs = database.execute(
            "SELECT runs.run_uuid, name, status FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
            "WHERE key = 'lipkd.kind' AND value = 'trial' AND lifecycle_stage = 'active'"
        ).fetchall()
        wrong += [f"{name}: {status}" for _, name, status in runs if status != "FINISHED"]
        if sorted(name for _, name, _ in runs) != sorted(names):
            wrong.append(f"{len(runs)} runs for {len(names)} trials")
        name_of = {run: name for run, name, _ in runs}
        silent = set(name_of)
        points = database.execute("SELECT run_uuid, key, step, value FROM metrics ORDER BY run_uuid")
        for run, rows in itertools.groupby((row for row in points if row[0] in name_of), lambda row: row[0]):
            reports = TrialFolder(sweep / name_of[run]).reports()
            steps = [report.step for report in reports]
            wrong += [f"{name_of[run]}: journal of {len(steps)} steps"] * (steps != list(range(1, epochs + 1)))
            due = sorted((key, report.step, value) for report in reports for key, value in report.metrics.items())
            wrong += [f"{name_of[run]}: not what its journal says"] * (sorted(row[1:] for row in rows) != due)
            silent.discard(run)
        wrong += [f"{name_of[run]}: no metrics" for run in silent]
    return wrong


def drive(file: Path, mlruns: Path) -> int:
    """Run the sweep with trials that train nothing; its exit code. What it took is written beside `mlruns`."""
    began = time.monotonic()
    with patch.object(engine, "train_trial", train_trial):
        code = run_sweep(file, SweepOptions(mlruns)).exit_code
    costs = {"wall_s": time.monotonic() - began, "driver_s": time.process_time()}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    write_json(mlruns.parent / DRIVER, {**costs, "others_s": children.ru_utime + children.ru_stime})
    return code


if __name__ == "__main__":
    sys.exit(drive(Path(sys.argv[1]), Path(sys.argv[2])))
