"""A browser without a window, and waiting in it for what a reader waits for."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from playwright.sync_api import Browser, Error, Page, ViewportSize, sync_playwright

from lipkd.errors import LipkdError

INSTALLED = ("chromium", "chromium-browser", "google-chrome")
SIZE = ViewportSize(width=1440, height=1000)
PATIENCE_MS = 180_000


@contextlib.contextmanager
def opened_browser() -> Iterator[Browser]:
    """Chromium: the system's, else Playwright's own; raises LipkdError when there is none."""
    path = next(filter(None, map(shutil.which, INSTALLED)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu", "--no-first-run"])
        except Error as error:
            raise LipkdError("bench dashboard needs Chromium: `apt-get install chromium`") from error
        yield browser
        browser.close()


@contextlib.contextmanager
def new_reader(browser: Browser) -> Iterator[Page]:
    """A page of somebody who was never here: nothing is in the browser's cache."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def timed(page: Page, act: Callable[[], Any], until: str, argument: Any = None) -> float:
    """Seconds from an act until a condition (a function in JavaScript) holds, looked at with every picture.

    Raises LipkdError when it never does."""
    began = time.perf_counter()
    try:
        act()
        page.wait_for_function(until, arg=argument, polling="raf")
    except Error as error:
        raise LipkdError(f"{page.url}: what is measured did not appear ({error.message.splitlines()[0]})") from error
    return time.perf_counter() - began
