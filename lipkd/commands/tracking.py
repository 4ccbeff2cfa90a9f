"""Commands that run sweeps, track them and show them."""

import argparse
import sys
from pathlib import Path

from lipkd.commands.common import AddCommand, add_mlruns, add_tracking
from lipkd.errors import LipkdError


def add(command: AddCommand) -> None:
    """Add these commands to the parser."""
    sweep = command("sweep", _sweep, "run the trials of a sweep file and track them in MLflow")
    sweep.add_argument("file", type=Path, metavar="FILE", help="sweep file (YAML)")
    sweep.add_argument("--resume", action="store_true", help="go on with a sweep of this name, or start it")
    instead = sweep.add_mutually_exclusive_group()
    instead.add_argument("--only-failed", action="store_true", help="go on with the trials that failed, and no others")
    instead.add_argument("--status", action="store_true", help="print the state of every trial, and run nothing")
    instead.add_argument("--stop", action="store_true", help="let a running sweep end at the next checkpoints")
    instead.add_argument("--best-schedule", action="store_true", help="print the best trial for `lipkd train`")
    sweep.add_argument("--watch", action="store_true", help="with --status: again and again, until the sweep ends")
    sweep.add_argument("--dry-run", action="store_true", help="print the trials and what they cost, then stop")
    sweep.add_argument("--address", help="Ray cluster to run on (default: this machine alone)")
    sweep.add_argument("--storage", type=Path, metavar="FOLDER", help="where trial folders go (default: MLRUNS/sweeps)")
    sweep.add_argument("--offline", action="store_true", help="start even if the MLflow server does not answer")
    add_mlruns(sweep)
    add_tracking(sweep)

    sync = command("sync", _sync, "bring trial folders, made here or elsewhere, into MLflow")
    sync.add_argument(
        "folders", type=Path, nargs="*", metavar="FOLDER", help="sweeps or trials (default: all in MLRUNS)"
    )
    add_mlruns(sync)
    add_tracking(sync)

    ui = command("ui", _ui, "open the MLflow UI on the tracking folder")
    dashboard = command("dashboard", _dashboard, "open the dashboard: leaderboard, learning curves, replay")
    for server, port in ((ui, 5000), (dashboard, 8501)):
        server.add_argument("--port", type=int, default=port, help=f"(default: {port})")
        add_mlruns(server)
        add_tracking(server)
    dashboard.add_argument("--host", default="127.0.0.1", help="(default: 127.0.0.1, this machine only)")
    dashboard.add_argument("--ui", default="", metavar="ADDRESS", help="of `lipkd ui` (default: http://127.0.0.1:5000)")
    dashboard.add_argument("--no-browser", action="store_true", help="print the address and open nothing")


def _sweep(arguments: argparse.Namespace) -> int:
    from tuning.sweep import SweepOptions, find_folder, run_sweep

    if arguments.watch and not arguments.status:
        raise LipkdError("--watch: needs --status")
    if arguments.status or arguments.stop or arguments.best_schedule:
        folder = find_folder(arguments.file, arguments.mlruns, arguments.storage)
        if arguments.best_schedule:
            from tuning.pbt.best_schedule import best_schedule

            print(best_schedule(folder), end="")
            return 0
        if arguments.status:
            from tuning.status.status import show_status

            return show_status(folder, watch=arguments.watch)
        from tuning import stop_request

        stop_request.request(folder)
        print(f"stop requested: running trials of {folder.name} end at their next checkpoints, and no others begin")
        print(f"to go on later: lipkd sweep {folder} --resume")
        return 0
    options = SweepOptions(
        mlruns=arguments.mlruns,
        resume=arguments.resume,
        only_failed=arguments.only_failed,
        dry_run=arguments.dry_run,
        offline=arguments.offline,
        address=arguments.address,
        tracking_uri=arguments.tracking_uri,
        storage=arguments.storage,
    )
    return run_sweep(arguments.file, options).exit_code


def _sync(arguments: argparse.Namespace) -> int:
    from tuning.tracking.sync_folders import sync_folders

    return sync_folders(arguments.folders, mlruns=arguments.mlruns, tracking_uri=arguments.tracking_uri)


def _ui(arguments: argparse.Namespace) -> int:
    from tuning.tracking.ui import open_ui

    return open_ui(mlruns=arguments.mlruns, tracking_uri=arguments.tracking_uri, port=arguments.port)


def _dashboard(arguments: argparse.Namespace) -> int:
    from dashboard.launch import run_dashboard
    from tuning.tracking.client import choose_uri

    uri = choose_uri(arguments.mlruns, arguments.tracking_uri)
    return run_dashboard(
        uri,
        port=arguments.port,
        host=arguments.host,
        mlruns=arguments.mlruns,
        ui=arguments.ui,
        browser=sys.stdout.isatty() and not arguments.no_browser,
    )
