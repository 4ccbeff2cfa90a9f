import subprocess
import sys
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from lipkd.lock import is_held, only_one

HOLDER = """
import sys
from pathlib import Path
from lipkd.lock import only_one
with only_one(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_held_while_the_block_runs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    assert not is_held(path)
    with only_one(path, "trial x"):
        assert is_held(path)
        with pytest.raises(LipkdError, match=r"trial x is in use by process \d+ on "), only_one(path, "trial x"):
            pytest.fail("held twice")
    assert not is_held(path)
    with only_one(path, "trial x"):
        assert is_held(path)


def test_let_go_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(path)
        holder.kill()
        holder.wait()
        assert not is_held(path)
        with only_one(path, "it"):
            assert is_held(path)


def test_the_holders_note_survives_who_asks_and_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with only_one(path, "it"):
        note = path.read_text()
        assert is_held(path) and note.startswith("process ")
        with pytest.raises(LipkdError, match="process"), only_one(path, "it"):
            pytest.fail("held twice")
        assert path.read_text() == note
    assert path.is_file()


def test_a_lock_that_may_only_be_read_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like that of a colleague's sweep. The test may run as root, who may write everything."""
    path = tmp_path / "lock"

    class ReadOnly:
        def __init__(self, path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

    with only_one(path, "it"), monkeypatch.context() as patched:
        patched.setattr("lipkd.lock.FileLock", ReadOnly)
        assert is_held(path)
    monkeypatch.setattr("lipkd.lock.FileLock", ReadOnly)
    assert not is_held(path)
