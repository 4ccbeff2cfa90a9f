import json
from pathlib import Path

import numpy as np
import pytest

from lipkd.data.store import ClipStore, StoreWriter
from lipkd.errors import LipkdError


def write(path: Path, order: tuple[int, ...] = (0, 1), root: str = "") -> ClipStore:
    with StoreWriter(path, height=2, width=3, channels=3, source_root=root) as writer:
        for value in order:
            frames = np.full((value + 2, 2, 3, 3), 10 * (value + 1), np.uint8)
            words = [("Hi", 0, 1), ("there,", 1, value + 2)]
            writer.add(frames, id=f"s1/{value}", speaker="s1", fps=25.0, text="Hi there,", words=words, source="x.mp4")
        writer.reject(id="s1/9", source="9.mp4", reason="no alignment")
        return writer.close()


def test_round_trip(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    assert [c.id for c in store.clips] == ["s1/0", "s1/1"]
    assert store.clip("s1/1").words == (("Hi", 0, 1), ("there,", 1, 3))
    assert store.read(store.clip("s1/1")).shape == (3, 2, 3, 3)
    assert store.read(store.clip("s1/1")).min() == 20
    assert store.speakers() == ["s1"]
    # 2 frames of 10 and 3 of 20: mean 16, variance 24.
    assert store.meta["mean"] == [16.0] * 3
    assert store.meta["std"] == [round(24**0.5, 4)] * 3
    assert store.check() == []
    assert "no alignment" in (store.path / "rejects.jsonl").read_text()


def test_digest_follows_content_and_not_place(tmp_path: Path) -> None:
    one, same, other = (
        write(tmp_path / name, order, root)
        for name, order, root in (("a", (0, 1), "/x"), ("b", (0, 1), "/y"), ("c", (1, 0), "/x"))
    )
    assert one.meta["digest"] == same.meta["digest"] != other.meta["digest"]


def test_check_finds_a_flipped_byte_and_a_wrong_word(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    with open(store.path / "frames.npy", "r+b") as file:
        file.seek(200)
        file.write(b"\x63")
    assert any("digest" in problem for problem in ClipStore.open(store.path).check())
    rows = [json.loads(line) for line in (store.path / "manifest.jsonl").read_text().splitlines()]
    rows[0]["words"][1][2] = 99
    (store.path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert any("'there,' at 1–99" in problem for problem in ClipStore.open(store.path, sound=False).check())
    with pytest.raises(LipkdError, match="damaged, clip 's1/0': word"):
        ClipStore.open(store.path)


def test_an_exception_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), StoreWriter(tmp_path / "store", height=2, width=3, channels=3):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_refusals_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match=r"no meta\.json"):
        ClipStore.open(tmp_path / "nothing")
    store = write(tmp_path / "store")
    with pytest.raises(LipkdError, match="already exists"):
        StoreWriter(store.path, height=2, width=3, channels=3)
    with pytest.raises(LipkdError, match="no clip 's9/1'"):
        store.clip("s9/1")
    with (
        pytest.raises(LipkdError, match="every clip was rejected"),
        StoreWriter(tmp_path / "empty", height=2, width=3, channels=3) as writer,
    ):
        writer.reject(id="a", source="a.mp4", reason="black")
        writer.close()
    meta = json.loads((store.path / "meta.json").read_text())
    (store.path / "meta.json").write_text(json.dumps({**meta, "frames": 4}))
    with pytest.raises(LipkdError, match=r"frames.npy is uint8\(5, 2, 3, 3\)"):
        ClipStore.open(store.path)
