"""The report on a clip store: what it counts, what it finds odd, and that a stranger's names stay text."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipkd.cli import main
from lipkd.data.store import ClipStore, StoreWriter
from lipkd.errors import LipkdError
from lipkd.files import write_jsonl
from preprocessing.report.contact_sheet import FRAMES, GAP, contact_sheet
from preprocessing.report.facts import gather
from preprocessing.report.html import bins, duration, page
from preprocessing.report.inspect_store import inspect_store

EVIL = "<script>alert('\"&')</script>"


@pytest.fixture
def odd_store(tmp_path: Path) -> ClipStore:
    """Three clips of 10, 20 and 60 frames of 10×20 pixels: a plain one, an odd one, and one that is all but black."""
    with StoreWriter(tmp_path / f"odd {EVIL.replace('/', '')}", height=10, width=20, channels=3) as writer:
        for clip, level, n_frames, text, words in (
            ("ann/plain", 100, 10, "ciao a", [("ciao", 0, 5), ("a", 5, 10)]),
            ("ann/odd", 140, 20, "Città 7 no", [("Città", 0, 1), ("7", 1, 1), ("nö", 1, 20)]),
            (f"{EVIL}/dark", 5, 60, f"{EVIL} ciao", []),
        ):
            frames = np.full((n_frames, 10, 20, 3), level, np.uint8)
            speaker = clip.rpartition("/")[0]
            writer.add(frames, id=clip, speaker=speaker, fps=25.0, text=text, words=words, source=f"{clip}.mp4")
        writer.reject(id="ann/mute", source="ann/mute.mp4", reason="no audio: none")
        writer.reject(id="ann/mute2", source="ann/mute2.mp4", reason=f"no audio: {EVIL}")
        writer.reject(id="bob/x", source="bob/x.mp4", reason="unreadable video: none")
        store = writer.close()
    seen = [{"id": "ann/plain", "face_found": 1.0}, {"id": "ann/odd", "face_found": 0.7, "other_faces": 1}]
    write_jsonl(store.path / "seen.jsonl", seen)
    return store


def test_facts_are_counted_by_hand(odd_store: ClipStore) -> None:
    facts = gather(odd_store)
    assert (facts.clips, facts.durations) == (3, (0.4, 0.8, 2.4))
    assert facts.seconds == pytest.approx(3.6)
    ann, evil = facts.speakers
    assert (ann.name, ann.clips, ann.brightness, ann.darkest, ann.brightest) == ("ann", 2, 120, 100, 140)
    assert ann.face_found == pytest.approx((1.0 * 10 + 0.7 * 20) / 30)
    assert (evil.name, evil.face_found) == (EVIL, None)
    assert dict(facts.words) == {"ciao": 2, "a": 1, "citta": 1, "7": 1, "no": 1, "script": 2, "alert": 1}
    assert facts.word_frames == (5, 5, 1, 0, 19)
    assert {"C": 1, "à": 1, "7": 1}.items() <= dict(facts.as_written).items()
    assert facts.rejects[0] == ("no audio", 2, "ann/mute: no audio: none")
    assert facts.rejects[1][:2] == ("unreadable video", 1)


def test_what_is_odd_is_found_with_its_clips(odd_store: ClipStore) -> None:
    assert {finding.what: finding.clips for finding in gather(odd_store).findings} == {
        "letters outside the alphabet: 7": ("ann/odd",),
        "letters that the alphabet lacks, read as à as a": ("ann/odd",),
        "no word times": (f"{EVIL}/dark",),
        "word times of other words than the transcript's": ("ann/odd",),
        "words of no length": ("ann/odd",),
        "words under 2 frames": ("ann/odd",),
        "dark (mean grey under 30)": (f"{EVIL}/dark",),
        "face missed in more than a tenth of the frames": ("ann/odd",),
        "other faces in the picture": ("ann/odd",),
    }


def test_nothing_odd_is_said_of_a_sound_store(tiny_store: ClipStore) -> None:
    assert gather(tiny_store).findings == ()
    assert "No problem was found" in page(gather(tiny_store), {})


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_stands_alone_and_names_stay_text(odd_store: ClipStore, tmp_path: Path) -> None:
    out, _ = inspect_store(odd_store.path, tmp_path / "report.html")
    content = out.read_text(encoding="utf-8")
    parser = Tags()
    parser.feed(content)
    assert not [tag for tag, _ in parser.tags if tag in ("script", "link", "iframe")]
    images = [attributes for tag, attributes in parser.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["frames of ann", f"frames of {EVIL}"]
    pictures = [base64.b64decode((image["src"] or "").removeprefix("data:image/jpeg;base64,")) for image in images]
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)
    assert not [a for _, attributes in parser.tags for a in attributes if a.startswith("on") or a == "href"]
    for shown in ("face found", "80.0 %", "unreadable video", "3 clips left out", "<b>1 clip</b>: words of no length"):
        assert shown in content


def test_the_command_writes_a_page_and_a_picture_beside_the_store(
    tiny_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    copy.symlink_to(tiny_store.path)
    assert main(["inspect", str(copy)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'copy-report.html'}\n"
    assert main(["inspect", str(copy), "--png"]) == 0
    picture = cv2.imread(str(tmp_path / "copy-report.png"))
    assert picture is not None and picture.shape[1] >= 960
    assert np.unique(picture).size > 50  # mouths and letters, not a white sheet


def test_a_sheet_shows_three_frames_of_clips_spread_over_the_speaker(tiny_store: ClipStore) -> None:
    clips = [clip for clip in tiny_store.clips if clip.speaker == "ada"]
    sheet = contact_sheet(tiny_store, clips)
    assert sheet.shape == (2 * 24 + GAP, 4 * FRAMES * 48 + 3 * GAP, 3)  # six clips: four, and two below
    first = tiny_store.read(clips[0])
    assert np.array_equal(sheet[:24, :48], first[round(0.25 * (len(first) - 1))])
    assert (sheet[24 + GAP :, 2 * (FRAMES * 48 + GAP) :] == 255).all()


def test_a_grey_store_of_wide_crops_is_shown_small(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", height=40, width=320, channels=1) as writer:
        frames = np.full((5, 40, 320, 1), 90, np.uint8)
        writer.add(frames, id="a/a", speaker="a", fps=25.0, text="x", words=[("x", 0, 5)], source="a")
        store = writer.close()
    assert contact_sheet(store, list(store.clips)).shape == (20, 3 * 160, 3)
    assert inspect_store(store.path, png=True)[0].name == "store-report.png"


def test_a_report_does_not_go_into_the_store(tiny_store: ClipStore, tmp_path: Path) -> None:
    before = sorted(tiny_store.path.iterdir())
    for out in (tiny_store.path / "frames.npy", tmp_path):
        with pytest.raises(LipkdError, match="must be a file outside the store"):
            inspect_store(tiny_store.path, out)
    assert sorted(tiny_store.path.iterdir()) == before


def test_a_damaged_file_beside_the_manifest_is_named(odd_store: ClipStore) -> None:
    (odd_store.path / "seen.jsonl").write_text(json.dumps({"id": "ann/plain"}) + "\n{")
    with pytest.raises(LipkdError, match=re.escape("seen.jsonl, line 2: not JSON")):
        gather(odd_store)


@pytest.mark.parametrize(
    ("values", "counts", "edges"),
    [
        ((3.0, 3.0), [2], [3, 4]),
        ((1, 2, 2, 4), [1, 2, 0, 1], [1, 2, 3, 4, 5]),
        ((0, 39), [1, *[0] * 18, 1], list(range(0, 41, 2))),
        ((0.25,), [1], [0.25, 1.25]),
    ],
)
def test_histograms_of_whole_numbers_have_whole_bins(
    values: tuple[float, ...], counts: list[int], edges: list[float]
) -> None:
    assert bins(values) == (counts, edges)


def test_durations_are_said_as_people_do() -> None:
    assert [duration(seconds) for seconds in (142, 300, 7260)] == ["142 s", "5 min", "2 h 1 min"]
