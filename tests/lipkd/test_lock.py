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
