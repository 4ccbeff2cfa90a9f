"""What lies in a corpus: its files, folders of pictures, and what is passed over on the way."""

import os
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lipkd.errors import LipkdError
from preprocessing.corpus.source import VIDEO_SUFFIXES, below

# Folders that systems and archives put everywhere.
SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
OF_A_CORPUS = VIDEO_SUFFIXES | {".npy", ".png", ".txt", ".align"}  # files that somebody expects to be read
STORE_FILES = ("meta.json", "manifest.jsonl", "frames.npy")
UNFINISHED = (".partial", ".work")  # folders beside a store that is being made


@dataclass(frozen=True)
class CorpusFiles:
    """The files under `root` in order, hidden ones and clip stores left out; links are followed, once.

    `empty` are folders without any file or folder, `stores` the clip stores that were passed over.
    """

    root: Path
    paths: tuple[Path, ...]
    empty: tuple[Path, ...] = ()
    stores: tuple[Path, ...] = ()

    def suffixed(self, *suffixes: str) -> list[Path]:
        """All files with one of these suffixes, in any case."""
        return [path for path in self.paths if path.suffix.lower() in suffixes]

    @cached_property
    def videos(self) -> list[Path]:
        """Everything that is named like a video, files or not."""
        return self.suffixed(*VIDEO_SUFFIXES)

    @cached_property
    def picture_folders(self) -> dict[Path, list[Path]]:
        """Folders with numbered pictures (`.png`) and no video in them, and their pictures."""
        pictures: defaultdict[Path, list[Path]] = defaultdict(list)
        for path in self.suffixed(".png"):
            pictures[path.parent].append(path)
        with_videos = {path.parent for path in self.videos}
        return {folder: found for folder, found in pictures.items() if folder not in with_videos}

    @cached_property
    def aligns(self) -> list[Path]:
        """All alignment files."""
        return self.suffixed(".align")

    def parts(self) -> list["CorpusFiles"]:
        """The folders directly in the corpus, each as a corpus of its own, without the stores."""
        depth = len(self.root.parts)
        below: defaultdict[Path, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
        for path in self.paths:
            if len(path.parts) > depth + 1:
                below[self.root / path.parts[depth]][0].append(path)
        for path in self.empty:
            if len(path.parts) > depth:
                below[self.root / path.parts[depth]][1].append(path)
        return [CorpusFiles(folder, tuple(found), tuple(empty)) for folder, (found, empty) in sorted(below.items())]

    def without(self, used: set[Path]) -> list[Path]:
        """The files that a corpus is made of and that are not `used`."""
        return [path for path in self.paths if path.suffix.lower() in OF_A_CORPUS and path not in used]


def list_files(root: Path) -> CorpusFiles:
    """Everything under a folder; of a file, its folder's. Raises LipkdError when there is no such folder, or a
    clip store."""
    if not root.is_dir():
        raise LipkdError(f"source {root}: no such folder")
    paths: list[Path] = []
    empty: list[Path] = []
    stores: list[Path] = []
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        here = Path(folder)
        if _is_store(here, files):
            if here == root:
                raise LipkdError(f"source {root}: is a clip store already; give the folder of the recordings")
            stores.append(here)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS)
        visible = sorted(name for name in files if not name.startswith("."))
        paths += (here / name for name in visible)
        if not visible and not folders:
            empty.append(here)
    return CorpusFiles(root, tuple(paths), tuple(empty), tuple(stores))


def _is_store(folder: Path, files: list[str]) -> bool:
    unfinished = folder.suffix in UNFINISHED and ("frames.npy" in files or "lock" in files)
    return unfinished or all(name in files for name in STORE_FILES)


def named(paths: list[Path], root: Path, most: int = 3) -> str:
    """The first of some paths, relative to the corpus, and how many more there are."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(below(path, root) for path in paths[:most]) + more
