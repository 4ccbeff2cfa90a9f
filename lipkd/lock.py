"""One process at a time: a lock on a file, let go by the kernel when its holder ends, however it ends."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lipkd.errors import LipkdError

PROBE_S = 1.0  # `is_held` takes the lock for a moment, so a taker tries for at least this long
STEP_S = 0.05


@contextlib.contextmanager
def only_one(path: Path, what: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; the file itself stays.

    Raises LipkdError naming `what` and the holder when another process still has it after `wait` seconds.
    Locks are advisory (flock) and work on local disks and on NFS.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        deadline = time.monotonic() + max(wait, PROBE_S)
        while not _try(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                file.seek(0)
                raise LipkdError(f"{what} is in use by {file.read().strip() or 'another process'} (lock {path})")
            time.sleep(STEP_S)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def is_held(path: Path) -> bool:
    """Whether some process holds the lock file `path` now."""
    if not path.is_file():
        return False
    with open(path, encoding="utf-8") as file:
        return not _try(file, fcntl.LOCK_SH)


def _try(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
