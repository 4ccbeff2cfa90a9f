"""A sweep that reports every second, and the Sweeps page open in a browser: `python -m tests.dashboard.live SECONDS`.

A line every half minute: epochs that were reported and that the page shows, and the server's memory. It ends with 1
when the page lost an epoch, changed what the reader had chosen or opened, or complained; and it says how late the
latest report was. The reports go into MLflow's tables in one transaction a second: through MLflow's client those of
four trials take a third of a second of processor time, which on two cores is missing elsewhere.
"""

import contextlib
import itertools
import os
import re
import sqlite3
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from dashboard.bench.made import POINT
from dashboard.tracking.records import Trial, read_sweeps, read_trials
from tests.chaos.arena import children
from tests.dashboard.screenshots import _store
from tests.dashboard.test_browser import CHROMIUM, FLAGS, PATIENCE, PROBE, serve
from tests.dashboard.tracked import Planned, track_sweep

TRIALS, METRICS, EVERY_S = 4, 20, 30.0
WARM_S = 60.0  # until then the server fills its caches
EPOCHS = re.compile(r"(\d+) of \d+ epochs")


@dataclass
class Reporter(threading.Thread):
    """Reports an epoch of every trial each second, until it is told to stop; `late` is by how many seconds the latest
    report came too late."""

    database: Path
    trials: list[Trial]
    done: int = 0
    late: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.done = sum(trial.epochs for trial in self.trials)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        before = max(trial.epochs for trial in self.trials)
        began = time.monotonic()
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # as `lipkd sweep` has it
            for number in itertools.count(1):
                if self.over.wait(max(began + number - time.monotonic(), 0.0)):
                    return
                with connection:
                    self._report(connection, before + number)
                self.done += len(self.trials)
                self.late = max(self.late, time.monotonic() - began - number)

    def _report(self, connection: sqlite3.Connection, epoch: int) -> None:
        now = int(1000 * time.time())
        wer = 0.2 + 0.8 * 0.99**epoch
        values = {f"extra/{number}": wer for number in range(METRICS - 5)}
        values |= {"val/wer": wer, "best/wer": wer, "best/epoch": epoch, "time/epoch_s": 1.0, "time/total_s": epoch}
        points = [(name, value, now, epoch, trial.run_id) for trial in self.trials for name, value in values.items()]
        connection.executemany(f"INSERT INTO metrics {POINT}", points)
        connection.executemany(f"INSERT OR REPLACE INTO latest_metrics {POINT}", points)


def main(seconds: float) -> int:
    complaints: list[str] = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        store, clips = _store(folder)
        running = [Planned((0.9,), (0.5,), "dml", 2, seed=seed, state="running") for seed in range(TRIALS)]
        failed = Planned((), (), "attention", 2, state="failed", reason="train/loss is not finite")
        uri = track_sweep(folder, "live", store, clips, [*running, failed])
        track_sweep(folder, "later", store, clips, [Planned((0.9,), (0.5,))], began=60.0)
        live = next(sweep for sweep in read_sweeps(uri) if sweep.name == "live")
        trials = [trial for trial in read_trials(uri, live) if trial.state == "running"]
        reporter = Reporter(folder / "mlflow.db", trials)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        with serve(uri, folder / "log") as root:
            page = browser.new_page(viewport={"width": 1440, "height": 1400})
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda said: (
                    complaints.append(said.text)
                    if said.type == "error" and not PROBE.search(said.location.get("url", ""))
                    else None
                ),
            )
            page.goto(f"{root}/sweeps?sweep=live")
            page.get_by_text("1 failed", exact=True).click(timeout=PATIENCE)
            reporter.start()
            memory = _watch(page, reporter, _server(), seconds, complaints)
            reporter.over.set()
            reporter.join()
            expect(page.get_by_text(f"{reporter.done} of ")).to_be_visible(timeout=PATIENCE)
            print(f"all {reporter.done} epochs are shown; {memory[0]} MB when warm, {memory[1]} MB at the end")
            print(f"an epoch a second of {len(trials)} trials, {reporter.late:.2f} s late at most")
            browser.close()  # before the server ends, which a page would complain of
    print("\n".join(complaints) or "nothing to complain of", flush=True)
    return 1 if complaints else 0


def _watch(page: Page, reporter: Reporter, server: int, seconds: float, complaints: list[str]) -> tuple[int, int]:
    """Look at the page all the time; the server's memory in MB when it was warm, and at the end."""
    began, told, before, warm = time.monotonic(), 0.0, 0, 0
    while (passed := time.monotonic() - began) < seconds:
        page.wait_for_timeout(500)
        shown = EPOCHS.search(page.get_by_test_id("stProgress").first.inner_text(timeout=PATIENCE))
        now = int(shown.group(1)) if shown else 0
        if now < before:
            complaints.append(f"{passed:.0f} s: {now} epochs after {before}")
        before = max(now, before)
        if "sweep=live" not in page.url or not page.get_by_text("train/loss is not finite").is_visible():
            complaints.append(f"{passed:.0f} s: what was chosen or opened is not any more ({page.url})")
        if passed >= WARM_S and not warm:
            warm = _megabytes(server)
        if passed >= told:
            told += EVERY_S
            print(f"{passed:4.0f} s  {reporter.done:6d} reported  {now:6d} shown  {_megabytes(server)} MB", flush=True)
    return warm or _megabytes(server), _megabytes(server)


def _server() -> int:
    """The process of Streamlit, started by the one that `serve` has started."""
    for child in children(os.getpid()):
        for pid in children(child):
            if b"dashboard.serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    raise AssertionError("the dashboard's server is not there")


def _megabytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 // 2**20


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
