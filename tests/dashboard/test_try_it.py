"""The page Try it, run in process by Streamlit's AppTest, and in a real browser."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from playwright.sync_api import Browser, Page, expect, sync_playwright
from streamlit.testing.v1 import AppTest

from dashboard import shell
from preprocessing.synth import draw_clip, write_video
from tests.dashboard.deployed import deploy
from tests.dashboard.filmed import needs_ffmpeg
from tests.dashboard.opening import opened, played, said
from tests.dashboard.test_browser import CHROMIUM, FLAGS, PATIENCE, Tab, serve

HOSTILE = "![x](http://stranger/x.png) <img src=x onerror=alert(1)>"
FRAMES = draw_clip(7, 0, 0)[1]


@pytest.fixture(scope="module")
def mouth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mouth") / "ten o'clock"
    write_video(path, FRAMES)
    return path.with_suffix(".mp4")


@pytest.fixture(scope="module")
def mlruns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlruns")
    deploy(folder / "models" / "first")
    deploy(folder / "models" / "second", trial=HOSTILE)
    return folder


@pytest.fixture
def page(mlruns: Path, tracking: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    st.cache_data.clear()
    monkeypatch.setenv("LIPKD_MLRUNS", str(mlruns))
    return opened(tracking, "try_it", monkeypatch, model="second")


def test_without_a_model_the_page_says_how_to_make_one(
    tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPKD_MLRUNS", str(tmp_path))
    app = opened(tracking, "try_it", monkeypatch)
    assert f"No network has been deployed to {tmp_path}/models yet" in said(app)
    assert app.code[0].value == "lipkd deploy TRIAL"


def test_a_video_is_read_once_and_forgotten_with_the_page(page: AppTest, mouth: Path) -> None:
    assert page.selectbox(key="model").value == "second"
    captions = "\n".join(caption.value for caption in page.caption)
    assert "200 MB and 60 seconds" in captions and "kept nowhere" in captions
    assert r"\[x\]\(http" in captions and r"\<img" in captions
    page.file_uploader[0].set_value((mouth.name, mouth.read_bytes(), "video/mp4")).run()
    assert not page.exception and not page.error
    assert page.subheader[0].value == "a"
    assert list(page.dataframe[0].value["word"]) == ["a"]
    told = played(page)
    assert (told["frames"], told["video"]["type"], told["alone"]) == (len(FRAMES), "video/webm", True)
    assert told["lines"][0]["text"] == "a" and told["readers"][0]["map"]["symbols"] == ["blank", "a"]
    files = [(button.proto.label, button.proto.id) for button in page.get("download_button")]
    assert [label for label, _ in files] == ["SRT", "VTT"]
    kept = page.session_state[shell.PRIVATE]
    page.run()
    assert page.session_state[shell.PRIVATE] is kept
    page.switch_page("views/errors.py").run()
    assert shell.PRIVATE not in page.session_state


def test_what_cannot_be_read_is_a_sentence_and_told_once(page: AppTest) -> None:
    page.file_uploader[0].set_value(("zip.mp4", b"PK\x03\x04", "video/mp4")).run()
    assert "damaged, or no video at all whatever its name says" in said(page)
    page.file_uploader[0].set_value(("notes.txt", b"words", "text/plain")).run()
    assert not page.exception and "videos that can be read: mp4, mov" in said(page)
    page.file_uploader[0].set_value(None).run()
    assert not page.error and shell.PRIVATE not in page.session_state


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(tracking: str, mlruns: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a dashboard, and its folder for temporary files."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPKD_MLRUNS", str(mlruns))
        patch.setenv("TMPDIR", str(folder / "tmp"))
        patch.setattr(tempfile, "tempdir", str(folder))
        with serve(tracking, folder / "log") as address:
            yield address, folder / "tmp"
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
def tab(browser: Browser, server: tuple[str, Path]) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(PATIENCE)
    started = Tab(context.new_page(), server[0])
    started.page.on("console", started.note)
    started.page.on("pageerror", lambda error: started.errors.append(str(error)))
    started.page.on("dialog", lambda dialog: started.errors.append(f"dialog {dialog.message}"))
    yield started
    context.close()


def upload(page: Page, path: Path) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(path)


def left(folder: Path) -> list[Path]:
    """What lies of videos in the folder for temporary files."""
    return list(folder.glob("lipkd-*"))


def test_an_uploaded_video_plays_above_what_was_read(
    tab: Tab, server: tuple[str, Path], mouth: Path, tmp_path: Path
) -> None:
    tab.open("try_it", model="first")
    upload(tab.page, mouth)
    player = tab.page.get_by_test_id("player")
    expect(player.locator(".said")).to_have_text("a ", timeout=PATIENCE)
    player.get_by_role("button", name="play").click()
    expect(player).to_have_attribute("data-frame", re.compile(r"^(1\d|2\d)$"))
    expect(player.locator(".said .now")).to_have_text("a")
    expect(player.get_by_role("button", name="next clip")).to_be_hidden()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="SRT").click()
    assert download.value.suggested_filename == "ten_o_clock.srt"
    download.value.save_as(tmp_path / "subtitles")
    assert (tmp_path / "subtitles").read_text().endswith("\na\n")
    tab.settle()
    assert tab.query() == {"model": ["first"]}
    assert left(server[1]) == []
    tab.sound()


@needs_ffmpeg
def test_hostile_uploads_are_told_and_do_nothing(tab: Tab, server: tuple[str, Path], tmp_path: Path) -> None:
    """Too large (the file has a hole for content), no video, and a name that is markup."""
    huge, named = tmp_path / "huge.mp4", tmp_path / "<img src=x onerror=alert(1)>'.mp4"
    with open(huge, "wb") as file:
        file.truncate(201 * 2**20)
    named.write_bytes(b"PK\x03\x04 a zip file")
    tab.open("try_it")
    upload(tab.page, huge)
    expect(tab.page.get_by_text("File must be 200.0MB or smaller")).to_be_visible(timeout=PATIENCE)
    upload(tab.page, named)
    told = tab.page.get_by_test_id("stAlert").filter(has_text="no video at all whatever its name says")
    expect(told).to_be_visible(timeout=PATIENCE)
    assert tab.page.locator("img[src='x']").count() == 0
    assert tab.errors == [] and tab.page.get_by_test_id("stException").count() == 0
    assert left(server[1]) == []
