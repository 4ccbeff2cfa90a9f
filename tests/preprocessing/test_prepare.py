"""Ingest of mouth crops: what is stored, what is left out and why, and that nobody else pays for a bad clip."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.files import read_jsonl
from preprocessing import process_pool
from preprocessing.corpus.find import find_corpus
from preprocessing.corpus.source import Source
from preprocessing.face.crop import CropOptions
from preprocessing.prepare import prepare_corpus
from preprocessing.process_pool import check_all
from preprocessing.progress import Progress, print_progress
from preprocessing.rejects import BadClip
from preprocessing.synthetic.make_corpus import Corpus, draw_clip
from preprocessing.write_store import Prepared
from tests.preprocessing.clips import ALIGN, AddClip, noise


def problems(path: Path) -> list[str]:
    return ClipStore.open(path).check()


def test_pictures_and_videos_of_a_corpus_become_a_store(corpus: Corpus, tmp_path: Path) -> None:
    summary = prepare_corpus(corpus.path, tmp_path / "store", workers=1)
    assert (summary.accepted, summary.rejected, summary.frames, summary.exit_code) == (8, 0, corpus.frames, 0)
    assert "8 of 8 clips accepted" in summary.text()
    store = ClipStore.open(tmp_path / "store")
    assert [clip.id for clip in store.clips] == [f"s{s}/c{c:03d}" for s in (1, 2) for c in range(4)]
    assert store.meta["source_root"] == str(corpus.path)
    for clip in store.clips:
        spoken, drawn = draw_clip(0, int(clip.speaker[1:]) - 1, int(clip.id[-3:]))
        stored = store.read(clip)
        assert clip.text == " ".join(spoken.words)
        assert [word for word, _, _ in clip.words] == list(spoken.words)
        assert clip.fps == 25
        if clip.source.endswith(".mp4"):
            assert np.abs(stored.astype(int) - drawn).mean() < 6  # the codec, and the noise it leaves out
            assert np.abs(stored[..., ::-1].astype(int) - drawn).mean() > 12  # so it is RGB
        else:
            assert np.array_equal(stored, drawn)
    assert problems(tmp_path / "store") == []


def test_the_bytes_do_not_depend_on_the_workers(
    add_clip: AddClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "FEW", 0)
    for name in ("s10/a", "s2/b", "s2/a", "s2/c"):
        add_clip(name)
    add_clip("s2/broken", align=None)
    for workers in (1, 2):
        prepare_corpus(tmp_path / "src", tmp_path / f"store{workers}", workers=workers)
    for name in ("frames.npy", "manifest.jsonl", "rejects.jsonl", "meta.json"):
        assert (tmp_path / "store1" / name).read_bytes() == (tmp_path / "store2" / name).read_bytes()
    assert [clip.id for clip in ClipStore.open(tmp_path / "store1").clips] == ["s2/a", "s2/b", "s2/c", "s10/a"]


@pytest.mark.parametrize("place", ["src/s1/a.align", "src/align/s1/a.align", "align/s1/a.align"])
def test_alignments_are_found_beside_and_in_align_folders(add_clip: AddClip, tmp_path: Path, place: str) -> None:
    add_clip("s1/a", align=None)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(ALIGN)
    prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert ClipStore.open(tmp_path / "store").clips[0].text == "go up"


def test_a_given_align_folder_is_the_only_one_used(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a")
    (tmp_path / "mine/s1").mkdir(parents=True)
    (tmp_path / "mine/s1/a.align").write_text("0 9000 down\n")
    prepare_corpus(tmp_path / "src", tmp_path / "store", align=tmp_path / "mine")
    assert ClipStore.open(tmp_path / "store").clips[0].text == "down"


def test_pictures_of_another_size_are_resized_by_area(add_clip: AddClip, tmp_path: Path) -> None:
    frames = noise(1)  # even blocks: the mean of 2×2 pixels is their value
    add_clip("s1/a", frames=frames)
    prepare_corpus(tmp_path / "src", tmp_path / "store", options=CropOptions((25, 50)))
    store = ClipStore.open(tmp_path / "store")
    assert np.array_equal(store.frames, frames[:, ::2, ::2])


def test_limit_and_speakers_choose_clips(add_clip: AddClip, tmp_path: Path) -> None:
    for name in ("s1/a", "s2/a", "s2/b", "s10/a"):
        add_clip(name)
    prepare_corpus(tmp_path / "src", tmp_path / "one", speakers=["s10", "s2"], limit=2)
    assert [clip.id for clip in ClipStore.open(tmp_path / "one").clips] == ["s2/a", "s2/b"]
    with pytest.raises(LipkdError, match=r"speakers s3: not in the corpus, which has s1, s2, s10"):
        prepare_corpus(tmp_path / "src", tmp_path / "two", speakers=["s3", "s1"])


def test_hidden_files_and_other_folders_are_no_clips(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a")
    (tmp_path / "src/s1/._a.mp4").write_bytes(b"resource fork")
    (tmp_path / "src/s1/notes").mkdir()
    (tmp_path / "src/s1/notes/readme.txt").write_text("hello")
    assert [source.id for source in find_corpus(tmp_path / "src").sources] == ["s1/a"]


Spoil = Callable[[AddClip], Path]


def cut(add_clip: AddClip) -> Path:
    """The moov box, which an mp4 ends with, is gone."""
    path = add_clip("s1/bad", form="video")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def zeroed(add_clip: AddClip) -> Path:
    """Zeros from the first quarter of the pictures' data on; the index is whole."""
    path = add_clip("s1/bad", form="video", frames=noise(1, 40))
    data = bytearray(path.read_bytes())
    start, end = data.find(b"mdat"), data.rfind(b"moov")
    data[start + (end - start) // 4 : end - 8] = bytes(end - 8 - start - (end - start) // 4)
    path.write_bytes(data)
    return path


def text_file(add_clip: AddClip) -> Path:
    path = add_clip("s1/bad", form="video")
    path.write_bytes(b"this is no video" * 50)
    return path


def empty_file(add_clip: AddClip) -> Path:
    path = add_clip("s1/bad", form="video")
    path.write_bytes(b"")
    return path


def thirty(add_clip: AddClip, align: str) -> Path:
    path = add_clip("s1/a", form="video", align=align)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (100, 50))
    for frame in noise(1):
        writer.write(frame)
    writer.release()
    return path


def picture(number: int, content: np.ndarray | bytes | None, name: str | None = None) -> Spoil:
    """A folder of pictures in which one is replaced, or removed, or renamed."""

    def spoil(add_clip: AddClip) -> Path:
        path = add_clip("s1/bad")
        old = path / f"mouth_{number:03d}.png"
        old.unlink()
        new = path / (name or old.name)
        if isinstance(content, bytes):
            new.write_bytes(content)
        elif content is not None:
            cv2.imwrite(str(new), content)
        return path

    return spoil


def aligned(text: str | None) -> Spoil:
    return lambda add_clip: add_clip("s1/bad", align=text)


def no_pictures(add_clip: AddClip) -> Path:
    path = add_clip("s1/bad")
    for entry in path.iterdir():
        entry.unlink()
    return path


COLOUR = np.full((50, 100, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut, "truncated video: its index"),
        (text_file, "not a video: no known format"),
        (empty_file, "empty file: 0 bytes"),
        (zeroed, "truncated video: "),
        (no_pictures, "empty folder: no PNG in it"),
        (picture(4, None), "pictures missing: none between number 3 and mouth_005.png"),
        (picture(4, COLOUR, "mouth_4x.png"), "picture without a number: mouth_4x.png"),
        (picture(4, COLOUR, "mouth_05.png"), "picture number twice: mouth_005.png and mouth_05.png"),
        (picture(4, b"\x89PNG\r\n\x1a\nbroken"), "unreadable picture: mouth_004.png"),
        (picture(4, COLOUR[:, :, 0]), "not RGB: mouth_004.png has 1 channels of uint8, expected 3 of uint8"),
        (picture(4, COLOUR[:40]), "pictures of different sizes: mouth_004.png is 100×40 after 100×50"),
        (aligned(None), "no transcript: no s1/bad.align and no bad.txt found"),
        (aligned("0 5000 sil\n"), "broken alignment: "),
        (aligned("0 5000 route\n5000 9000 66\n"), "letters outside the alphabet: '6' in 'route 66'"),
        (aligned("0 5000 ...\n"), "no letter in the transcript: '...'"),
        # eleven letters, and blanks between the two double ones: 13 symbols in 12 frames
        (aligned("0 6000 hello\n6000 9000 jelly\n"), "too few frames: 12 for a transcript of 13 symbols"),
    ],
)
def test_a_bad_clip_is_left_out_with_its_reason(add_clip: AddClip, tmp_path: Path, spoil: Spoil, reason: str) -> None:
    add_clip("s1/good")
    path = spoil(add_clip)
    summary = prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert (summary.accepted, summary.rejected, summary.exit_code) == (1, 1, 3)
    (reject,) = read_jsonl(tmp_path / "store" / "rejects.jsonl")
    assert reject["id"] == "s1/bad"
    assert reject["source"] == path.relative_to(tmp_path / "src").as_posix()
    assert reject["reason"].startswith(reason)
    kind = reason.partition(":")[0]
    assert summary.reasons == {kind: 1}
    assert f"1  {kind}" in summary.text()
    assert problems(tmp_path / "store") == []


def test_thirty_frames_per_second_become_twenty_five(add_clip: AddClip, tmp_path: Path) -> None:
    thirty(add_clip, align="0 4000 go\n4000 10000 up\n")
    prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert [clip.n_frames for clip in ClipStore.open(tmp_path / "store").clips] == [10]


def test_what_a_clip_says_may_stand_in_a_text_file(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a", form="video", align=None).with_suffix(".txt").write_text("Go\n up! ")
    add_clip("s1/b", form="frames", align=None).with_name("b.txt").write_bytes(b"\xff\xfa")
    summary = prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert [clip.text for clip in ClipStore.open(tmp_path / "store").clips] == ["Go up!"]
    assert summary.reasons == {"broken transcript": 1}


def test_a_transcript_that_just_fits_is_accepted(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a", align="0 6000 helo\n6000 9000 jelly\n")  # ten symbols and a blank
    assert prepare_corpus(tmp_path / "src", tmp_path / "store").accepted == 1


def test_the_same_clip_in_two_forms_is_taken_once(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a", form="video")
    add_clip("s1/a", form="frames")
    summary = prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert (summary.accepted, summary.reasons) == (1, {"second copy of a clip": 1})


def test_equal_clips_under_two_names_are_told(add_clip: AddClip, tmp_path: Path) -> None:
    for name in ("s1/a", "s1/b", "s2/a"):
        add_clip(name, frames=noise(7 if name != "s1/b" else 8))
    summary = prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert summary.accepted == 3
    assert summary.copies == (("s1/a", "s2/a"),)
    assert "2 clips have exactly the frames of another one (s1/a = s2/a)" in summary.text()


def test_nothing_to_read_is_an_error(add_clip: AddClip, tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match=r"source .*src: no such folder"):
        prepare_corpus(tmp_path / "src", tmp_path / "store")
    (tmp_path / "src" / "s1").mkdir(parents=True)
    with pytest.raises(LipkdError, match=r"0 clips found in .*src: expected speaker/name.mp4 or speaker/name/\*.png"):
        prepare_corpus(tmp_path / "src", tmp_path / "store")
    add_clip("s1/a", align=None)
    with pytest.raises(LipkdError, match="every clip was rejected"):
        prepare_corpus(tmp_path / "src", tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "option", [{"limit": 0}, {"workers": 0}, {"options": CropOptions((0, 10))}, {"align": Path("/nowhere")}]
)
def test_options_out_of_range_are_refused(add_clip: AddClip, tmp_path: Path, option: dict[str, object]) -> None:
    add_clip("s1/a")
    with pytest.raises(LipkdError):
        prepare_corpus(tmp_path / "src", tmp_path / "store", **option)  # type: ignore[arg-type]
    assert not (tmp_path / "store").exists()


def test_a_store_is_never_overwritten(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a")
    prepare_corpus(tmp_path / "src", tmp_path / "store")
    with pytest.raises(LipkdError, match="already exists"):
        prepare_corpus(tmp_path / "src", tmp_path / "store")


def test_check_finds_a_flipped_byte(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/a")
    prepare_corpus(tmp_path / "src", tmp_path / "store")
    with open(tmp_path / "store" / "frames.npy", "r+b") as file:
        file.seek(5000)
        (byte,) = file.read(1)
        file.seek(5000)
        file.write(bytes([byte ^ 1]))
    assert problems(tmp_path / "store") == ["digest: frames or manifest have changed since the store was written"]
    with pytest.raises(LipkdError, match=r"no meta\.json"):
        problems(tmp_path / "src")


def die_of_c(source: Source) -> Prepared | BadClip:
    """A stand-in for a decoder that crashes on one clip and finds the others unusable."""
    if source.id == "s1/c":
        os._exit(11)
    return BadClip("seen", source.id)


def test_a_crashing_decoder_costs_one_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "FEW", 0)
    monkeypatch.setattr(process_pool, "AHEAD", 1)
    sources = [Source(f"s1/{name}", "s1", Path(name), None) for name in "abcde"]
    results = [str(result) for result in check_all(die_of_c, sources, 2)]
    crashed = "unreadable video: the decoder crashed on it"
    assert results == ["seen: s1/a", "seen: s1/b", crashed, "seen: s1/d", "seen: s1/e"]


def test_damaged_files_do_not_chatter_on_stderr(add_clip: AddClip, tmp_path: Path) -> None:
    add_clip("s1/good")
    zeroed(add_clip)
    picture(4, (add_clip("s2/c") / "mouth_000.png").read_bytes()[:60])(add_clip)
    program = (
        "import sys; from pathlib import Path; from preprocessing.prepare import prepare_corpus\n"
        "print(prepare_corpus(Path(sys.argv[1]), Path(sys.argv[2])).rejected)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "src"), str(tmp_path / "store")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert (result.stdout, result.stderr) == ("2\n", "")


def test_progress_is_told_after_every_clip(
    add_clip: AddClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_clip("s1/a")
    add_clip("s1/b", align=None)
    told: list[tuple[int, int]] = []
    prepare_corpus(
        tmp_path / "src", tmp_path / "store", on_progress=lambda progress: told.append((progress.done, progress.total))
    )
    assert told == [(1, 2), (2, 2)]
    for done in range(1, 101):
        print_progress(Progress(done, 100, done / 31.4))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert lines[-1] == "100/100 clips, 31.4 clips/s"
