"""A PostgreSQL server of our own, from Debian's package: made, started and thrown away by whoever needs one."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dashboard.bench.servers import free_port


class Missing(RuntimeError):
    """What is not installed."""


def program(name: str) -> str:
    """One of PostgreSQL's programs; Debian keeps them out of the PATH. Raises Missing."""
    found = shutil.which(name) or next((str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), "")
    if not found:
        raise Missing(f"PostgreSQL is not installed ({name}): apt-get install postgresql")
    return found


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A running server with an empty database; gives its URI. It refuses to run as root, so then it has another
    user, and its data lie where that one may read."""
    initdb, pg_ctl, createdb = (program(name) for name in ("initdb", "pg_ctl", "createdb"))
    owner = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="lipkd-postgres-"))
    shutil.chown(folder, owner)
    data, port = folder / "data", free_port()

    def call(*command: str) -> None:
        ran = subprocess.run(
            command, user=owner if os.geteuid() == 0 else None, cwd=folder, capture_output=True, text=True
        )
        if ran.returncode != 0:
            raise RuntimeError(f"{command[0]}: {ran.stdout}{ran.stderr}")

    try:
        call(initdb, "--pgdata", str(data), "--username", "lipkd", "--auth", "trust", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        call(pg_ctl, "--pgdata", str(data), "--log", str(folder / "log"), "--options", options, "--wait", "start")
        try:
            call(createdb, "--host", "127.0.0.1", "--port", str(port), "--username", "lipkd", "lips")
            yield f"postgresql://lipkd@127.0.0.1:{port}/lips"
        finally:
            call(pg_ctl, "--pgdata", str(data), "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
