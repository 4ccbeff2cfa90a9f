"""The command that measures what training, reading and reviewing cost on this machine."""

import argparse
from pathlib import Path

from lipkd.commands.common import AddCommand, height_and_width
from lipkd.errors import LipkdError


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    bench = command("bench", _bench, "measure what training, reading and reviewing cost on this machine")
    bench.add_argument(
        "what",
        choices=("step", "gru", "predict", "sweep", "dashboard"),
        help="step: two peers over two single ones, for each method; gru: learning in the recurrent layers, over "
        "torch's, for each width; predict: time per second of video, for each width; sweep: the trials of FILE as a "
        "sweep, over the same trials bare; dashboard: its pages, and MLflow's own, in a browser on a made sweep",
    )
    bench.add_argument("file", type=Path, nargs="?", metavar="FILE", help="of sweep: a sweep file")
    bench.add_argument("--at-once", type=_counts, default=[1, 2], metavar="N,M", help="of sweep (default: 1,2)")
    bench.add_argument("--methods", metavar="A,B", help="of step (default: all)")
    bench.add_argument("--network", default="lipnet", help="(default: lipnet)")
    bench.add_argument("--widths", type=_widths, metavar="A,B", help="step takes the first (default: 1)")
    bench.add_argument("--crop", type=height_and_width, default=(50, 100), metavar="HxW", help="(default: 50x100)")
    bench.add_argument("--frames", type=int, default=75, metavar="N", help="of a clip (default: 75)")
    bench.add_argument("--batch-size", type=int, default=8, metavar="N", help="(default: 8)")
    bench.add_argument("--turns", type=int, metavar="N", help="measurements of each (default: 15; of dashboard: 3)")
    bench.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    bench.add_argument("--threads", type=int, default=0, metavar="N", help="processor threads (default: all)")
    bench.add_argument("--trials", type=int, default=1000, metavar="N", help="of dashboard (default: 1000)")
    bench.add_argument("--epochs", type=int, default=200, metavar="N", help="of dashboard (default: 200)")
    bench.add_argument("--metrics", type=int, default=20, metavar="N", help="of dashboard (default: 20)")
    bench.add_argument("--keep", type=Path, metavar="FOLDER", help="of dashboard: keep the made sweep, for next time")


def _bench(arguments: argparse.Namespace) -> int:
    if (arguments.what == "sweep") != (arguments.file is not None):
        raise LipkdError("bench sweep, and no other, takes a sweep file: lipkd bench sweep FILE")
    if arguments.what == "sweep":
        from tuning.bench import measure_sweep

        for line in measure_sweep(arguments.file, arguments.at_once):
            print(line, flush=True)
        return 0
    if arguments.what == "dashboard":
        return _dashboard(arguments)
    turns = 15 if arguments.turns is None else arguments.turns
    _at_least(frames=(arguments.frames, 2), batch_size=(arguments.batch_size, 1))
    _at_least(turns=(turns, 3), threads=(arguments.threads, 0))
    from lipkd.bench.measure import Load, report
    from lipkd.model.lipnet import NETWORKS
    from lipkd.model.methods import METHODS

    if arguments.network not in NETWORKS:
        raise LipkdError(f"--network {arguments.network}: must be of {', '.join(NETWORKS)}")
    methods = arguments.methods.split(",") if arguments.methods else list(METHODS)
    if unknown := [method for method in methods if method not in METHODS]:
        raise LipkdError(f"--methods {unknown[0]}: must be of {', '.join(METHODS)}")
    widths = arguments.widths or [1.0]
    load = Load(
        crop=arguments.crop,
        frames=arguments.frames,
        batch_size=arguments.batch_size,
        network=arguments.network,
        width=widths[0],
        device=arguments.device,
        threads=arguments.threads,
    )
    for line in report(arguments.what, load, methods=methods, widths=widths, turns=turns):
        print(line, flush=True)
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    turns = 3 if arguments.turns is None else arguments.turns
    _at_least(trials=(arguments.trials, 1), epochs=(arguments.epochs, 1), turns=(turns, 1))
    try:
        from dashboard.bench.made import Size
        from dashboard.bench.measure import measure_dashboard
    except ModuleNotFoundError as error:
        if error.name != "dashboard.bench":
            raise
        raise LipkdError(
            "bench dashboard is not part of the wheel: it needs a checkout of lipkd with the extra dev "
            "(pip install -e '.[dashboard,dev]')"
        ) from error

    size = Size(arguments.trials, arguments.epochs, arguments.metrics)
    for line in measure_dashboard(size, turns=turns, keep=arguments.keep):
        print(line, flush=True)
    return 0


def _at_least(**given: tuple[int, int]) -> None:
    """Raises LipkdError when an option is below the least that it may be."""
    for option, (value, least) in given.items():
        if value < least:
            raise LipkdError(f"--{option.replace('_', '-')} {value}: must be at least {least}")


def _counts(text: str) -> list[int]:
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers from 1 on, like 1,2")
    return [int(part) for part in text.split(",")]


def _widths(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of widths, like 1,0.5") from error
