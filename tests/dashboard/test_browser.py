"""The real dashboard in a real browser: pages open, a clip plays, links and buttons lead where they say."""

import contextlib
import dataclasses
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from dashboard.bench.servers import free_port, wait_for
from dashboard.tracking.records import read_sweeps, read_trials
from lipkd.data.store import ClipStore
from tests.dashboard.filmed import film, needs_ffmpeg, store_of
from tests.dashboard.tracked import HOSTILE, Planned, track_hostile, track_sweep

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# Streamlit looks for its server below the page's own path first, and Chromium reports that as an error.
PROBE = re.compile(r"/(sweeps|compare|replay|errors|try_it)/_stcore/(health|host-config)$")
PLAYER = "[...document.querySelectorAll('*')].find(e => e.shadowRoot?.querySelector('.player')).shadowRoot"
HOSTILE_ID = "ada/../../<img src=x onerror=alert(1)>'\""
HOSTILE_TEXT = "</script><img src=x onerror=alert(name)> ${alert(name)}"
# Elements that only injected markup makes, also in shadow trees.
INJECTED = """() => {
  const bad = '[onerror], [onload], img[src="x"], img[src*="stranger"], a[href^="javascript:"]';
  const trees = [document];
  for (const tree of trees)
    for (const element of tree.querySelectorAll('*')) if (element.shadowRoot) trees.push(element.shadowRoot);
  return trees.flatMap(tree => [...tree.querySelectorAll(bad)].map(element => element.outerHTML));
}"""
PATIENCE = 60_000  # milliseconds, on a busy machine

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@dataclass
class Tab:
    """A browser tab on the dashboard, and what its console complained of."""

    page: Page
    root: str
    errors: list[str] = field(default_factory=list)

    def open(self, path: str, **query: str | list[str]) -> None:
        self.page.goto(f"{self.root}/{path}?{urlencode(query, doseq=True)}")
        self.settle()

    def settle(self) -> None:
        """Wait until the page is drawn and its address written."""
        expect(self.page.locator("h1")).to_be_visible(timeout=PATIENCE)
        app = self.page.get_by_test_id("stApp")
        expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=PATIENCE)

    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.page.url).query)

    def sound(self) -> None:
        """Nothing failed: no exception box, no error sentence, nothing in the console."""
        assert self.page.get_by_test_id("stException").count() == 0
        assert self.page.get_by_test_id("stAlert").all_inner_texts() == []
        assert self.errors == []

    def note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not PROBE.search(message.location.get("url", "")):
            self.errors.append(f"{message.text} {message.location}")


@pytest.fixture(scope="module")
def tracked(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tracked sweeps, and `filmed`: two clips from videos with sound, and a hostile one."""
    if shutil.which("ffmpeg") is None:
        return tracking
    folder = tmp_path_factory.mktemp("filmed")
    shutil.copy(tracking.removeprefix("sqlite:///"), folder / "mlflow.db")
    film(folder / "raw" / "one.mpg", "-c:v", "mpeg1video", "-c:a", "mp2")
    film(folder / "raw" / "two.mp4")
    film(folder / "secret.mp4")
    sources = {"ada/one": "one.mpg", "ada/two": "two.mp4", HOSTILE_ID: "../secret.mp4"}
    store = store_of(folder / "store", folder / "raw", sources)
    store = dataclasses.replace(store, clips=(*store.clips[:2], dataclasses.replace(store.clips[2], text=HOSTILE_TEXT)))
    return track_sweep(folder, "filmed", store, store.clips, [Planned((1.0, 0.5), (0.5, 0.2), "dml", 2)], began=-60.0)


@pytest.fixture(scope="module")
def root(tracked: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard that `run_dashboard` has started, on a free port."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serve(tracked, log) as address:
        yield address
    said = log.read_text()
    assert f"dashboard: {address}" in said
    assert "Traceback" not in said
    with socket.socket() as probe:  # the server is gone with the command that started it
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


@contextlib.contextmanager
def serve(tracking: str, log: Path) -> Iterator[str]:
    """The address of a dashboard for as long as the block runs."""
    port = free_port()
    start = "import sys; from dashboard.launch import run_dashboard as run; run(sys.argv[1], port=int(sys.argv[2]))"
    with open(log, "wb") as output:
        server = subprocess.Popen([sys.executable, "-c", start, tracking, str(port)], stdout=output, stderr=output)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/_stcore/health", server, log)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Browser, root: str) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(PATIENCE)
    opened = Tab(context.new_page(), root)
    opened.page.on("console", opened.note)
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.page.on("dialog", lambda dialog: opened.errors.append(f"dialog {dialog.message}"))
    yield opened
    context.close()


@pytest.fixture(scope="module")
def names(tracking: str) -> dict[str, str]:
    """Full names of the demo trials by what comes before the batch size."""
    demo = next(sweep for sweep in read_sweeps(tracking) if sweep.name == "demo")
    return {trial.name.partition("-b")[0]: trial.name for trial in read_trials(tracking, demo) if trial.epochs}


def test_every_page_opens(tab: Tab) -> None:
    """The pages with their tables, charts and video, and nothing in the console."""
    for path, title, charts in (
        ("", "Leaderboard", 2),
        ("compare", "Compare", 3),
        ("replay", "Replay", 0),
        ("errors", "Errors", 1),
    ):
        tab.open(path, sweep="demo")
        assert tab.page.locator("h1").inner_text() == title
        assert tab.query()["sweep"] == ["demo"]
        expect(tab.page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
        expect(tab.page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(charts)
        tab.sound()


def test_a_clip_plays_under_its_subtitles(tab: Tab, names: dict[str, str]) -> None:
    """The words light up while they are said, and the cursor and the frame follow the video."""
    tab.open("replay", sweep="demo", a=names["attention-p2-w1"], b=names["vanilla-w0.5"], clip="cleo/02")
    assert tab.page.get_by_test_id("reference").inner_text() == "set red now"
    player, video = tab.page.get_by_test_id("player"), tab.page.locator("video")
    assert player.locator(".text").first.inner_text().split() == ["set", "red", "now"]
    assert player.locator(".who").all_inner_texts() == ["reference", "A", "B"]
    player.get_by_role("button", name="play").click()
    expect(player).to_have_attribute("data-frame", re.compile(r"^(1\d|2\d)$"))
    assert video.evaluate("v => [v.videoWidth, v.videoHeight, v.error]") == [96, 48, None]
    assert video.evaluate("v => v.duration") == pytest.approx(25 / 25, abs=0.1)
    expect(player.locator(".text .now").first).to_be_visible()
    player.get_by_role("button", name="pause").click()
    at = video.evaluate("v => v.currentTime")
    assert float(player.get_attribute("data-time") or "") == pytest.approx(at, abs=0.06)
    table = tab.page.locator("table.lk").inner_text()
    assert all(who in table for who in ("A · peer 0", "A · peer 1", "A · ensemble", "B · peer 0"))
    tab.sound()


def test_the_keyboard_moves_the_player_and_the_clips(tab: Tab) -> None:
    """Arrows step by frames and set the speed, a click on the panel goes to a moment, n and p to other clips."""
    tab.open("replay", sweep="demo", order="by name", clip="cleo/00")
    player, video = tab.page.get_by_test_id("player"), tab.page.locator("video")
    expect(player).to_have_attribute("data-frame", "0")
    for key, frame in (("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1")):
        tab.page.keyboard.press(key)
        expect(player).to_have_attribute("data-frame", frame)
    for key, speed in (("ArrowDown", 0.75), ("ArrowDown", 0.5), ("ArrowUp", 0.75)):
        tab.page.keyboard.press(key)
        assert video.evaluate("v => v.playbackRate") == speed
    left = cursor(player)
    box = player.locator(".map").bounding_box()
    assert box is not None
    tab.page.mouse.click(box["x"] + box["width"] - 20, box["y"] + 30)
    expect(player).to_have_attribute("data-frame", "17")
    assert cursor(player) > left + 300
    tab.page.keyboard.press("n")
    expect(tab.page.get_by_test_id("reference")).to_have_text("lay blue now")
    expect(player).to_have_attribute("data-clip", "cleo/01")
    assert video.evaluate("v => v.playbackRate") == 0.75
    tab.settle()
    assert tab.query()["clip"] == ["cleo/01"]
    tab.page.keyboard.press("p")
    expect(tab.page.get_by_test_id("reference")).to_have_text("bin red")
    tab.page.keyboard.press("Space")
    expect(player.get_by_role("button", name="pause")).to_be_visible()
    field = tab.page.get_by_role("textbox", name="Word or confusion")
    field.press_sequentially("p n m")
    expect(field).to_have_value("p n m")  # the keys are text there
    tab.settle()
    assert tab.query()["clip"] == ["cleo/00"]
    tab.sound()


def cursor(player: Locator) -> float:
    """Where the cursor stands, in pixels from the left."""
    box = player.locator(".cursor").bounding_box()
    assert box is not None
    return box["x"]


@needs_ffmpeg
def test_the_whole_face_plays_with_sound_and_the_mouth_in_step(tab: Tab) -> None:
    """An .mpg of a second; the mouth's frame k is k·10 grey, and stays beside frame k of the face."""
    tab.open("replay", sweep="filmed", order="by name", clip="ada/one")
    player, video = tab.page.get_by_test_id("player"), tab.page.locator("video")
    expect(player).to_have_attribute("data-clip", "ada/one")
    tab.page.wait_for_function(f"() => {PLAYER}.querySelector('video').readyState >= 2")
    assert video.evaluate("v => [v.videoWidth, v.videoHeight, v.error]") == [320, 240, None]
    expect(player.get_by_role("button", name="sound")).to_be_visible()
    for frame in (1, 2, 3):
        tab.page.keyboard.press("ArrowRight")
        expect(player).to_have_attribute("data-mouth", str(frame))
    tab.page.wait_for_timeout(50)
    grey = player.locator(".mouth").evaluate("c => c.getContext('2d').getImageData(72, 36, 1, 1).data[0]")
    assert grey == pytest.approx(30, abs=4)
    tab.page.keyboard.press("Space")
    expect(player).to_have_attribute("data-frame", re.compile(r"^(1\d|2\d)$"))
    assert video.evaluate("v => v.webkitAudioDecodedByteCount") > 0
    tab.page.keyboard.press("Space")
    assert int(player.get_attribute("data-mouth") or "") == pytest.approx(
        int(player.get_attribute("data-frame") or ""), abs=1
    )
    tab.sound()


@needs_ffmpeg
def test_hostile_names_and_texts_are_shown_and_do_nothing(tab: Tab) -> None:
    """A clip whose id, transcript and hypotheses are markup, and whose source points out of its folder."""
    tab.open("replay", sweep="filmed", clip=HOSTILE_ID)
    expect(tab.page.get_by_test_id("player")).to_have_attribute("data-clip", HOSTILE_ID)
    assert tab.page.get_by_test_id("reference").inner_text() == HOSTILE_TEXT
    assert tab.page.locator("video").evaluate("v => [v.videoWidth, v.videoHeight]") == [96, 48]  # the mouth alone
    assert tab.page.locator("img[src='x']").count() == 0
    tab.sound()


def test_next_changes_clip_and_address_and_back_returns(tab: Tab) -> None:
    tab.open("replay", sweep="demo", order="by name", clip="cleo/00")
    expect(tab.page.get_by_test_id("reference")).to_have_text("bin red")
    tab.page.get_by_role("button", name="Next", exact=True).click()
    expect(tab.page.get_by_test_id("reference")).to_have_text("lay blue now")
    tab.settle()
    assert tab.query()["clip"] == ["cleo/01"]
    tab.page.go_back()
    expect(tab.page.get_by_test_id("reference")).to_have_text("bin red")
    tab.settle()
    assert tab.query()["clip"] == ["cleo/00"]
    tab.sound()


def test_choices_survive_a_change_of_page(tab: Tab) -> None:
    tab.open("", sweep="demo", method="vanilla")
    tab.page.get_by_test_id("stSidebarNavLink").filter(has_text="Replay").click()
    expect(tab.page.locator("h1")).to_have_text("Replay")
    tab.settle()
    assert tab.query()["sweep"] == ["demo"] and "method" not in tab.query()
    tab.page.get_by_test_id("stSidebarNavLink").filter(has_text="Leaderboard").click()
    expect(tab.page.locator("h1")).to_have_text("Leaderboard")
    tab.settle()
    assert (tab.query()["sweep"], tab.query()["method"]) == (["demo"], ["vanilla"])
    tab.sound()


def tick(tab: Tab, row: int) -> None:
    """Tick the next row and see it counted; a table that is still being drawn loses a click without a word."""
    chosen = tab.page.get_by_text(f"{row + 1} chosen")
    for _ in range(3):
        corner = tab.page.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
        assert corner is not None
        tab.page.mouse.click(corner["x"] + 16, corner["y"] + 52 + 35 * row)
        with contextlib.suppress(AssertionError):
            expect(chosen).to_be_visible(timeout=8000)
            return
    expect(chosen).to_be_visible()


def test_rows_of_the_leaderboard_lead_to_the_other_pages(tab: Tab, names: dict[str, str]) -> None:
    """The two best trials are ticked (the table is a canvas: by place) and taken along."""
    tab.open("", sweep="demo", method=["vanilla"])
    best = [names["vanilla-w1"], names["vanilla-w0.5"]]
    for row in range(2):
        tick(tab, row)
    tab.page.get_by_role("button", name="Compare", exact=True).click()
    expect(tab.page.locator("h1")).to_have_text("Compare")
    tab.settle()
    assert tab.query()["trials"] == best
    tab.sound()


def test_a_row_of_the_errors_leads_to_its_clips(tab: Tab, names: dict[str, str]) -> None:
    """The word that is most often wrong; Replay then lists the clips in which it is."""
    tab.open("errors", sweep="demo", a=names["vanilla-w0.5"], part="words")
    for _ in range(3):  # a table that is still being drawn loses a click without a word
        corner = tab.page.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
        assert corner is not None
        tab.page.mouse.click(corner["x"] + 100, corner["y"] + 52)
        with contextlib.suppress(AssertionError):
            expect(tab.page.locator("h1")).to_have_text("Replay", timeout=8000)
            break
    tab.settle()
    (wish,) = tab.query()["find"]
    word = wish.removesuffix(">*")
    assert word != wish and word in tab.page.get_by_test_id("reference").inner_text().split()
    assert tab.query()["a"] == [names["vanilla-w0.5"]]
    tab.sound()


def test_hostile_names_and_texts_do_nothing(
    tab: Tab, tmp_path: Path, empty_database: Path, tiny_store: ClipStore
) -> None:
    """No dialog opens and no element comes from a name, a transcript or a hypothesis, on any page."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    with serve(track_hostile(tmp_path, tiny_store), tmp_path / "log") as address:
        tab.root = address
        for path, query in (
            ("sweeps", {}),
            ("", {"details": "parallel coordinates"}),
            ("compare", {"of": "settings"}),
            ("replay", {}),
            ("errors", {"part": "words"}),
        ):
            tab.open(path, **query)
            assert tab.query()["sweep"] == [HOSTILE]
            box = tab.page.get_by_test_id("stVegaLiteChart").first
            for place in range(8 if box.count() else 0):  # tooltips, too
                box.hover(position={"x": 60 + 60 * place, "y": 100 + 12 * place})
            tab.page.wait_for_timeout(300)
            assert tab.page.evaluate(INJECTED) == [], path
        assert not [error for error in tab.errors if "dialog" in error]
