"""What a trial was trained with: source, versions, command, machine and time, written anew at each start.

A trial may be started on one machine and resumed on another, from another commit. So its folder keeps a list, and what
is tracked of the trial comes from there, never from the machine that happens to look at it later.
"""

import re
import shlex
import socket
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from lipkd.runtime.versions import versions

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def start_entry(epoch: int, device: str, threads: int, command: str | None = None) -> dict[str, Any]:
    """The entry of a start after `epoch` epochs; `command` is that of the process that asked for it (default: ours)."""
    return {
        "time": time.time(),
        "epoch": epoch,
        "commit": source_commit(),
        "command": command or command_line(),
        "host": socket.gethostname(),
        "device": device,
        "threads": threads,
        "versions": versions(),
    }


def command_line() -> str:
    """The command line of this process, without user names and passwords in addresses."""
    program, *arguments = sys.argv
    return _CREDENTIALS.sub("", shlex.join([Path(program).name, *arguments]))


@lru_cache(maxsize=1)
def source_commit() -> str:
    """The commit of lipkd's own source, `+changes` when files differ from it; empty outside a checkout.

    It is looked up once in a process, as near to the import of what runs as can be.
    """
    here = Path(__file__).resolve()
    root = here.parents[2]
    try:
        _git(root, "ls-files", "--error-unmatch", str(here))  # not some checkout around an installed copy
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
