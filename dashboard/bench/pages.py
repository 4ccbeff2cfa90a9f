"""What a reader does, on the dashboard and in MLflow's own UI, and how long it takes until it is on the screen."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, Page

from dashboard.bench.browser import new_reader, timed
from dashboard.tracking.records import Trial, read_sweeps, read_trials

COMPARED = 20  # trials
LOOKED_AT_S = 2.0  # a clip, before the reader goes on
CLIPS = 6
Step = tuple[str, float]  # what was done, seconds
Visit = Callable[[Browser, str, Path], Iterator[Step]]

# The rows of the largest table, as they are painted; none while they are being loaded.
HELPERS = """
window.lipkdTitle = () => document.querySelector('h1')?.innerText;
window.lipkdTable = () => {
  const canvas = document.querySelector('[data-testid=stDataFrame] canvas[data-testid=data-grid-canvas]');
  if (!canvas || !canvas.querySelector('[role=gridcell]') || !canvas.width || lipkdTitle() !== 'Leaderboard')
    return '';
  const scale = canvas.width / canvas.clientWidth;
  const pixels = canvas.getContext('2d').getImageData(40 * scale, 36 * scale, 300 * scale, 106 * scale).data;
  let ink = 0, sum = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i] + pixels[i + 1] + pixels[i + 2] < 450) { ink += 1; sum = (sum * 31 + i) % 1000003; }
  return ink > 100 ? `${ink} ${sum}` : '';
};
window.lipkdCharts = (label) => [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].filter((chart) =>
  (chart.getAttribute('aria-label') ?? '').includes(label)
  && chart.querySelector('svg.marks path, canvas.marks')).length;
window.lipkdIdle = () =>
  document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
  && !document.querySelector('[data-stale=true]');
window.lipkdClip = () => {
  const host = [...document.querySelectorAll('*')].find((each) => each.shadowRoot?.querySelector('.player'));
  const player = host?.shadowRoot.querySelector('.player'), video = player?.querySelector('video');
  const said = document.querySelector('table.lk')?.innerText;
  const there = video?.readyState >= 2 && player.querySelector('[data-output=said]')?.innerText && said;
  return there ? `${player.dataset.clip}: ${said}` : '';
};
"""
TABLE, OTHER_TABLE = "() => lipkdTable()", "(before) => lipkdTable() && lipkdTable() !== before"
CURVES = "() => lipkdCharts('over epochs') === 2 && lipkdTitle() === 'Compare'"
IDLE = "() => lipkdIdle()"
OTHER_CLIP = "(before) => lipkdClip() && lipkdClip() !== before"
SWEEPS = "() => lipkdIdle() && lipkdTitle() === 'Sweeps'"


def visit_dashboard(browser: Browser, address: str, mlruns: Path) -> Iterator[Step]:
    """A reader's way through a server that nobody has visited before."""
    trials = _trials(mlruns)
    with new_reader(browser) as page:
        page.add_init_script(HELPERS)
        yield "Leaderboard, first page of a fresh server", timed(page, lambda: page.goto(address), TABLE)
        page.wait_for_function(IDLE)
        yield from _about(page)
        yield from _filter(page)
        yield from _compare(page, address, trials)
        yield from _replay(page, address)


def _about(page: Page) -> Iterator[Step]:
    """To another page and back."""
    for _ in range(3):
        timed(page, lambda: _go(page, "Sweeps"), SWEEPS)
        page.wait_for_timeout(500)
        yield "Leaderboard, back from another page", timed(page, lambda: _go(page, "Leaderboard"), TABLE)
        page.wait_for_function(IDLE)


def _filter(page: Page) -> Iterator[Step]:
    """Methods are chosen one after the other: the table and all below it follow."""
    for method in ("vanilla", "dml"):
        before = page.evaluate(TABLE)
        page.get_by_role("combobox", name="Method").click()
        option = page.get_by_role("option", name=method)
        option.wait_for()
        yield "Leaderboard, another filter", timed(page, option.click, OTHER_TABLE, before)
        page.keyboard.press("Escape")
        page.wait_for_function(IDLE)


def _compare(page: Page, address: str, trials: list[Trial]) -> Iterator[Step]:
    """Trials that nobody has looked at yet, then the same ones again."""
    for number in range(3):
        names = [trial.name for trial in trials[COMPARED * number : COMPARED * (number + 1)]] or [trials[0].name]
        link = f"{address}/compare?{urlencode({'trials': names}, doseq=True)}"
        yield f"Compare of {COMPARED}, from a link", timed(page, partial(page.goto, link), CURVES)
        page.wait_for_function(IDLE)
        timed(page, lambda: _go(page, "Sweeps"), SWEEPS)
        page.wait_for_timeout(500)
        yield f"Compare of {COMPARED}, from another page", timed(page, lambda: _go(page, "Compare"), CURVES)
        page.wait_for_function(IDLE)


def _replay(page: Page, address: str) -> Iterator[Step]:
    page.goto(f"{address}/replay")
    page.wait_for_function("() => lipkdClip()")
    page.wait_for_function(IDLE)
    for number in range(CLIPS):
        page.wait_for_timeout(1000 * LOOKED_AT_S)
        before = page.evaluate("() => lipkdClip()")
        # Every third step is to where nothing could be prepared.
        button = "Random" if number % 3 == 2 else "Next"
        act = page.get_by_role("button", name=button, exact=True)
        yield (
            f"Replay, {'any other clip' if button == 'Random' else 'next clip'}",
            timed(page, act.click, OTHER_CLIP, before),
        )
        page.wait_for_function(IDLE)


def _go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()


def _trials(mlruns: Path) -> list[Trial]:
    uri = f"sqlite:///{mlruns / 'mlflow.db'}"
    return read_trials(uri, read_sweeps(uri)[0])


def visit_mlflow(browser: Browser, address: str, mlruns: Path) -> Iterator[Step]:
    """The list of trials with the best first, as the leaderboard has them, and curves of as many trials as Compare."""
    with closing(sqlite3.connect(mlruns / "mlflow.db")) as database:
        experiment = database.execute("SELECT experiment_id FROM experiments WHERE name = 'lipkd'").fetchone()[0]
    trials = _trials(mlruns)
    listed = {"searchFilter": "tags.`lipkd.kind` = 'trial'", "orderByKey": "metrics.`best/wer`", "orderByAsc": "true"}
    rows = f"() => document.querySelectorAll('.ag-center-cols-container .ag-row').length >= {min(10, len(trials))}"
    with new_reader(browser) as page:
        link = f"{address}/#/experiments/{experiment}/runs?{urlencode(listed)}"
        yield "run list, first page of a fresh server (100 of the trials)", timed(page, lambda: page.goto(link), rows)
        page.wait_for_timeout(1000)
        page.goto("about:blank")
        yield "run list, again", timed(page, lambda: page.goto(link), rows)
        for number in range(2):
            runs = [trial.run_id for trial in trials[COMPARED * number : COMPARED * (number + 1)]] or [trials[0].run_id]
            lines = f"() => document.querySelectorAll('.js-plotly-plot .trace .js-line').length >= {len(runs)}"
            asked = {
                "runs": runs,
                "metric": "val/wer",
                "experiments": [str(experiment)],
                "plot_metric_keys": ["val/wer"],
            }
            link = f"{address}/#/metric?" + "&".join(
                f"{key}={quote(json.dumps(value))}" for key, value in asked.items()
            )
            page.goto("about:blank")
            yield (
                f"one chart of {COMPARED} runs, from a link",
                timed(page, partial(page.goto, link + "&plot_layout={}&x_axis=step"), lines),
            )


VISITS: dict[str, Visit] = {"dashboard": visit_dashboard, "ui": visit_mlflow}
