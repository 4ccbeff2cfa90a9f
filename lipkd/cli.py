"""The command `lipkd`: it reads the arguments and calls the room that does the work.

Rooms are imported inside the functions that need them, so that `lipkd --help` answers at once and a
missing extra stops only the commands that need it. Exit codes: 0 done, 2 wrong input or a missing
thing (one sentence on stderr), 3 done but clips were rejected, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lipkd import __version__
from lipkd.errors import LipkdError

EXTRA_OF = {
    "aeneas": "align",
    "cv2": "prep",
    "mediapipe": "prep",
    "mlflow": "tune",
    "optuna": "tune",
    "ray": "tune",
    "streamlit": "dashboard",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage leaves through SystemExit(2), as argparse does."""
    arguments = build_parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except LipkdError as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        extra = EXTRA_OF[package]
        return _refuse(f"{arguments.command} needs {package}, which is not installed: pip install 'lipkd[{extra}]'")
    except BrokenPipeError:  # `lipkd … | head`: nobody listens any more, and Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("lipkd: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            return _refuse(f"{error.filename}: {error.strerror}")
        from lipkd.files import disk_is_full

        if not disk_is_full(error):
            raise
        return _refuse(f"the disk is full ({error}): what is on it is whole; free some space and call this again")


def _refuse(message: str) -> int:
    print("lipkd:", " ".join(message.split()), file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Wrong usage is one sentence, like all wrong input; `--help` has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lipkd: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """All commands with their arguments; each sets `run`, the function that does it."""
    parser = _Parser(prog="lipkd", description="Lip-reading experiments with online knowledge distillation.")
    parser.add_argument("--version", action="version", version=f"lipkd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        added.set_defaults(run=run)
        return added

    synth = command("synth", _synth, "make a synthetic corpus of mouth clips with transcripts and alignments")
    synth.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    synth.add_argument("--speakers", type=int, default=6, metavar="N", help="(default: 6)")
    synth.add_argument("--clips", type=int, default=60, metavar="N", help="clips of each speaker (default: 60)")
    synth.add_argument("--seed", type=int, default=0, help="another seed, another corpus (default: 0)")
    synth.add_argument("--form", choices=("video", "frames", "both"), default="video", help="(default: video)")

    prepare = command("prepare", _prepare, "turn mouth clips into a clip store, or check a store")
    prepare.add_argument(
        "src", type=Path, nargs="?", metavar="SRC", help="folder of speaker/name.mp4 or …/mouth_000.png"
    )
    prepare.add_argument("out", type=Path, nargs="?", metavar="OUT", help="clip store to make")
    prepare.add_argument(
        "--align", type=Path, metavar="FOLDER", help="where the .align files lie (default: found in SRC)"
    )
    prepare.add_argument("--size", type=_size, default=(50, 100), metavar="HxW", help="picture size (default: 50x100)")
    prepare.add_argument("--speakers", type=_names, metavar="A,B", help="only these speakers")
    prepare.add_argument("--limit", type=int, metavar="N", help="only the first N clips")
    prepare.add_argument("--workers", type=int, metavar="N", help="processes (default: one per processor)")
    prepare.add_argument("--check", type=Path, metavar="STORE", help="verify this store and make nothing")

    align = command("align", _align, "find out when each word is said, from sound and transcript")
    align.add_argument("src", type=Path, metavar="RAW", help="folder of speaker/name.mp4, with sound")
    align.add_argument("out", type=Path, metavar="OUT", help="folder for speaker/name.align")
    align.add_argument("--language", default="eng", metavar="CODE", help="eng, ita, … (default: eng)")
    align.add_argument("--transcripts", type=Path, metavar="TABLE", help=".csv or .jsonl with id (or path) and text")
    align.add_argument("--align", type=Path, metavar="FOLDER", help=".align files to take the words from")
    align.add_argument("--speakers", type=_names, metavar="A,B", help="only these speakers")
    align.add_argument("--limit", type=int, metavar="N", help="only the first N clips")
    align.add_argument("--sample", type=int, metavar="N", help="only N clips, by chance")
    align.add_argument("--seed", type=int, default=0, help="another seed, another sample (default: 0)")
    align.add_argument("--workers", type=int, metavar="N", help="clips at a time (default: one per processor)")
    align.add_argument("--force", action="store_true", help="align anew what is there already")
    align.add_argument("--compare", type=Path, metavar="FOLDER", help="measure against these .align files at the end")

    inspect = command("inspect", _inspect, "picture what is in a clip store, before training on it")
    inspect.add_argument("store", type=Path, metavar="STORE", help="clip store")
    inspect.add_argument("out", type=Path, nargs="?", metavar="OUT", help="file to write (default: beside STORE)")
    inspect.add_argument("--png", action="store_true", help="a picture instead of an HTML page")

    train = command("train", _train, "train one trial; a trial that was killed goes on where it was")
    train.add_argument("config", type=Path, metavar="CONFIG", help="YAML or JSON file of the trial")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. --set cohort.peers=2")
    train.add_argument("--device", help="auto, cpu, cuda or cuda:N (default: the file's)")
    train.add_argument("--threads", type=int, metavar="N", help="processor threads (default: the file's)")
    train.add_argument("--out", type=Path, metavar="FOLDER", help="trial folder (default: MLRUNS/sweeps/single/NAME)")
    _mlruns(train)

    evaluate = command("evaluate", _evaluate, "score a trial's checkpoint on its held-out clips")
    evaluate.add_argument("trial", type=Path, metavar="TRIAL", help="folder of the trial")
    evaluate.add_argument("--which", choices=("best", "last"), default="best", help="checkpoint (default: best)")
    evaluate.add_argument("--split", choices=("val", "test"), default="val", help="clips (default: val)")
    evaluate.add_argument("--protocol", choices=("letters", "as-written"), default="letters", help="(default: letters)")
    evaluate.add_argument(
        "--sentences",
        metavar="FILE",
        help="closed list, a sentence per line, or 'train' for those of the training clips (default: the trial's)",
    )
    evaluate.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")

    compare = command("compare", _compare, "say whether one method is better than another, and how sure that is")
    compare.add_argument(
        "trials", type=Path, nargs="+", metavar="FOLDER", help="a sweep, or trials of one method (one per seed)"
    )
    compare.add_argument(
        "--against", type=Path, nargs="+", metavar="TRIAL", help="trials of the other method (default: the controls)"
    )

    sweep = command("sweep", _sweep, "run the trials of a sweep file and track them in MLflow")
    sweep.add_argument("file", type=Path, metavar="FILE", help="sweep file (YAML)")
    sweep.add_argument("--resume", action="store_true", help="go on with a sweep of this name, or start it")
    instead = sweep.add_mutually_exclusive_group()
    instead.add_argument("--only-failed", action="store_true", help="go on with the trials that failed, and no others")
    instead.add_argument("--status", action="store_true", help="show how the trials stand, and run nothing")
    instead.add_argument("--stop", action="store_true", help="let a running sweep end at the next checkpoints")
    sweep.add_argument("--watch", action="store_true", help="with --status: again and again, until the sweep ends")
    sweep.add_argument("--dry-run", action="store_true", help="print the trials and what they cost, then stop")
    sweep.add_argument("--address", help="Ray cluster to run on (default: this machine alone)")
    sweep.add_argument("--storage", type=Path, metavar="FOLDER", help="where trial folders go (default: MLRUNS/sweeps)")
    sweep.add_argument("--offline", action="store_true", help="begin even if the MLflow server does not answer")
    _mlruns(sweep)
    _tracking(sweep)

    sync = command("sync", _sync, "bring trial folders, made here or elsewhere, into MLflow")
    sync.add_argument(
        "folders", type=Path, nargs="*", metavar="FOLDER", help="sweeps or trials (default: all in MLRUNS)"
    )
    _mlruns(sync)
    _tracking(sync)

    ui = command("ui", _ui, "open the MLflow UI on the tracking folder")
    dashboard = command("dashboard", _dashboard, "open the dashboard: leaderboard, learning curves, replay")
    for server, port in ((ui, 5000), (dashboard, 8501)):
        server.add_argument("--port", type=int, default=port, help=f"(default: {port})")
        _mlruns(server)
        _tracking(server)
    dashboard.add_argument("--host", default="127.0.0.1", help="(default: 127.0.0.1, this machine only)")
    return parser


def _mlruns(parser: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("LIPKD_MLRUNS") or "mlruns")
    parser.add_argument("--mlruns", type=Path, default=default, metavar="FOLDER", help=f"tracking folder ({default})")


def _tracking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow server (default: the database in MLRUNS)")


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, like 50x100")
    return int(height), int(width)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _synth(arguments: argparse.Namespace) -> int:
    from preprocessing.synth import make_corpus

    corpus = make_corpus(
        arguments.out, speakers=arguments.speakers, clips=arguments.clips, seed=arguments.seed, form=arguments.form
    )
    print(f"{corpus.path}: {corpus.clips} clips of {len(corpus.speakers)} speakers, {corpus.frames} frames")
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from preprocessing.cropped import check_store, prepare_cropped, print_progress

    if arguments.check:
        problems = check_store(arguments.check)
        print("\n".join(problems) or f"{arguments.check}: sound")
        return 2 if problems else 0
    if arguments.out is None:
        raise LipkdError("prepare needs SRC and OUT, or --check STORE")
    summary = prepare_cropped(
        arguments.src,
        arguments.out,
        align=arguments.align,
        size=arguments.size,
        limit=arguments.limit,
        speakers=arguments.speakers,
        workers=arguments.workers,
        on_progress=print_progress,
    )
    print(summary.text())
    return summary.exit_code


def _align(arguments: argparse.Namespace) -> int:
    from preprocessing.align_corpus import align_corpus
    from preprocessing.compare_align import compare_alignments
    from preprocessing.cropped import print_progress

    summary = align_corpus(
        arguments.src,
        arguments.out,
        language=arguments.language,
        transcripts=arguments.transcripts,
        align=arguments.align,
        speakers=arguments.speakers,
        limit=arguments.limit,
        sample=arguments.sample,
        seed=arguments.seed,
        workers=arguments.workers,
        force=arguments.force,
        on_progress=print_progress,
    )
    print(summary.text())
    if arguments.compare:
        print(compare_alignments(arguments.out, arguments.compare).text())
    return summary.exit_code


def _inspect(arguments: argparse.Namespace) -> int:
    from preprocessing.inspect_store import inspect_store

    out, facts = inspect_store(arguments.store, arguments.out, png=arguments.png)
    for finding in facts.findings:
        print(f"{len(finding.clips):5d} of {facts.clips} clips: {finding.what}")
    print(out)
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from lipkd.config import load_yaml, parse_config

    value = load_yaml(arguments.config)
    for item in arguments.set:
        override(value, item)
    for field in ("device", "threads"):
        if getattr(arguments, field) is not None:
            override(value, f"training.{field}={getattr(arguments, field)}")
    config = parse_config(value, str(arguments.config))

    from lipkd.train import fit  # torch, only now that the configuration is known to be good

    folder = arguments.out or arguments.mlruns / "sweeps" / "single" / config.trial_name()
    print(f"trial {folder}", flush=True)

    def report(epoch: int, metrics: dict[str, float]) -> None:
        print(
            f"epoch {epoch}/{config.training.epochs}  loss {metrics['train/loss']:.3f}  wer {metrics['val/wer']:.3f}  "
            f"cer {metrics['val/cer']:.3f}  {metrics['time/epoch_s']:.1f} s",
            flush=True,
        )

    metrics = fit(config, folder, on_report=report)
    print(f"best: wer {metrics['best/wer']:.3f}, cer {metrics['best/cer']:.3f} (epoch {metrics['best/epoch']:.0f})")
    print(f"to see it in MLflow and in the dashboard: lipkd sync {folder} --mlruns {arguments.mlruns}")
    return 0


def override(value: Any, item: str) -> None:
    """Set one field of a plain configuration: `cohort.peers=2`; the value is read as YAML."""
    import yaml

    key, equals, text = item.partition("=")
    *parents, name = key.split(".")
    for parent in parents:
        value = value.setdefault(parent, {}) if isinstance(value, dict) else None
    if not equals or not isinstance(value, dict):
        raise LipkdError(f"--set {item}: expected KEY=VALUE with a key of the configuration, like cohort.peers=2")
    try:
        value[name] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LipkdError(f"--set {item}: the value is not YAML") from error


def _evaluate(arguments: argparse.Namespace) -> int:
    from lipkd.evaluate import evaluate

    sentences = arguments.sentences
    if sentences not in (None, "train"):
        lines = Path(sentences).read_text(encoding="utf-8").splitlines()
        sentences = tuple(line.strip() for line in lines if line.strip())
    reading = evaluate(
        arguments.trial,
        which=arguments.which,
        part=arguments.split,
        device=arguments.device,
        sentences=sentences,
    )
    peers, ensemble = reading.count(arguments.protocol)
    print(f"{len(reading.rows)} {arguments.split} clips, {arguments.which} checkpoint, protocol {arguments.protocol}")
    print(f"{'':12} {'wer':>6} {'cer':>6} {'bleu':>6} {'sentences':>9}")
    named = {f"peer {index}": counts for index, counts in enumerate(peers)}
    if len(peers) > 1:
        named["ensemble"] = ensemble
    named |= {f"peer {i}, list": counts for i, counts in enumerate(reading.count_closed_list())}
    for name, c in named.items():
        print(f"{name:12} {c.wer:6.3f} {c.cer:6.3f} {c.bleu:6.3f} {c.sentence_accuracy:9.3f}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from lipkd.compare import compare, compare_all
    from lipkd.trial import TrialFolder

    def folders(paths: list[Path]) -> list[TrialFolder]:
        return [
            TrialFolder(found.parent)
            for path in paths
            for found in sorted([*path.glob("config.json"), *path.glob("*/config.json")])
        ]

    trials = folders(arguments.trials)
    if arguments.against:
        found = [compare(trials, folders(arguments.against))]
    else:
        found = compare_all(trials)
    if not found:
        raise LipkdError(f"{arguments.trials[0]}: no finished cohort with a control to compare it with")
    for comparison in found:
        print(f"{comparison.a} against {comparison.b}, {comparison.clips} clips, means over peers")
        print("  " + comparison.verdict().replace("\n", "\n  "))
    return 0


def _sweep(arguments: argparse.Namespace) -> int:
    from tuning.sweep import run_sweep, sweep_folder

    if arguments.watch and not arguments.status:
        raise LipkdError("--watch goes with --status")
    if arguments.status or arguments.stop:
        folder = sweep_folder(arguments.file, arguments.mlruns, arguments.storage)
        if arguments.status:
            from tuning.status import show_status

            return show_status(folder, watch=arguments.watch)
        from tuning.halt import ask

        ask(folder)
        print(
            f"asked: the trials of {folder.name} go on to their next checkpoints, and no other begins; later --resume"
        )
        return 0
    return run_sweep(
        arguments.file,
        mlruns=arguments.mlruns,
        resume=arguments.resume,
        address=arguments.address,
        tracking_uri=arguments.tracking_uri,
        storage=arguments.storage,
        dry_run=arguments.dry_run,
        only_failed=arguments.only_failed,
        offline=arguments.offline,
    ).exit_code


def _sync(arguments: argparse.Namespace) -> int:
    from tuning.sync import sync_folders

    return sync_folders(arguments.folders, mlruns=arguments.mlruns, tracking_uri=arguments.tracking_uri)


def _ui(arguments: argparse.Namespace) -> int:
    from tuning.ui import open_ui

    return open_ui(mlruns=arguments.mlruns, tracking_uri=arguments.tracking_uri, port=arguments.port)


def _dashboard(arguments: argparse.Namespace) -> int:
    from dashboard.launch import run_dashboard
    from tuning.tracking import choose_uri

    uri = choose_uri(arguments.mlruns, arguments.tracking_uri)
    return run_dashboard(uri, port=arguments.port, host=arguments.host)
