"""A disk that fills up while a trial trains: a small tmpfs, which only root may mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 2**20


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size at `folder`; raises PermissionError where it may not be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        raise PermissionError("a tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, leave: int) -> Path:
    """A file beside the others that leaves only so many bytes of the disk; deleting it frees the space."""
    ballast = folder / "ballast"
    with open(ballast, "ab") as file:
        while (free := os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize) > leave:
            file.write(b"\0" * min(free - leave, MEGABYTE))
            file.flush()
    return ballast
