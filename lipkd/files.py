"""Files that are either whole or absent: write beside, flush to disk, rename."""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from lipkd.errors import LipkdError

Json = TypeVar("Json", dict[str, Any], list[Any])


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it to `path`.

    A kill or a full disk at any moment leaves the old file (or none), never half of the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise LipkdError(f"{path}: damaged ({_damage(path, error)}); {way_out}") from error
    if not isinstance(value, kind):
        raise LipkdError(f"{path}: damaged (a {type(value).__name__} instead of a {kind.__name__}); {way_out}")
    return value


def _damage(path: Path, error: ValueError) -> str:
    if path.stat().st_size == 0:
        return "empty"
    return f"not JSON: {error}" if isinstance(error, json.JSONDecodeError) else "not UTF-8 text"


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; raises ValueError naming the line that is not JSON."""
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error.msg})") from error
