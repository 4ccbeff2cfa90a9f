"""The page Try it, run in process by Streamlit's AppTest, and in a real browser."""

import base64
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from streamlit.testing.v1 import AppTest

from dashboard.components.webcam import Recording, received
from dashboard.shell import page_frame
from preprocessing.synthetic.make_corpus import draw_clip, write_video
from tests.dashboard.deployed import deploy
from tests.dashboard.filmed import needs_ffmpeg, show_to_camera
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
    assert told["lines"][0]["text"] == "a" and told["trials"][0]["map"]["symbols"] == ["blank", "a"]
    files = [(button.proto.label, button.proto.id) for button in page.get("download_button")]
    assert [label for label, _ in files] == ["SRT", "VTT"]
    kept = page.session_state[page_frame.PRIVATE]["result"]
    page.run()
    assert page.session_state[page_frame.PRIVATE]["result"] is kept
    page.switch_page("views/errors.py").run()
    assert page_frame.PRIVATE not in page.session_state


def test_what_cannot_be_read_is_a_sentence_and_told_once(page: AppTest) -> None:
    page.file_uploader[0].set_value(("zip.mp4", b"PK\x03\x04", "video/mp4")).run()
    assert "damaged, or not a video" in said(page)
    page.file_uploader[0].set_value(("notes.txt", b"words", "text/plain")).run()
    assert not page.exception and "videos that can be read: mp4, mov" in said(page)
    page.file_uploader[0].set_value(None).run()
    assert not page.error and page_frame.PRIVATE not in page.session_state


def test_a_recording_is_read_like_a_file_and_forgotten_with_the_camera(page: AppTest, mouth: Path) -> None:
    page.segmented_control(key="from").set_value("the webcam").run()
    assert not page.file_uploader and "Up to 59 seconds" in "\n".join(caption.value for caption in page.caption)
    for content, sentence in ((b"", "The video is empty"), (b"PK\x03\x04", "damaged, or not a video")):
        page.session_state[page_frame.PRIVATE] = {"recording": received(base64.b64encode(content).decode())}
        assert sentence in said(page.run())
    page.session_state[page_frame.PRIVATE] = {"recording": received("one,two")}
    assert said(page.run()) == "The recording did not arrive as a whole: please record it again."
    page.session_state[page_frame.PRIVATE] = {"recording": received(base64.b64encode(mouth.read_bytes()).decode())}
    page.run()
    assert not page.error and page.subheader[0].value == "a"
    page.segmented_control(key="from").set_value("a file").run()
    assert not page.subheader and page_frame.PRIVATE not in page.session_state


def test_what_a_recording_begins_with_says_what_it_is() -> None:
    """Whatever the browser has called it; and what is no text is an empty video."""
    kinds = {b"\x1aE\xdf\xa3": "webcam.webm", b"\0\0\0\x1cftypiso5": "webcam.mp4", b"": "webcam.webm"}
    for content, name in kinds.items():
        recording = received(base64.b64encode(content).decode())
        assert isinstance(recording, Recording) and (recording.name, recording.getvalue()) == (name, content)
    strange: list[object] = [None, 7, {}, "é"]
    assert [getattr(received(sent), "content", None) for sent in strange] == [b"", b"", b"", None]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with a camera that shows the drawn mouth, again and again, and a microphone that beeps."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    seen = show_to_camera(tmp_path_factory.mktemp("camera") / "mouth.y4m", FRAMES)
    camera = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={seen}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *camera])
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
def tab(browser: Browser, server: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A tab on the dashboard; a parameter names what its pages may use without asking, all else is refused."""
    may = getattr(request, "param", [])
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, permissions=may)
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
    expect(player.locator(".text")).to_have_text("a ", timeout=PATIENCE)
    player.get_by_role("button", name="play").click()
    expect(player).to_have_attribute("data-frame", re.compile(r"^(1\d|2\d)$"))
    expect(player.locator(".text .now")).to_have_text("a")
    expect(player.get_by_role("button", name="next clip")).to_be_hidden()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="SRT").click()
    assert download.value.suggested_filename == "ten_o_clock.srt"
    download.value.save_as(tmp_path / "subtitles")
    assert (tmp_path / "subtitles").read_text().endswith("\na\n")
    tab.settle()
    assert tab.query() == {"model": ["first"], "from": ["a file"]}
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
    told = tab.page.get_by_test_id("stAlert").filter(has_text="not a video")
    expect(told).to_be_visible(timeout=PATIENCE)
    assert tab.page.locator("img[src='x']").count() == 0
    assert tab.errors == [] and tab.page.get_by_test_id("stException").count() == 0
    assert left(server[1]) == []


def camera_of(tab: Tab) -> Locator:
    tab.open("try_it", **{"model": "first", "from": "the webcam"})
    camera = tab.page.get_by_test_id("webcam")
    expect(camera).to_have_attribute("data-state", "off")
    return camera


def press(camera: Locator, button: str, state: str) -> None:
    camera.get_by_role("button", name=button, exact=True).click()
    expect(camera).to_have_attribute("data-state", state)


def hold_tracks(camera: Locator) -> None:
    """Remember what the camera gives, to see afterwards that it is not used any more."""
    camera.locator("video").evaluate("video => { window.tracks = video.srcObject.getTracks(); }")


TRACKS = "() => window.tracks.map(track => `${track.kind} ${track.readyState}`).sort()"


@pytest.mark.parametrize("tab", [["camera", "microphone"]], indirect=True)
def test_a_recording_from_the_camera_is_read(tab: Tab, server: tuple[str, Path]) -> None:
    camera = camera_of(tab)
    assert camera.locator("video").evaluate("video => video.srcObject") is None
    press(camera, "Turn the camera on", "live")
    hold_tracks(camera)
    press(camera, "Record", "recording")
    expect(camera.locator(".left")).to_have_text(re.compile(r"^5[0-8] s left$"))
    press(camera, "Stop", "recorded")
    assert tab.page.evaluate(TRACKS) == ["audio ended", "video ended"]
    expect(tab.page.get_by_test_id("player")).to_have_count(0)
    press(camera, "Use it", "sent")
    player = tab.page.get_by_test_id("player")
    expect(player.locator(".text")).to_have_text("a ", timeout=PATIENCE)
    assert player.locator("video").evaluate("video => video.duration") > 0.8
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="SRT").click()
    assert download.value.suggested_filename == "webcam.srt"
    assert left(server[1]) == []
    tab.sound()


@pytest.mark.parametrize("tab", [["camera"]], indirect=True)
def test_the_camera_is_given_back_after_a_minute_and_with_the_page(tab: Tab) -> None:
    """The microphone is refused here. The browser's clock is put ahead by a minute."""
    camera = camera_of(tab)
    press(camera, "Turn the camera on", "live")
    expect(camera.locator(".message")).to_have_text(re.compile("^Without sound"))
    hold_tracks(camera)
    press(camera, "Record", "recording")
    tab.page.evaluate("() => { const now = performance.now(); performance.now = () => now + 60_000; }")
    expect(camera).to_have_attribute("data-state", "recorded")
    assert tab.page.evaluate(TRACKS) == ["video ended"]
    press(camera, "Again", "live")
    hold_tracks(camera)
    tab.page.get_by_test_id("stSidebarNavLink").filter(has_text="Sweeps").click()
    expect(tab.page.locator("h1")).to_have_text("Sweeps")
    tab.page.wait_for_function("() => window.tracks[0].readyState === 'ended'")
    tab.sound()


def test_a_camera_that_is_not_to_be_had_is_told(tab: Tab) -> None:
    """Refused; then not there; then on a page that came over http; then in a browser that cannot record."""
    camera = camera_of(tab)
    press(camera, "Turn the camera on", "off")
    expect(camera.locator(".message")).to_have_text(re.compile("^The camera was refused. Allow it for this page"))
    tab.page.evaluate("""() => { navigator.mediaDevices.getUserMedia =
      async () => { throw new DOMException('', 'NotFoundError'); } }""")
    press(camera, "Turn the camera on", "off")
    expect(camera.locator(".message")).to_have_text(re.compile("^There is no camera on this machine"))
    for script, sentence in (
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "only to pages that come over https"),
        ("delete window.MediaRecorder", "This browser cannot record its camera"),
    ):
        other = tab.page.context.new_page()
        other.add_init_script(script)
        other.goto(tab.page.url)
        expect(other.get_by_test_id("webcam").locator(".message")).to_have_text(re.compile(sentence))
        expect(other.get_by_test_id("webcam").get_by_role("button")).to_have_count(0)
        other.close()
    tab.sound()
