"""The command `lipkd`: it reads the arguments and calls the room that does the work.

The commands themselves stand in lipkd/commands. Exit codes: 0 done, 2 wrong input or a missing
thing (one sentence on stderr), 3 done but clips were rejected, 130 interrupted, 141 nobody reads the output.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lipkd.commands import bench, compare, data, learning, models, shell, tracking
from lipkd.commands.common import Run
from lipkd.errors import LipkdError
from lipkd.runtime.versions import versions_text

EXTRA_OF = {
    "aeneas": "align",
    "av": "prep",
    "cv2": "prep",
    "mediapipe": "prep",
    "mlflow": "tune",
    "optuna": "tune",
    "playwright": "dev",
    "rapidfuzz": "dashboard",
    "ray": "tune",
    "scipy": "prep",
    "shtab": "completion",
    "streamlit": "dashboard",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong usage leaves through SystemExit(2), as argparse does."""
    _replace_what_cannot_be_encoded()
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:  # `lipkd … | head`: nobody reads any more, and Python would complain at exit
        _discard_output()
        return 141


def _run(argv: Sequence[str] | None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except LipkdError as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        extra = EXTRA_OF[package]
        return _refuse(f"{arguments.command} needs {package}, which is not installed: pip install 'lipkd[{extra}]'")
    except BrokenPipeError:
        raise
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


def _replace_what_cannot_be_encoded() -> None:
    """A terminal or a file in Latin-1 or ASCII gets `?` for what it lacks, instead of an error in the middle."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _discard_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _refuse(message: str) -> int:
    print("lipkd:", " ".join(message.split()), file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Wrong usage is one sentence, like all wrong input; `--help` has the rest.

    A parser that is `intermixed` takes options between its arguments as well: `predict MODEL --json CLIP CLIP`.
    """

    intermixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # it calls this method itself, for either kind
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lipkd: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Prints the versions and ends, as argparse's own action does; they are looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        print(versions_text())
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """All commands with their arguments; each sets `run`, the function that does it."""
    parser = _Parser(prog="lipkd", description="Lip-reading experiments with online knowledge distillation.")
    parser.add_argument("--version", action=_Version, nargs=0, help="versions of lipkd and of what it is built on")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Run, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        added.set_defaults(run=run)
        added.intermixed = True
        return added

    for subject in (data, learning, compare, models, tracking, bench):
        subject.add(command)
    shell.add(command, build_parser)
    return parser
