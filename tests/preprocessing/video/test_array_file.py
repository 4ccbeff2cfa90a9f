"""Arrays that somebody hands in: a damaged one costs its clip, whatever its header asks for."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lipkd.errors import LipkdError
from preprocessing.face.mouth_reader import MouthReader
from preprocessing.prepare import prepare_corpus
from preprocessing.rejects import BadClip
from preprocessing.video.array_file import map_clip
from preprocessing.video.mouth_clips import load_array
from tests.preprocessing.clips import AddClip, noise


def npy(header: str, content: bytes = b"", version: int = 1) -> bytes:
    padded = header.encode() + b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY" + struct.pack("<BBH", version, 0, len(padded)) + padded + content


def uint8(shape: str, content: bytes = bytes(15000)) -> bytes:
    return npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}", content)


def archive(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return made.getvalue()


DAMAGED = {
    "petabytes": uint8("(1000000000, 1000, 1000, 3)"),
    "beyond any number": uint8("(99999999999999999999999, 50, 100, 3)"),
    "cut off": uint8("(10, 50, 100, 3)"),
    "negative": uint8("(-1, 50, 100, 3)"),
    "nothing": uint8("(0, 50, 100, 3)"),
    "flat": uint8("(15000,)"),
    "not a number": uint8("(1, 50, 'x', 3)"),
    "code": npy("__import__('os').abort()"),
    "nested": npy("(" * 5000),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 50, 100, 3), }", bytes(15000)),
    "records": npy("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (1, 50, 100, 3), }", bytes(15000)),
    "header of gigabytes": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(1000),
    "version": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 50, 100, 3), }", bytes(15000), version=9),
    "empty": b"",
    "text": b"no array at all",
    "archive": archive("clip.npy", uint8("(1, 50, 100, 3)")),
    "archive that asks for petabytes": archive("clip.npy", uint8("(1000000000, 1000, 1000, 3)")),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_array_is_a_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / "clip.npy").write_bytes(DAMAGED[name])
    with pytest.raises(BadClip, match=r"unreadable array: |not a clip: "):
        load_array(tmp_path / "clip.npy", (50, 100))
    with pytest.raises(LipkdError):
        MouthReader((50, 100, 3))(tmp_path / "clip.npy")


def test_an_array_of_any_order_and_place_is_read(tmp_path: Path) -> None:
    frames = noise(1)
    np.save(tmp_path / "rows.npy", frames)
    np.save(tmp_path / "columns.npy", np.asfortranarray(frames))
    for name in ("rows.npy", "columns.npy"):
        assert np.array_equal(load_array(tmp_path / name, (50, 100)), frames)
    (tmp_path / "later").write_bytes(b"12345" + (tmp_path / "rows.npy").read_bytes())
    assert np.array_equal(map_clip(tmp_path / "later", 5), frames)
    np.save(tmp_path / "long.npy", np.zeros((7501, 1, 1, 3), np.uint8))
    with pytest.raises(BadClip, match="too long: 7501 frames, at most 7500"):
        load_array(tmp_path / "long.npy", (50, 100))


def test_damaged_arrays_cost_themselves_only(add_clip: AddClip, tmp_path: Path) -> None:
    folder = tmp_path / "src" / "s1"
    folder.mkdir(parents=True)
    for number, content in enumerate(DAMAGED.values()):
        (folder / f"bad{number}.npy").write_bytes(content)
        (folder / f"bad{number}.txt").write_text("go up")
    np.save(folder / "good.npy", noise(1))
    (folder / "good.txt").write_text("go up")
    summary = prepare_corpus(tmp_path / "src", tmp_path / "store", layout="npy")
    assert (summary.accepted, summary.rejected) == (1, len(DAMAGED))
