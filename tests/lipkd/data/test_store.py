import json
import math
from pathlib import Path

import numpy as np
import pytest

from lipkd.cli import main
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


def spoil(store: ClipStore, **changed: object) -> Path:
    """The store with fields of its second clip changed, by their JSON; returns its path."""
    rows = [json.loads(line) for line in (store.path / "manifest.jsonl").read_text().splitlines()]
    rows[1].update(changed)
    (store.path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return store.path


# The second of two clips has the frames 2 to 4 of 5.
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"id": "s1/0"}, "clip 's1/0': appears twice"),
        *(({"fps": fps}, f"clip 's1/1': {fps!r} frames/s, must be above 0") for fps in (0, 0.0, -25, True, "25", None)),
        ({"fps": math.nan}, "clip 's1/1': nan frames/s, must be above 0"),
        ({"fps": math.inf}, "clip 's1/1': inf frames/s, must be above 0"),
        *(({"start": start}, f"clip 's1/1': frames {start}+3 do not follow frame 2") for start in (-2, 0, 3, 10**30)),
        *(({"n_frames": n}, f"clip 's1/1': frames 2+{n} do not follow frame 2") for n in (0, -3)),
        *(
            ({"n_frames": n, "words": []}, f"the manifest accounts for {n + 2}, meta.json has 5")
            for n in (2, 4, 10**30)
        ),
        *(({"start": start}, f"clip 's1/1': start {start!r} and n_frames 3") for start in (2.0, "2", True, None, [2])),
        *(({"n_frames": n}, f"clip 's1/1': start 2 and n_frames {n!r}") for n in (3.0, "3", True, None)),
        *(
            ({"words": [["a", *ends]]}, f"clip 's1/1': word 'a' at {ends[0]}–{ends[1]} is outside 0–3")
            for ends in ((-1, 2), (2, 1), (0, 4))
        ),
        *(
            ({"words": words}, "clip 's1/1': words must be a list of [word, first frame, end frame]")
            for words in (
                [["a", 0.5, 2]],
                [["a", "0", "1"]],
                [["a", 0, True]],
                [["a", 0]],
                [[5, 0, 1]],
                ["abc"],
                "abc",
                5,
            )
        ),
        ({"speaker": 3}, "clip 's1/1': id, speaker, text, source and label must be texts"),
        ({"id": 5}, "clip 5: id, speaker, text, source and label must be texts"),
        ({"pitch": 1}, "clip 's1/1': no field is called 'pitch'"),
    ],
)
def test_a_clip_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, object], sentence: str
) -> None:
    path = spoil(write(tmp_path / "store"), **changed)
    assert main(["inspect", str(path), str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1) and str(path) in err and sentence in err
    assert not (tmp_path / "out").exists()
    assert main(["prepare", "--check", str(path)]) == 2
    assert sentence in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("{0}\n\n{1}\n", "manifest.jsonl, line 2: empty"),
        ("\n{0}\n{1}\n", "manifest.jsonl, line 1: empty"),
        ("{0}\n{1}\n   \n", "manifest.jsonl, line 3: empty"),
        ("{0}\n[]\n", "manifest.jsonl, line 2: a list instead of an object"),
        ("{0}\n{{}}\n", "'fps' is missing in meta.json or in the manifest"),
        ("{0}\n", "1 clips in the manifest, 2 in meta.json"),
        ("", "0 clips in the manifest, 2 in meta.json"),
    ],
)
def test_a_manifest_with_other_lines_than_clips_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str, sentence: str
) -> None:
    path = write(tmp_path / "store").path
    lines = (path / "manifest.jsonl").read_text().splitlines()
    (path / "manifest.jsonl").write_text(manifest.format(*lines))
    for command in (["inspect", str(path), str(tmp_path / "out")], ["prepare", "--check", str(path)]):
        assert main(command) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1) and str(path) in err and sentence in err
