"""Output never fails for want of a character, and a pipe that nobody reads ends a command quietly."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

Ran = subprocess.CompletedProcess[bytes]
ROOT = Path(__file__).resolve().parent.parent
C_LOCALE = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
ENCODINGS = [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, C_LOCALE]


def lipkd(*arguments: str, environment: dict[str, str] | None = None, out: int = PIPE, err: int = PIPE) -> Ran:
    command = [sys.executable, "-m", "lipkd", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | (environment or {}), stdout=out, stderr=err, check=False)


@pytest.mark.parametrize("environment", ENCODINGS)
def test_characters_that_cannot_be_encoded_are_replaced(environment: dict[str, str]) -> None:
    done = lipkd("sync", "--mlruns", "nowhere-→-Лев", environment=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"nothing to sync in nowhere-?")
    refused = lipkd("sync", "nowhere-→-Лев", environment=environment)
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"lipkd: ") and b"neither a sweep nor a trial" in refused.stderr
    assert b"Traceback" not in refused.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["sync", "--mlruns", "nowhere"]])
def test_a_pipe_that_nobody_reads_ends_with_141(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = lipkd(*arguments, out=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_error_that_nobody_reads_is_quiet_too() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert lipkd("sync", "nowhere", err=write).returncode == 141
    finally:
        os.close(write)
