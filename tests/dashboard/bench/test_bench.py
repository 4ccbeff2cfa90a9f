"""The benchmark of the pages: what is made, and a miniature of the whole."""

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from mlflow import MlflowClient

import dashboard
from dashboard.analysis.seed_groups import controls, settings
from dashboard.analysis.verdict import verdict
from dashboard.bench import made, pages
from dashboard.bench.made import Size, make
from dashboard.tracking import records
from lipkd.cli import main
from lipkd.errors import LipkdError

SIZE = Size(trials=24, epochs=3, metrics=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "mlruns", SIZE)


@pytest.fixture(scope="module")
def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def test_mlflow_takes_what_is_made_for_its_own(uri: str) -> None:
    """Every run, parameter, point and artifact, through MLflow's client."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lipkd")
    assert experiment is not None
    trials = client.search_runs([experiment.experiment_id], "tags.`lipkd.kind` = 'trial'")
    assert len(trials) == 24
    for run in trials:
        assert len(run.data.metrics) == 7
        assert run.data.params["training.epochs"] == "3"
        for metric in run.data.metrics:
            points = client.get_metric_history(run.info.run_id, metric)
            assert sorted(point.step for point in points) == [1, 2, 3]
            assert run.data.metrics[metric] == max(points, key=lambda point: point.step).value
    kept = [run for run in trials if client.list_artifacts(run.info.run_id, "predictions")]
    assert len(kept) == 20
    run_id = client.create_run(experiment.experiment_id).info.run_id  # and goes on with it
    client.log_metric(run_id, "val/wer", 0.5)
    client.delete_run(run_id)


def test_the_dashboard_reads_it_and_judges_it(uri: str) -> None:
    """The best trial has predictions; its setting and the control of that can be judged."""
    (sweep,) = records.read_sweeps(uri)
    trials = records.read_trials(uri, sweep)
    assert [trial.epochs for trial in trials] == [3] * 24
    assert trials[0].best_wer == min(t.best_wer for t in trials if t.best_wer is not None)
    assert len(records.read_predictions(uri, trials[0].run_id)) == 20
    found = settings(trials)
    control = controls(found)
    first = next(setting for setting in found if setting.label in control)
    assert first == found[0]
    assert verdict(uri, first.trials, control[first.label].trials).wer.outcome in ("better", "worse", "not shown")


def test_seeds_come_after_all_settings(tmp_path: Path) -> None:
    trials = made.planned(Size(161, 1, 7), tmp_path)
    assert [trial.config.seed for trial in trials] == [0] * 160 + [1]
    assert len({trial.config.trial_name() for trial in trials}) == 161
    assert trials[160].config == trials[0].config.model_copy(update={"seed": 1})


def test_what_was_made_is_used_again_and_nothing_else_is(folder: Path, tmp_path: Path) -> None:
    before = (folder / "mlflow.db").stat().st_mtime_ns
    assert make(folder, SIZE) == folder
    assert (folder / "mlflow.db").stat().st_mtime_ns == before
    with pytest.raises(LipkdError, match="was made with"):
        make(folder, Size(25, 3, 7))
    (tmp_path / "mine").write_text("not to be lost")
    with pytest.raises(LipkdError, match="holds something else"):
        make(tmp_path, SIZE)


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--trials", "0"], "--trials 0: must be at least 1"),
        (["--turns", "0"], "--turns 0: must be at least 1"),
        (["--metrics", "3"], "--metrics 3: must be at least 7"),
    ],
)
def test_impossible_sizes_are_one_sentence(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "dashboard", "--keep", str(tmp_path / "made"), *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_wheel_has_no_benchmark_of_the_pages_and_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It drives a browser on a made sweep, which is for who works on the dashboard."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "dashboard/bench" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"]
    for name in [name for name in sys.modules if name.startswith("dashboard.bench")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(dashboard, "__path__", [])  # nothing lies in the folder, as in a wheel without it
    assert main(["bench", "dashboard"]) == 2
    assert capsys.readouterr().err == (
        "lipkd: bench dashboard is not part of the wheel: it needs a checkout of lipkd with the extra dev "
        "(pip install -e '.[dashboard,dev]')\n"
    )


def test_without_playwright_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    monkeypatch.delitem(sys.modules, "dashboard.bench.browser", raising=False)
    assert main(["bench", "dashboard"]) == 2
    assert "install it with `pip install 'lipkd[dev]'`" in capsys.readouterr().err


@pytest.mark.storm
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_miniature(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that is measured has a time, and the servers have a size."""
    monkeypatch.setattr(pages, "LOOKED_AT_S", 0.1)
    monkeypatch.setattr(pages, "CLIPS", 3)
    options = ["--trials", "24", "--epochs", "3", "--metrics", "7", "--turns", "1", "--keep", str(folder)]
    assert main(["bench", "dashboard", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "24 trials × 3 epochs × 7 metrics = 504 values in SQLite"
    assert [line for line in lines if line.endswith(":")] == ["dashboard:", "MLflow's UI:"]
    timed = [line.split("  ")[1] for line in lines if re.search(r"\d\.\d\d s", line)]
    assert timed == [
        "server: started until it answers",
        "Leaderboard, first page of a fresh server",
        "Leaderboard, back from another page",
        "Leaderboard, another filter",
        "Compare of 20, from a link",
        "Compare of 20, from another page",
        "Replay, next clip",
        "Replay, any other clip",
        "server: started until it answers",
        "run list, first page of a fresh server (100 of the trials)",
        "run list, again",
        "one chart of 20 runs, from a link",
    ]
    assert len([line for line in lines if re.search(r"memory of its processes at the end +\d+ MB", line)]) == 2
