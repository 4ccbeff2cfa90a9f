"""The model bundle of MediaPipe's FaceLandmarker: from an option, the environment, a cache folder, or one download.

mediapipe 1.x ships no models. A file that the user names is taken as it is; what lies in the cache was
downloaded by us, so its digest must be the one we know.
"""

import hashlib
import os
import urllib.request
from pathlib import Path

from lipkd.errors import LipkdError
from lipkd.files import write_atomic

VARIABLE = "LIPKD_FACE_LANDMARKER"
NAME = "face_landmarker.task"
URL = f"https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/{NAME}"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
TIMEOUT_S = 30.0
MOST_BYTES = 64_000_000


def find_bundle(option: Path | None = None) -> Path:
    """The model file: `option`, else what LIPKD_FACE_LANDMARKER names, else the cache, else a download into it.

    Raises LipkdError when a named file is missing, or nothing is cached and the download fails: the
    sentence says what to fetch and where to put it.
    """
    for origin, named in (("--landmarker", option), (VARIABLE, os.environ.get(VARIABLE))):
        if named:
            path = Path(named).expanduser().absolute()
            if not path.is_file():
                raise LipkdError(f"{origin} {path}: no such file; it must be MediaPipe's {NAME}")
            return path
    cached = cache_folder() / NAME
    if cached.is_file() and digest_of(cached) == SHA256:
        return cached
    download(cached)
    return cached


def cache_folder() -> Path:
    """`lipkd` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "lipkd"


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(path: Path, url: str = URL) -> None:
    """Fetch the bundle to `path`; raises LipkdError when it cannot be fetched or is not the one we know."""
    by_hand = (
        f"fetch {url} (sha256 {SHA256}) on a machine that can, and put it at {path}, "
        f"or name it with --landmarker FILE or {VARIABLE}"
    )
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            content = answer.read(MOST_BYTES)
    except OSError as error:
        raise LipkdError(f"face landmark model: cannot be downloaded ({error}); {by_hand}") from error
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise LipkdError(f"face landmark model: the download has sha256 {found}, so it is not used; {by_hand}")
    write_atomic(path, lambda temporary: temporary.write_bytes(content))
