"""Records from a real MLflow database."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from dashboard.tracking import mlflow_runs, records, sqlite_runs
from dashboard.tracking.records import NothingTracked, Trial
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError


@pytest.fixture(scope="module")
def trials(tracking: str) -> list[Trial]:
    sweep = next(s for s in records.read_sweeps(tracking) if s.name == "demo")
    return records.read_trials(tracking, sweep)


def find(trials: list[Trial], group: str, width: str) -> Trial:
    return next(t for t in trials if (t.group, t.width) == (group, width) and t.seed == 0)


def test_sweeps_latest_first(tracking: str) -> None:
    sweeps = records.read_sweeps(tracking)
    assert [(s.name, s.experiment, s.state) for s in sweeps] == [
        ("later", "lipkd", "finished"),
        ("demo", "lipkd", "finished"),
    ]
    assert sweeps[0].began - sweeps[1].began == 60


def test_a_sweep_has_its_own_trials_only_the_best_first(tracking: str, trials: list[Trial]) -> None:
    assert [t.best_wer for t in trials] == [0.3, 0.5, 0.5, 0.7, 0.75, 0.9, None]
    later = records.read_sweeps(tracking)[0]
    assert len(records.read_trials(tracking, later)) == 1


def test_what_a_trial_says(trials: list[Trial], tiny_store: ClipStore) -> None:
    """Best epoch 3 of 4, of 6 + 7 + 8 + 9 seconds; latest values are those of epoch 4, the ensemble's that of 3."""
    vanilla = find(trials, "vanilla", "1")
    assert (vanilla.method, vanilla.peers, vanilla.batch_size, vanilla.seed) == ("vanilla", 1, 4, 0)
    assert (vanilla.best_wer, vanilla.best_cer, vanilla.best_epoch) == (0.5, 0.2, 3)
    assert (vanilla.wer, vanilla.cer) == (0.6, 0.3)
    assert vanilla.wer_ensemble == pytest.approx(0.45)
    assert vanilla.wer_best_peer == 0.5
    assert find(trials, "attention ×2", "1").wer_best_peer == pytest.approx(0.95 * 0.3)
    assert (vanilla.epochs, vanilla.seconds, vanilla.state) == (4, 30.0, "finished")
    assert vanilla.config["network.width"] == "1.0"
    assert (vanilla.store, vanilla.store_digest) == (str(tiny_store.path), tiny_store.meta["digest"])


def test_groups_and_states(trials: list[Trial]) -> None:
    assert find(trials, "independent ×2", "1").method == "independent"
    running = find(trials, "attention ×2", "0.25")
    assert (running.state, running.epochs) == ("running", 2)
    failed = trials[-1]
    assert (failed.state, failed.best_wer, failed.epochs, failed.seconds) == ("failed", None, 0, None)
    assert failed.reason == "FloatingPointError: train/loss is not finite"


def test_a_curve_is_complete(tracking: str, trials: list[Trial]) -> None:
    curve = records.read_curve(tracking, find(trials, "vanilla", "1").run_id, "val/wer")
    assert (curve.steps, curve.values) == ((1, 2, 3, 4), (1.0, 0.8, 0.5, 0.6))


def test_a_step_sent_twice_counts_once(tracking: str) -> None:
    client = MlflowClient(tracking)
    run = client.create_run("0").info.run_id
    for timestamp, value in ((1000, 0.5), (2000, 0.4)):
        client.log_metric(run, "val/wer", value, timestamp, 1)
    assert records.read_curve(tracking, run, "val/wer").values == (0.4,)
    client.delete_run(run)


def test_predictions_in_their_order(tracking: str, trials: list[Trial], tiny_store: ClipStore) -> None:
    said = records.read_predictions(tracking, find(trials, "attention ×2", "1").run_id)
    cleo = [clip for clip in tiny_store.clips if clip.speaker == "cleo"]
    assert [(p.clip_id, p.reference, p.speaker) for p in said] == [(c.id, c.text, "cleo") for c in cleo]
    assert {len(p.hypotheses) for p in said} == {2}


def test_posteriors_of_every_clip_and_peer(tracking: str, trials: list[Trial], tiny_store: ClipStore) -> None:
    found = records.read_posteriors(tracking, find(trials, "attention ×2", "1").run_id)
    assert found is not None
    assert found.symbols[:3] == ("blank", " ", "a")
    clip = tiny_store.clip("cleo/00")
    assert found.arrays[clip.id].shape == (2, clip.n_frames, 28)
    assert found.arrays[clip.id].dtype == np.float16


def test_a_trial_without_predictions(tracking: str, trials: list[Trial]) -> None:
    assert records.read_predictions(tracking, trials[-1].run_id) == []
    assert records.read_posteriors(tracking, trials[-1].run_id) is None


def test_torn_artifacts_are_one_sentence(tracking: str) -> None:
    client = MlflowClient(tracking)
    run = client.create_run(client.get_experiment_by_name("lipkd").experiment_id).info.run_id  # type: ignore[union-attr]
    client.log_text(run, '{"id": "a/b"}\n', records.PREDICTIONS)
    client.log_text(run, "no tensors here", records.POSTERIORS)
    for read in (records.read_predictions, records.read_posteriors):
        with pytest.raises(LipkdError, match=r"predictions/best.*(formats\.md|cannot be read)"):
            read(tracking, run)
    uneven: list[list[list[str]]] = [[[], []], [["a"], ["a", "b"]]]
    for said in uneven:
        lines = [json.dumps({"id": "a/b", "reference": "a", "hypotheses": texts}) for texts in said]
        client.log_text(run, "\n".join(lines), records.PREDICTIONS)
        with pytest.raises(LipkdError, match="hypotheses"):
            records.read_predictions(tracking, run)
    client.delete_run(run)


def test_reading_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with pytest.raises(NothingTracked, match="nothing there yet"):
        records.read_sweeps(f"sqlite:///{path}")
    assert not path.exists()


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("this is not a database, however long the text may be " * 40)
    with pytest.raises(LipkdError, match=r"MLflow at sqlite:///.* cannot be read"):
        records.read_sweeps(f"sqlite:///{path}")


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 1 is closed; neither the address nor the sentence shows the password."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(LipkdError) as caught:
        records.read_sweeps("http://ada:hush@127.0.0.1:1")
    assert "http://127.0.0.1:1 cannot be read" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_unknown_kind_of_address() -> None:
    with pytest.raises(LipkdError, match="cannot be read"):
        records.read_sweeps("gopher://somewhere")


def test_other_peoples_runs_do_no_harm(tracking: str) -> None:
    """A child without our tags, with markup for a method and a word for a number."""
    client = MlflowClient(tracking)
    sweep = records.read_sweeps(tracking)[0]
    tags = {"mlflow.parentRunId": sweep.run_id, "method": "![x](http://stranger)", "peers": "many", "width": "1"}
    run = client.create_run(sweep.experiment_id, tags=tags).info.run_id
    stranger = next(t for t in records.read_trials(tracking, sweep) if t.run_id == run)
    assert (stranger.method, stranger.peers, stranger.width, stranger.best_wer) == ("?", 1, "1", None)
    client.delete_run(run)


@pytest.fixture
def through_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a server, or with a database of another version."""
    monkeypatch.setattr(sqlite_runs.SqliteRuns, "knows", lambda path: False)


def test_both_ways_of_reading_give_the_same(tracking: str, request: pytest.FixtureRequest) -> None:
    def everything() -> list[object]:
        sweeps = records.read_sweeps(tracking)
        trials = [trial for sweep in sweeps for trial in records.read_trials(tracking, sweep)]
        curves = [records.read_curve(tracking, trial.run_id, "train/loss") for trial in trials]
        said = [records.read_predictions(tracking, trial.run_id) for trial in trials]
        return [sweeps, trials, curves, said]

    straight = everything()
    request.getfixturevalue("through_mlflow")
    assert everything() == straight


def test_reading_sqlite_needs_no_mlflow(tracking: str) -> None:
    """Importing it takes two seconds, which a reader would wait for the first page."""
    script = (
        "import sys; from dashboard.tracking import records; uri = sys.argv[1]; "
        "trials = [t for s in records.read_sweeps(uri) for t in records.read_trials(uri, s)]; "
        "records.read_predictions(uri, trials[0].run_id); assert len(trials) == 8; "
        "assert not {'mlflow', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, tracking], check=True)


@pytest.mark.parametrize("straight", [True, False])
def test_totals_are_those_that_a_trial_reports(tracking: str, straight: bool, request: pytest.FixtureRequest) -> None:
    client = MlflowClient(tracking)
    sweep = records.read_sweeps(tracking)[0]
    tags = {"mlflow.parentRunId": sweep.run_id}
    run = client.create_run(sweep.experiment_id, tags=tags).info.run_id
    metrics = {
        "time/epoch_s": 5.0,
        "time/total_s": 77.0,
        "val/wer_ensemble": 0.4,
        "val/wer_best_peer": 0.5,
        "best/wer_ensemble": 0.3,
        "best/wer_best_peer": 0.35,
        "best/epoch": 9,
    }
    for name, value in metrics.items():
        client.log_metric(run, name, value, 1000, 9)
    if not straight:
        request.getfixturevalue("through_mlflow")
    trial = next(t for t in records.read_trials(tracking, sweep) if t.run_id == run)
    assert (trial.seconds, trial.wer_ensemble, trial.wer_best_peer) == (77.0, 0.3, 0.35)
    client.delete_run(run)


def revised(tracking: str, folder: Path, *revisions: str) -> str:
    """A copy of the database that says that it is at these revisions of MLflow's schema."""
    copy = folder / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(tracking.removeprefix("sqlite:///"))) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("DELETE FROM alembic_version")
        target.executemany("INSERT INTO alembic_version VALUES (?)", [(revision,) for revision in revisions])
        target.commit()
    return f"sqlite:///{copy}"


def test_the_tables_are_read_only_at_a_revision_that_was_compared(tracking: str, tmp_path: Path) -> None:
    """The installed MLflow's revision is one of them: the other tests here compare both ways on its database."""
    assert sqlite_runs.SqliteRuns.knows(Path(tracking.removeprefix("sqlite:///")))
    for revisions in (("ffffffffffff",), (), (*sqlite_runs.COMPARED_REVISIONS, "ffffffffffff")):
        copy = revised(tracking, tmp_path, *revisions)
        assert not sqlite_runs.SqliteRuns.knows(Path(copy.removeprefix("sqlite:///")))


def test_a_database_of_another_revision_is_read_through_mlflow(
    tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    @contextlib.contextmanager
    def through(uri: str) -> Iterator[None]:
        asked.append(uri)
        raise ValueError("asked")
        yield

    monkeypatch.setattr(mlflow_runs, "mlflow_runs", through)
    copy = revised(tracking, tmp_path, "ffffffffffff")
    with pytest.raises(LipkdError, match="cannot be read: asked"):
        records.read_sweeps(copy)
    assert asked == [copy] and records.read_sweeps(tracking)


def test_artifacts_of_a_project_that_was_moved_are_those_beside_its_database(tracking: str, tmp_path: Path) -> None:
    copy = revised(tracking, tmp_path, *sqlite_runs.COMPARED_REVISIONS)
    sweep = next(s for s in records.read_sweeps(copy) if s.name == "demo")
    best = records.read_trials(copy, sweep)[0]
    kept = tmp_path / "artifacts" / best.run_id / "artifacts"
    kept.mkdir(parents=True)
    (kept / "note.txt").write_text("of the copy")
    assert records.read_text(copy, best.run_id, "note.txt") == "of the copy"


@pytest.mark.usefixtures("through_mlflow")
def test_more_trials_than_a_page(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_runs, "PAGE", 2)
    sweep = next(s for s in records.read_sweeps(tracking) if s.name == "demo")
    assert len(records.read_trials(tracking, sweep)) == 7


def test_addresses_without_secrets() -> None:
    assert records.public_uri("https://u:p@host/x") == "https://host/x"
    assert records.public_uri("sqlite:////tmp/mlflow.db") == "sqlite:////tmp/mlflow.db"
