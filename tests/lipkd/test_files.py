import os
import stat
import time
from pathlib import Path

import pytest

from lipkd.files import remove_temporaries, write_atomic, write_json


def test_a_file_is_as_private_as_its_owners_umask_says(tmp_path: Path) -> None:
    """Recordings of people may lie behind umask 077."""
    for umask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(umask)
        try:
            write_json(tmp_path / f"{umask:o}", {})
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{umask:o}").stat().st_mode) == mode


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def half(temporary: Path) -> None:
        temporary.write_text("{")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_atomic(path, half)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"] and path.read_text() == '{\n  "old": 1\n}\n'


def test_what_killed_writes_have_left_is_removed(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("a.json", ".lock", "notes.tmp", ".hidden")]
    for path in kept:
        path.write_text("")
    temporaries: list[Path] = []

    def killed(temporary: Path) -> None:
        temporaries.append(temporary)
        os.link(temporary, temporary.with_name(temporary.name.replace("a.json", "b.json")))  # outlives the write

    write_atomic(tmp_path / "a.json", killed)
    (left,) = tmp_path.glob(".b.json.*")
    remove_temporaries(tmp_path, older_s=3600)
    assert left.exists()  # somebody may be writing it
    old = time.time() - 7200
    os.utime(left, (old, old))
    remove_temporaries(tmp_path, older_s=3600)
    assert not left.exists() and all(path.exists() for path in kept)
