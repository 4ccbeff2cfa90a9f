"""Commands that take one network out of a trial, and read clips with it."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lipkd.commands.common import TTA, AddCommand, add_mlruns, sentences_of
from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from lipkd.ctc.hypothesis import Hypothesis
    from lipkd.data.store import Frames
    from lipkd.deployment.lipreader import LipReader
    from lipkd.deployment.predict import Source


def add(command: AddCommand) -> None:
    """Add these commands to the parser."""
    deploy = command("deploy", _deploy, "take one peer out of a trial, as a model that needs nothing else")
    deploy.add_argument("trial", metavar="TRIAL", help="folder of the trial, or its name")
    deploy.add_argument("--peer", type=int, metavar="N", help="which (default: lowest WER, then CER, on validation)")
    deploy.add_argument("--name", metavar="NAME", help="of the registered model (default: the trial's, - for dots)")
    deploy.add_argument("--out", type=Path, metavar="FOLDER", help="model folder (default: MLRUNS/models/NAME)")
    deploy.add_argument("--store", type=Path, help="path of the trial's clip store, if it has moved")
    deploy.add_argument("--no-register", action="store_true", help="write the folder only, register no model in MLflow")
    add_mlruns(deploy)
    deploy.add_argument(
        "--tracking-uri", metavar="URI", help="where to register (default: where its sweep is tracked, else in MLRUNS)"
    )

    predict = command("predict", _predict, "read the lips in videos with a deployed model")
    predict.add_argument("model", type=Path, metavar="MODEL", help="folder made by deploy")
    predict.add_argument("clips", type=Path, nargs="*", metavar="CLIP", help="video, folder of pictures, or .npy")
    predict.add_argument("--store", type=Path, metavar="STORE", help="read clips of this store")
    predict.add_argument("--ids", metavar="A,B", help="only these clips of the store (default: all)")
    predict.add_argument("--sentences", type=Path, metavar="FILE", help="closed list to choose from, one a line")
    predict.add_argument("--tta", action="store_true", help=TTA)
    predict.add_argument("--json", action="store_true", help="a line of JSON per clip, with times and confidence")
    predict.add_argument("--srt", type=Path, metavar="FOLDER", help="write subtitles there, CLIP.srt")
    predict.add_argument("--vtt", type=Path, metavar="FOLDER", help="write subtitles there, CLIP.vtt")
    predict.add_argument("--batch-size", type=int, default=8, metavar="N", help="clips at a time (default: 8)")
    predict.add_argument("--threads", type=int, default=0, metavar="N", help="processor threads (default: all)")
    predict.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    predict.add_argument("--margin", type=float, default=0.25, help="of the crop, when whole faces are shown (0.25)")
    predict.add_argument("--landmarker", type=Path, metavar="FILE", help="MediaPipe's face_landmarker.task")


NOT_IN_A_NAME = "/\\:.%\"'"  # MLflow takes none of these in the names of models
LONGEST_NAME = 250


def model_name(given: str | None, trial: str) -> str:
    """The name of the registered model: the given one, else the trial's with `-` for what MLflow does not take.

    Raises LipkdError for a given name that it does not take.
    """
    if given is None:
        return "".join("-" if character in NOT_IN_A_NAME else character for character in trial)[:LONGEST_NAME]
    allowed = given.strip() and given.isprintable() and len(given) <= LONGEST_NAME and not set(given) & {*NOT_IN_A_NAME}
    if not allowed:
        raise LipkdError(
            f"--name {given!r}: a name without slash, backslash, colon, dot, % or quotes, "
            f"of 1 to {LONGEST_NAME} characters"
        )
    return given


def _deploy(arguments: argparse.Namespace) -> int:
    from lipkd.deployment.deploy import extract, find_trial

    trial = find_trial(arguments.trial, arguments.mlruns / "sweeps")
    name = model_name(arguments.name, trial.name)
    model = extract(trial, arguments.peer, arguments.store)
    folder = arguments.out or arguments.mlruns / "models" / name
    model.save(folder)
    origin, metrics, cost = (model.card[part] for part in ("origin", "metrics", "cost"))
    print(f"{folder}: peer {origin['peer']} of {origin['peers']} ({origin['chosen']}), epoch {origin['epoch']}")
    print(
        f"  wer {metrics['wer']:.3f}, cer {metrics['cer']:.3f} on the {metrics['clips']} clips that chose it; "
        f"{cost['parameters'] / 1e6:.2f} M parameters, {cost['multiply_adds_per_s'] / 1e9:.2f} G multiply-adds/s"
    )
    if not arguments.no_register:
        from tuning.tracking.model_registry import register

        registered = register(folder, trial, name, mlruns=arguments.mlruns, tracking_uri=arguments.tracking_uri)
        print(f"  registered as {registered.uri}, version {registered.version}, in {registered.store}")
    print(f"to read with it: lipkd predict {folder} CLIP…")
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    if bool(arguments.clips) == bool(arguments.store):
        raise LipkdError("predict needs clips to read: either CLIP… or --store STORE")
    if arguments.ids and not arguments.store:
        raise LipkdError("--ids names clips of a store: give --store STORE as well")
    if arguments.threads < 0:
        raise LipkdError(f"--threads {arguments.threads}: must be at least 0")
    from lipkd.ctc.options import DecodingOptions
    from lipkd.ctc.subtitles import file_names, srt, vtt
    from lipkd.deployment.lipreader import LipReader
    from lipkd.deployment.predict import stored_clips, transcribe
    from lipkd.runtime.device import limit_threads

    sentences = sentences_of(arguments.sentences) if arguments.sentences else ()
    options = DecodingOptions.of(sentences=sentences, tta=arguments.tta, batch_size=arguments.batch_size)
    limit_threads(arguments.threads)
    reader = LipReader.load(arguments.model, arguments.device)
    if arguments.store:
        ids = arguments.ids.split(",") if arguments.ids else None
        sources = stored_clips(reader, arguments.store, ids)
    else:
        sources = _files(arguments, reader)
    writers: list[tuple[Path, str, Callable[[Hypothesis], str]]] = [
        (folder, suffix, write)
        for folder, suffix, write in ((arguments.srt, ".srt", srt), (arguments.vtt, ".vtt", vtt))
        if folder
    ]
    names = file_names([source.name for source in sources])
    unread = 0
    for name, (clip, hypothesis) in zip(names, transcribe(reader, sources, options), strict=True):
        if isinstance(hypothesis, LipkdError):
            print(f"lipkd: {clip}: {' '.join(str(hypothesis).split())}", file=sys.stderr)
            unread += 1
            continue
        line = json.dumps({"clip": clip, **hypothesis.to_json()}, ensure_ascii=False) if arguments.json else ""
        print(line or f"{clip}\t{hypothesis.text}", flush=True)
        for folder, suffix, write in writers:
            _write(folder / f"{name}{suffix}", write(hypothesis))
    return 3 if unread else 0


def _files(arguments: argparse.Namespace, reader: "LipReader") -> "list[Source]":
    """The clips named on the command line; OpenCV is needed for those that are no arrays."""
    from lipkd.deployment.predict import Source, load_array

    mouths: list[Callable[[Path], Frames]] = []

    def load(path: Path) -> "Frames":
        if not path.exists():
            raise LipkdError("no such file or folder")
        if path.suffix.lower() == ".npy":
            return load_array(path, reader.picture)
        if not mouths:
            from preprocessing.face.mouth_reader import MouthReader

            mouths.append(MouthReader(reader.picture, arguments.margin, arguments.landmarker))
        return mouths[0](path)

    named = [os.fsencode(path).decode(errors="replace") for path in arguments.clips]
    return [Source(name, partial(load, path)) for name, path in zip(named, arguments.clips, strict=True)]


def _write(path: Path, text: str) -> None:
    from lipkd.files import write_atomic

    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
