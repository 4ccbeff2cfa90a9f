"""What the commands of several subjects share."""

import argparse
import os
from pathlib import Path
from typing import Protocol

from lipkd.errors import LipkdError

TTA = "test-time augmentation: four views of each clip, the most confident counts (4 times the work, fewer errors)"


class AddCommand(Protocol):
    """Adds a command of a `name` that `run` does; `summary` is its line in the help."""

    def __call__(self, name: str, run: "Run", summary: str) -> argparse.ArgumentParser: ...


class Run(Protocol):
    """Does a command; returns the exit code."""

    def __call__(self, arguments: argparse.Namespace, /) -> int: ...


def add_mlruns(parser: argparse.ArgumentParser) -> None:
    """Where trials and their tracking lie."""
    default = Path(os.environ.get("LIPKD_MLRUNS") or "mlruns")
    parser.add_argument("--mlruns", type=Path, default=default, metavar="FOLDER", help=f"tracking folder ({default})")


def add_tracking(parser: argparse.ArgumentParser) -> None:
    """Which MLflow is told."""
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow server (default: the database in MLRUNS)")


def sentences_of(path: Path) -> tuple[str, ...]:
    """The sentences of a closed list, a line each; raises LipkdError when the file holds none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise LipkdError(f"{path}: not UTF-8 text") from error
    if not (sentences := tuple(line.strip() for line in lines if line.strip())):
        raise LipkdError(f"{path}: holds no sentence")
    return sentences


def height_and_width(text: str) -> tuple[int, int]:
    """50x100 as (50, 100), for argparse."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, like 50x100")
    return int(height), int(width)
