"""Files that are either whole or absent: write beside, flush to disk, rename."""

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from lipkd.errors import LipkdError

TEMPORARY = ".tmp"
Json = TypeVar("Json", dict[str, Any], list[Any])


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it to `path`.

    A full disk at any moment leaves the old file (or none), never half of the new one; so does a kill, which leaves the
    temporary file too, for `remove_temporaries`. The file's mode is what the user's umask says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        temporary.touch(exist_ok=False)  # mkstemp would make it private, and the rename keeps that
        write(temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path, older_s: float = 0.0) -> None:
    """Remove what killed writes have left in `folder`, if it is older than `older_s` seconds.

    With 0 the caller must be the only one who writes there.
    """
    for left in folder.glob(f".*.*{TEMPORARY}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime >= older_s:
                left.unlink()


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, says that a disk or a quota is full. Compiled libraries raise errors
    of their own, which name the system's error by its number only."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    while error is not None:
        if getattr(error, "errno", None) in codes or any(f"(os error {code})" in str(error) for code in codes):
            return True
        error = error.__cause__ or error.__context__
    return False


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path, kind: type[Json], way_out: str) -> Json:
    """The dict or list in a JSON file; raises LipkdError that says what is damaged, and `way_out`."""
    content = path.read_bytes()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LipkdError(f"{path}: {_damage(content, error)}; {way_out}") from error
    if not isinstance(value, kind):
        raise LipkdError(f"{path}: a {type(value).__name__} instead of a {kind.__name__}; {way_out}")
    return value


def _damage(content: bytes, error: Exception) -> str:
    if not content.strip():
        return "empty"
    return f"not JSON ({error.msg})" if isinstance(error, json.JSONDecodeError) else "not JSON"


def read_jsonl(path: Path, way_out: str = "") -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; raises LipkdError that names a damaged line, and the `way_out`."""
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            yield parse_line(line, f"{path}, line {number}", way_out)


def parse_line(line: bytes, where: str, way_out: str = "") -> dict[str, Any]:
    """The object in a line of JSON; raises LipkdError."""
    rest = f"; {way_out}" if way_out else ""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LipkdError(f"{where}: {_damage(line, error)}{rest}") from error
    if not isinstance(row, dict):
        raise LipkdError(f"{where}: a {type(row).__name__} instead of an object{rest}")
    return row
