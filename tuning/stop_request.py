"""`lipkd sweep --stop`: a file in the sweep's folder, which its driver and all its workers look for.

No trial is begun any more, and each that runs goes on to its next checkpoint, so nothing is computed twice.
The request is a file because a driver may run on another machine, and because it outlives whoever made it.
"""

from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.files import write_atomic
from lipkd.lock import is_held
from tuning.sweep_folder import driver_lock


class Paused(BaseException):
    """Ends a training loop between two epochs. No Exception: it is not a failure, and nothing may record it as one."""


def _file(folder: Path) -> Path:
    return folder / ".stop"


def request(folder: Path) -> None:
    """Request that the process which runs the sweep ends; raises LipkdError when none does."""
    if not is_held(driver_lock(folder)):
        raise LipkdError(f"sweep {folder.name!r} is not running ({folder}): there is nothing to stop")
    write_atomic(_file(folder), lambda temporary: temporary.write_text("", encoding="utf-8"))


def requested(folder: Path) -> bool:
    """Whether a stop is requested."""
    return _file(folder).exists()


def withdraw(folder: Path) -> None:
    """Remove an earlier request: the sweep begins, or goes on."""
    _file(folder).unlink(missing_ok=True)
