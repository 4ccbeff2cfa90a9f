"""What `lipkd bench dashboard` measures, in which order, and how it is told."""

import contextlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dashboard.bench.made import Size, make
from dashboard.bench.servers import serving
from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Seconds = dict[str, list[float]]  # what was done → how long it took, each time


def measure_dashboard(size: Size, *, turns: int, keep: Path | None, beside: bool = True) -> Iterator[str]:
    """Yield lines: what is measured, then a line per thing that a reader does, and the servers' memory.

    `keep` is a folder for the made sweep, used again next time (default: made anew, then deleted); `beside` says
    whether MLflow's own UI is measured too. Raises LipkdError when Playwright or Chromium is missing.
    """
    try:
        from dashboard.bench.browser import opened_browser
    except ImportError as error:
        raise LipkdError("bench dashboard drives a browser: install it with `pip install 'lipkd[dev]'`") from error
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(opened_browser())  # first: without it nothing needs to be made
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lipkd-bench-"))) / "mlruns"
        yield f"{size.trials} trials × {size.epochs} epochs × {size.metrics} metrics = {size.values:,} values in SQLite"
        mlruns = make(folder, size)
        yield from _told("dashboard", *_turns("dashboard", browser, mlruns, turns))
        if beside:
            yield from _told("MLflow's UI", *_turns("ui", browser, mlruns, turns))


def _turns(command: str, browser: "Browser", mlruns: Path, turns: int) -> tuple[Seconds, list[int]]:
    from dashboard.bench.pages import VISITS

    seconds: Seconds = defaultdict(list)
    memory = []
    for _ in range(turns):
        shutil.rmtree(mlruns / "cache", ignore_errors=True)
        with serving(command, mlruns) as served:
            seconds["server: started until it answers"].append(served.ready_s)
            for what, took in VISITS[command](browser, served.address, mlruns):
                seconds[what].append(took)
            if (size := served.megabytes()) is not None:
                memory.append(size)
    return seconds, memory


def _told(who: str, seconds: Seconds, memory: Sequence[int]) -> Iterator[str]:
    yield f"{who}:"
    for what, took in seconds.items():
        spread = f"  ({min(took):.2f} to {max(took):.2f}, {len(took)} times)" if len(took) > 1 else ""
        yield f"  {what:<58} {median(took):6.2f} s{spread}"
    if memory:
        yield f"  {'memory of its processes at the end':<58} {median(memory):4.0f} MB"
