"""The dashboard behind nginx with a password, as docs/login.md says."""

import base64
import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

import dashboard
from dashboard.bench.servers import free_port
from preprocessing.synthetic.make_corpus import draw_clip, write_video
from tests.dashboard.deployed import deploy
from tests.dashboard.test_browser import CHROMIUM, FLAGS, PATIENCE, PLAYER, Tab, serve

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin")
NAME, PASSWORD = "ada", "lips are sealed"
SITE = "lips.example.org"
pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


def settings(folder: Path, port: int, behind: str) -> str:
    """nginx's whole configuration: dashboard/nginx.conf with http on a free port, and files in `folder`."""
    site = Path(dashboard.__file__).with_name("nginx.conf").read_text(encoding="utf-8")
    for said, instead in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        f"https://{SITE}": f"http://{SITE}:{port}",
        "127.0.0.1:8501": behind,
        "/etc/nginx/lipkd.users": str(folder / "users"),
    }.items():
        assert said in site
        site = site.replace(said, instead)
    site = "\n".join(line for line in site.splitlines() if "ssl_" not in line)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    root = "user root;\n" if os.getuid() == 0 else ""
    return (
        f"{root}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{site}\n}}\n"
    )


@pytest.fixture(scope="module")
def site(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard behind nginx; the name in it is known to the browser below alone."""
    assert NGINX is not None
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "users").write_text(f"{NAME}:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
    deploy(folder / "mlruns" / "models" / "first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPKD_MLRUNS", str(folder / "mlruns"))
        with serve(tracking, folder / "log") as address:
            (folder / "nginx.conf").write_text(settings(folder, port, urlsplit(address).netloc), encoding="utf-8")
            nginx = subprocess.Popen([NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", "nginx.conf"])
            try:
                wait(port, nginx, folder / "error.log")
                yield f"http://{SITE}:{port}"
            finally:
                nginx.terminate()
                nginx.wait(30)


def wait(port: int, nginx: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(300):
        assert nginx.poll() is None, log.read_text(encoding="utf-8")
        try:
            ask(port)
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nginx does not answer")


def ask(port: int, password: str | None = None, **headers: str) -> int:
    """The status with which the site answers, or begins a websocket when an `Origin` asks for one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = {"Host": f"{SITE}:{port}", **headers}
    if password is not None:
        sent["Authorization"] = "Basic " + base64.b64encode(f"{NAME}:{password}".encode()).decode()
    path = "/"
    if "Origin" in headers:
        path = "/_stcore/stream"
        key = base64.b64encode(bytes(16)).decode()
        sent |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        sent["Sec-WebSocket-Key"] = key
    try:
        connection.request("GET", path, headers=sent)
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_a_password_opens_it_and_only_to_pages_of_its_own(site: str) -> None:
    port = urlsplit(site).port
    assert port is not None
    assert ask(port) == 401
    assert ask(port, "guessed") == 401
    assert ask(port, PASSWORD) == 200
    assert ask(port, Origin=site) == 401
    assert ask(port, PASSWORD, Origin=site) == 101
    assert ask(port, PASSWORD, Origin="http://stranger.example.org") == 403


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One that finds the site's name on this machine."""
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--host-resolver-rules=MAP {SITE} 127.0.0.1"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


def test_pages_videos_and_uploads_work_behind_it(browser: Browser, site: str, tmp_path: Path) -> None:
    context = browser.new_context(http_credentials={"username": NAME, "password": PASSWORD})
    context.set_default_timeout(PATIENCE)
    tab = Tab(context.new_page(), site)
    tab.page.on("console", tab.note)
    tab.open("replay")
    expect(tab.page.get_by_test_id("player")).to_be_visible()
    tab.page.wait_for_function(f"() => {PLAYER}.querySelector('video').readyState >= 2", timeout=PATIENCE)
    tab.page.evaluate(f"() => {PLAYER}.querySelector('video').play()")
    tab.page.wait_for_function(f"() => {PLAYER}.querySelector('video').currentTime > 0.1", timeout=PATIENCE)
    write_video(tmp_path / "mouth", draw_clip(7, 0, 0)[1])
    tab.open("try_it")
    tab.page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(tmp_path / "mouth.mp4")
    expect(tab.page.get_by_test_id("player").locator(".text")).to_have_text("a ", timeout=PATIENCE)
    tab.settle()
    tab.sound()
    context.close()
