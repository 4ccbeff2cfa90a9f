"""How far the syncer has come with a folder: `sync.json`, one entry per tracking store."""

import json
from pathlib import Path
from typing import Any

from lipkd.files import write_json


class Cursor:
    """What of a folder has been sent to one tracking store; kept in the folder's `sync.json`."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / "sync.json"
        self.key = key
        try:
            self.all: dict[str, dict[str, Any]] = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.all = {}  # nothing lost but time: everything is sent again, and MLflow keeps one copy
        mine = self.all.get(key, {})
        self.run_id: str = mine.get("run_id", "")
        self.step: int = mine.get("step", 0)
        self.status: str = mine.get("status", "")
        self.tags: dict[str, str] = mine.get("tags", {})
        self.files: dict[str, list[int]] = mine.get("files", {})

    def clear(self) -> None:
        self.run_id, self.step, self.status, self.tags, self.files = "", 0, "", {}, {}

    def update(self, **changes: Any) -> None:
        """Change fields and write them to disk."""
        for name, value in changes.items():
            setattr(self, name, value)
        mine = {name: getattr(self, name) for name in ("run_id", "step", "status", "tags", "files")}
        write_json(self.path, {**self.all, self.key: mine})


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change: whether a file is as it was."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
