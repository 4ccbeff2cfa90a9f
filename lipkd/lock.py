"""One process at a time: a lock on a file, let go by the kernel when its holder ends, however it ends."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

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
    lock = FileLock(path)
    try:
        lock.acquire(timeout=max(wait, PROBE_S), poll_interval=STEP_S)
    except Timeout:
        holder = path.read_text(encoding="utf-8", errors="replace").strip()
        raise LipkdError(f"{what} is in use by {holder or 'another process'} (lock {path})") from None
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock file `path` now."""
    if not path.is_file():
        return False
    if _is_free(path):
        return False
    time.sleep(1e-3)  # or somebody else has asked in the same moment
    return not _is_free(path)


def _is_free(path: Path) -> bool:
    try:
        with FileLock(path).acquire(timeout=0):
            return True
    except Timeout:
        return False
    except OSError:  # filelock opens for writing, and a sweep of somebody else may only be read
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True
