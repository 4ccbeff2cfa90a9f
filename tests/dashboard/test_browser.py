"""The real dashboard in a real browser: pages open, a clip plays, links and buttons lead where they say."""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from dashboard.records import read_sweeps, read_trials

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
PROBE = re.compile(r"/(compare|replay)/_stcore/(health|host-config)$")
PATIENCE = 60_000  # milliseconds, on a busy machine

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
def root(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard that `run_dashboard` has started, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    start = "import sys; from dashboard.launch import run_dashboard as run; run(sys.argv[1], port=int(sys.argv[2]))"
    with open(log, "wb") as output:
        server = subprocess.Popen([sys.executable, "-c", start, tracking, str(port)], stdout=output, stderr=output)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/_stcore/health", server)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    said = log.read_text()
    assert f"dashboard: {address}" in said
    assert "Traceback" not in said
    with socket.socket() as probe:  # the server is gone with the command that started it
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the dashboard ended by itself"
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")


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
    """Three pages with their tables, charts and video, and nothing in the console."""
    for path, title, charts in (("", "Leaderboard", 1), ("compare", "Compare", 3), ("replay", "Replay", 1)):
        tab.open(path, sweep="demo")
        assert tab.page.locator("h1").inner_text() == title
        assert tab.query()["sweep"] == ["demo"]
        expect(tab.page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
        expect(tab.page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(charts)
        tab.sound()


def test_a_clip_plays_under_its_subtitles(tab: Tab, names: dict[str, str]) -> None:
    """The trial said every reference right but for some words; both texts can be read while the video runs."""
    tab.open("replay", sweep="demo", a=names["attention-p2-w1"], b=names["vanilla-w0.5"], clip="cleo/02")
    video = tab.page.locator("video")
    assert tab.page.get_by_test_id("reference").inner_text() == "set red now"
    video.evaluate("v => { v.muted = true; v.loop = true; return v.play() }")
    tab.page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    assert video.evaluate("v => [v.videoWidth, v.videoHeight, v.error]") == [96, 48, None]
    assert video.evaluate("v => v.duration") == pytest.approx(25 / 25, abs=0.1)
    tracks = video.evaluate("v => [...v.textTracks].map(t => t.label)")
    assert tracks == ["all", "reference", "hypothesis A", "hypothesis B"]
    tab.page.wait_for_function("() => document.querySelector('video').textTracks[0].activeCues?.length > 0")
    lines = video.evaluate("v => v.textTracks[0].activeCues[0].text.replace(/<[^>]*>/g, '').split('\\n')")
    assert lines[0] == "reference: set red now"
    assert lines[1].startswith("hypothesis A: ") and lines[2].startswith("hypothesis B: ")
    table = tab.page.locator("table.lk").inner_text()
    assert all(who in table for who in ("A · peer 0", "A · peer 1", "A · ensemble", "B · peer 0"))
    tab.sound()


def test_next_changes_clip_and_address_and_back_returns(tab: Tab) -> None:
    tab.open("replay", sweep="demo", order="by name", clip="cleo/00")
    expect(tab.page.get_by_test_id("reference")).to_have_text("bin red")
    tab.page.get_by_role("button", name="Next").click()
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
