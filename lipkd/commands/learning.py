"""Commands that train and score."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from lipkd.commands.common import TTA, AddCommand, add_mlruns, sentences_of
from lipkd.errors import LipkdError


def add(command: AddCommand) -> None:
    """Add these commands to the parser."""
    train = command("train", _train, "train one trial; a trial that was killed goes on where it was")
    train.add_argument("config", type=Path, metavar="CONFIG", help="YAML or JSON file of the trial")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. --set cohort.peers=2")
    train.add_argument("--device", help="auto, cpu, cuda or cuda:N (default: the file's)")
    train.add_argument("--threads", type=int, metavar="N", help="processor threads (default: the file's)")
    train.add_argument("--out", type=Path, metavar="FOLDER", help="trial folder (default: MLRUNS/sweeps/single/NAME)")
    add_mlruns(train)

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
    evaluate.add_argument("--tta", action="store_true", help=TTA)
    evaluate.add_argument("--store", type=Path, help="path of the trial's clip store, if it has moved")
    evaluate.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")


def _train(arguments: argparse.Namespace) -> int:
    from lipkd.config.trial_config import parse_config
    from lipkd.config.yaml_file import load_yaml

    value = load_yaml(arguments.config)
    for item in arguments.set:
        override(value, item)
    for field in ("device", "threads"):
        if getattr(arguments, field) is not None:
            override(value, f"training.{field}={getattr(arguments, field)}")
    config = parse_config(value, str(arguments.config))

    from lipkd.training.resolve import resolve
    from lipkd.training.train import fit  # torch, only now that the configuration is known to be good

    config = resolve(config, str(arguments.config))
    folder = arguments.out or arguments.mlruns / "sweeps" / "single" / config.trial_name()
    print(f"trial {folder}", flush=True)

    seconds: list[float] = []  # of the epochs of this start, which tell best how long the others take

    def report(epoch: int, metrics: dict[str, float]) -> None:
        seconds.append(metrics["time/epoch_s"])
        left = (config.training.epochs - epoch) * sum(seconds) / len(seconds)
        print(
            f"epoch {epoch}/{config.training.epochs}  loss {metrics['train/loss']:.3f}  wer {metrics['val/wer']:.3f}  "
            f"cer {metrics['val/cer']:.3f}  {metrics['time/epoch_s']:.1f} s, {time_left(left)} left",
            flush=True,
        )

    metrics = fit(config, folder, on_report=report, on_note=lambda note: print(note, flush=True))
    print(f"best: wer {metrics['best/wer']:.3f}, cer {metrics['best/cer']:.3f} (epoch {metrics['best/epoch']:.0f})")
    print(f"to track it in MLflow and the dashboard: lipkd sync {folder} --mlruns {arguments.mlruns}")
    return 0


def time_left(seconds: float) -> str:
    """A time to wait, as exact as it can be known: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def override(value: Any, item: str) -> None:
    """Set one field of a plain configuration: `cohort.peers=2`; the value is read as YAML."""
    from lipkd.config.yaml_file import parse_yaml

    key, equals, text = item.partition("=")
    *parents, name = key.split(".")
    for parent in parents:
        value = value.setdefault(parent, {}) if isinstance(value, dict) else None
    if not equals or not isinstance(value, dict):
        raise LipkdError(f"--set {item}: expected KEY=VALUE with a key of the configuration, like cohort.peers=2")
    value[name] = parse_yaml(text, f"--set {item}: the value")


def _evaluate(arguments: argparse.Namespace) -> int:
    from lipkd.data.views import TTA_VIEWS
    from lipkd.evaluation.evaluate import evaluate, trial_options
    from lipkd.files import write_jsonl
    from lipkd.trial import TrialFolder

    sentences = arguments.sentences
    if sentences not in (None, "train"):
        sentences = sentences_of(Path(sentences))
    options = trial_options(arguments.trial, sentences=sentences, store_path=arguments.store)
    if arguments.tta:
        options = replace(options, views=TTA_VIEWS)
    reading = evaluate(
        arguments.trial,
        which=arguments.which,
        part=arguments.split,
        device=arguments.device,
        options=options,
        store_path=arguments.store,
    )
    as_trained = arguments.which == "best" and arguments.sentences is None and not arguments.tta
    folder = TrialFolder(arguments.trial)
    if arguments.split == "test" and as_trained and folder.state()["state"] == "finished":
        write_jsonl(folder.predictions("test"), reading.rows)  # for `lipkd compare`
    peers, ensemble = reading.count(arguments.protocol)
    how = f"protocol {arguments.protocol}" + (
        f", the most confident of {len(options.views)} views" if arguments.tta else ""
    )
    print(f"{len(reading.rows)} {arguments.split} clips, {arguments.which} checkpoint, {how}")
    print(f"{'':12} {'wer':>6} {'cer':>6} {'bleu':>6} {'sentences':>9}")
    named = {f"peer {index}": counts for index, counts in enumerate(peers)}
    if len(peers) > 1:
        named["ensemble"] = ensemble
    named |= {f"peer {i}, list": counts for i, counts in enumerate(reading.count_closed_list())}
    for name, c in named.items():
        print(f"{name:12} {c.wer:6.3f} {c.cer:6.3f} {c.bleu:6.3f} {c.sentence_accuracy:9.3f}")
    return 0
