import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.utils.validation import MAX_METRICS_PER_BATCH

from lipkd.errors import LipkdError
from lipkd.lock import only_one
from lipkd.trial import Journal, TrialFolder
from tests.tuning.store_picture import RunPicture, picture
from tests.tuning.trials import BEGAN, journal_line, trial_config, write_trial
from tuning.sweep_folder import begin, driver_lock
from tuning.tracking.client import connect, default_uri
from tuning.tracking.sync import Syncer
from tuning.tracking.sync_folders import sync_folders


@pytest.fixture
def sweep(mlruns: Path) -> Path:
    """A sweep of three trials: finished, stopped, failed."""
    folder = mlruns / "sweeps" / "pairs"
    write_trial(folder, [1.0, 0.5, 0.25], state="finished", name="one")
    write_trial(folder, [1.0, 0.9], config=trial_config(seed=1), state="stopped", reason="by the scheduler", name="two")
    write_trial(folder, [], config=trial_config(seed=2), state="failed", reason="disk full", name="three")
    (folder / "sweep.yaml").write_text("name: pairs\n", encoding="utf-8")
    return folder


def syncer(sweep: Path, client: Any = None) -> Syncer:
    mlruns = sweep.parent.parent
    uri = default_uri(mlruns)
    return Syncer(sweep, client or connect(uri), uri, mlruns)


def copy_of(database: Path, folder: Path) -> Path:
    """Another tracking folder."""
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(database.read_bytes())
    return folder


def only(runs: list[RunPicture]) -> RunPicture:
    [run] = runs
    return run


def test_every_trial_is_one_run_with_all_that_it_has(sweep: Path, mlruns: Path) -> None:
    sent = syncer(sweep).sync()
    assert (sent.trials, sent.runs, sent.steps, sent.problems) == (3, 3, 5, [])
    runs = picture(mlruns)
    assert set(runs) == {"pairs", "one", "two", "three"}
    one = only(runs["one"])
    assert one.status == "FINISHED"
    assert (
        one.tags
        | {
            "lipkd.kind": "trial",
            "lipkd.sweep": "pairs",
            "lipkd.trial": "one",
            "lipkd.state": "finished",
            "lipkd.store": "/stores/tiny",
            "lipkd.store_digest": "d1",
            "lipkd.folder": str(sweep / "one"),
            "method": "independent",
            "peers": "1",
            "width": "1",
            "batch_size": "4",
            "seed": "0",
        }
        == one.tags
    )
    assert "lipkd.reason" not in one.tags
    assert one.params["training.epochs"] == "3"
    assert one.params["data.scenario"] == "random"
    assert [p for p in one.points if p[0] == "val/wer"] == [
        ("val/wer", step, round((BEGAN + 10 * step) * 1000), wer) for step, wer in enumerate((1.0, 0.5, 0.25), 1)
    ]
    assert one.files == [
        "checkpoints/best.safetensors",
        "config.json",
        "predictions/best.jsonl",
        "predictions/best_posteriors.safetensors",
        "split.json",
    ]
    two, three = only(runs["two"]), only(runs["three"])
    assert (two.status, two.tags["lipkd.state"]) == ("FINISHED", "stopped")
    assert (three.status, three.tags["lipkd.state"], three.tags["lipkd.reason"]) == ("FAILED", "failed", "disk full")
    assert (only(runs["pairs"]).status, only(runs["pairs"]).files) == ("FINISHED", ["sweep.yaml"])


def test_children_hang_under_their_sweep_and_last_as_long_as_they_trained(sweep: Path, mlruns: Path) -> None:
    syncer(sweep).sync()
    client = MlflowClient(default_uri(mlruns))
    runs = {r.info.run_name: r for r in client.search_runs(["1"])}
    assert {runs[n].data.tags["mlflow.parentRunId"] for n in ("one", "two", "three")} == {runs["pairs"].info.run_id}
    # The first epoch was reported at +10 s and had taken 6 s.
    assert runs["one"].info.start_time == round((BEGAN + 4) * 1000)


def test_a_second_sync_changes_nothing(sweep: Path, mlruns: Path) -> None:
    syncer(sweep).sync()
    before = picture(mlruns)
    again = syncer(sweep).sync()
    assert (again.runs, again.steps, again.files) == (0, 0, 0)
    assert picture(mlruns) == before


def test_a_lost_cursor_makes_nothing_twice(sweep: Path, mlruns: Path) -> None:
    syncer(sweep).sync()
    before = picture(mlruns)
    for path in sweep.rglob("sync.json"):
        path.write_text("{torn", encoding="utf-8")
    again = syncer(sweep).sync()
    assert (again.runs, again.steps, again.problems) == (0, 5, [])
    assert picture(mlruns) == before


class Failing:
    """A client that breaks at its n-th change, before it is made or (`answer_lost`) just after."""

    CHANGES = ("create_run", "log_batch", "log_artifact", "set_terminated", "update_run", "set_tag")

    def __init__(self, client: MlflowClient, breaks_at: int, *, answer_lost: bool) -> None:
        self.client = client
        self.left = breaks_at
        self.answer_lost = answer_lost

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.client, name)
        if name not in self.CHANGES:
            return attribute

        def change(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0 and not self.answer_lost:
                raise ConnectionError("gone")
            result = attribute(*args, **kwargs)
            if self.left < 0:
                raise ConnectionError("gone")
            return result

        return change


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_crash_anywhere_leaves_the_same_store_after_the_next_sync(
    sweep: Path, mlruns: Path, empty_database: Path, answer_lost: bool
) -> None:
    """One change more goes through each time before the connection breaks for good."""
    breaks = 0
    for breaks_at in range(60):
        try:
            client: Any = Failing(connect(default_uri(mlruns)), breaks_at % 4, answer_lost=answer_lost)
            if not syncer(sweep, client).sync().problems:
                break
        except ConnectionError:
            pass
        breaks += 1
    assert 3 < breaks < 60
    syncer(sweep).sync()
    broken = picture(mlruns)

    undisturbed = copy_of(empty_database, mlruns.parent / "undisturbed")
    for path in sweep.rglob("sync.json"):
        path.unlink()
    uri = default_uri(undisturbed)
    Syncer(sweep, connect(uri), uri, undisturbed).sync()
    assert broken == picture(undisturbed)
    assert all(len(runs) == 1 for runs in broken.values())


def test_torn_and_recomputed_steps_arrive_once(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "torn"
    trial = write_trial(sweep, [1.0, 0.8], name="one")
    with open(trial.journal, "a", encoding="utf-8") as journal:
        journal.write(journal_line(3, 0.6)[:40])
    watcher = syncer(sweep)
    assert watcher.sync().steps == 2
    Journal(trial.journal).append(3, {"val/wer": 0.5})  # cuts the torn line off
    with open(trial.journal, "a", encoding="utf-8") as journal:
        journal.write(journal_line(2, 0.1))  # a step that is there already: the first line counts
    assert watcher.sync().steps == 1
    run = only(picture(mlruns)["one"])
    assert run.steps("val/wer") == [1, 2, 3]
    assert [value for key, _, _, value in run.points if key == "val/wer"] == [1.0, 0.8, 0.5]


def test_two_syncs_at_once_make_one_run(sweep: Path, mlruns: Path) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            syncer(sweep).sync()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    runs = picture(mlruns)
    assert {name: len(found) for name, found in runs.items()} == {"pairs": 1, "one": 1, "two": 1, "three": 1}
    assert only(runs["one"]).steps("val/cer") == [1, 2, 3]


def test_another_sync_in_between_is_noticed(sweep: Path, mlruns: Path) -> None:
    """The watcher knew no run of the trial; `lipkd sync` makes it; the watcher must not make a second."""
    watcher = syncer(sweep)
    watcher.sync()
    write_trial(sweep, [0.5], config=trial_config(seed=9), name="late")
    syncer(sweep).sync()
    assert watcher.sync().runs == 0
    assert len(picture(mlruns)["late"]) == 1


def status(mlruns: Path, name: str) -> str:
    return only(picture(mlruns)[name]).status


def test_statuses_follow_who_is_alive(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "alive"
    trial = write_trial(sweep, [1.0], name="one")
    with only_one(driver_lock(sweep), "sweep"):
        with only_one(trial.lock, "trial"):
            syncer(sweep).sync()
            assert (status(mlruns, "one"), status(mlruns, "alive")) == ("RUNNING", "RUNNING")
        syncer(sweep).sync()  # its process died, the driver will start another
        assert status(mlruns, "one") == "RUNNING"
    syncer(sweep).sync()
    assert (status(mlruns, "one"), status(mlruns, "alive")) == ("KILLED", "KILLED")
    assert only(picture(mlruns)["one"]).tags["lipkd.state"] == "abandoned"

    with only_one(driver_lock(sweep), "sweep"):  # --resume
        syncer(sweep).sync()
        assert (status(mlruns, "one"), status(mlruns, "alive")) == ("KILLED", "RUNNING")
        with only_one(trial.lock, "trial"):
            syncer(sweep).sync()
            assert status(mlruns, "one") == "RUNNING"
        trial.set_state("finished")
        syncer(sweep).sync()
    syncer(sweep).sync()
    assert (status(mlruns, "one"), status(mlruns, "alive")) == ("FINISHED", "FINISHED")


def test_a_failed_trial_that_succeeds_the_second_time(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "again"
    trial = write_trial(sweep, [1.0], state="failed", reason="disk full", name="one")
    watcher = syncer(sweep)
    watcher.sync()
    assert status(mlruns, "one") == "FAILED"
    trial.set_state("running")
    with only_one(trial.lock, "trial"):
        watcher.sync()
        assert status(mlruns, "one") == "RUNNING"
    trial.set_state("finished")
    watcher.sync()
    run = only(picture(mlruns)["one"])
    assert (run.status, run.tags["lipkd.state"], run.tags.get("lipkd.reason", "")) == ("FINISHED", "finished", "")


def test_big_files_wait_until_a_trial_has_ended(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "files"
    trial = write_trial(sweep, [1.0], state="finished", name="one")
    trial.set_state("running")
    watcher = syncer(sweep)
    with only_one(trial.lock, "trial"):
        watcher.sync()
        assert only(picture(mlruns)["one"]).files == ["config.json", "split.json"]
    trial.set_state("stopped")
    assert watcher.sync().files == 3


class Counting(Failing):
    """Notes how many metrics each call brings."""

    def __init__(self, client: MlflowClient) -> None:
        super().__init__(client, 10**9, answer_lost=False)
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        attribute = super().__getattr__(name)
        if name != "log_batch":
            return attribute

        def counted(*args: Any, **kwargs: Any) -> Any:
            if "metrics" in kwargs:
                self.batches.append(len(kwargs["metrics"]))
            return attribute(*args, **kwargs)

        return counted


def test_a_long_journal_goes_in_few_calls_within_the_limit(mlruns: Path) -> None:
    sweep = mlruns / "sweeps" / "long"
    write_trial(sweep, [1.0 - i / 1000 for i in range(450)], name="one")  # five metrics a step
    counting = Counting(connect(default_uri(mlruns)))
    syncer(sweep, counting).sync()
    assert counting.batches == [MAX_METRICS_PER_BATCH, MAX_METRICS_PER_BATCH, 250]
    assert only(picture(mlruns)["one"]).steps("best/cer") == list(range(1, 451))


def test_a_tracking_store_made_anew_gets_everything_again(sweep: Path, mlruns: Path, empty_database: Path) -> None:
    syncer(sweep).sync()
    before = picture(mlruns)
    other = copy_of(empty_database, mlruns.parent / "second")
    uri = default_uri(other)
    for path in sweep.rglob("sync.json"):  # cursors that speak of runs which the store does not have
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({uri: content[default_uri(mlruns)]}), encoding="utf-8")
    sent = Syncer(sweep, connect(uri), uri, other).sync()
    assert (sent.runs, sent.steps, sent.problems) == (3, 5, [])
    assert picture(other) == before


def test_a_run_of_an_earlier_training_is_not_written_into(sweep: Path, mlruns: Path) -> None:
    syncer(sweep).sync()
    before = picture(mlruns)
    (sweep / "one" / "sync.json").unlink()
    (sweep / "one" / "journal.jsonl").write_text(journal_line(1, 0.1, time=BEGAN + 5000), encoding="utf-8")
    sent = syncer(sweep).sync()
    [problem] = sent.problems
    assert "trial one: run " in problem and "is of an earlier training; delete it in MLflow" in problem
    assert picture(mlruns) == before


def test_one_unreadable_trial_does_not_hold_up_the_others(sweep: Path, mlruns: Path) -> None:
    (sweep / "one" / "config.json").write_text('{"data": {}}', encoding="utf-8")
    sent = syncer(sweep).sync()
    [problem] = sent.problems
    assert problem.startswith("trial one: ") and "data.store is missing" in problem
    assert set(picture(mlruns)) == {"pairs", "two", "three"}


def test_sync_of_all_sweeps_of_one_trial_and_of_nothing(
    sweep: Path, mlruns: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trial(mlruns / "sweeps" / "single", [0.5], config=trial_config(seed=5), state="finished", name="alone")
    assert sync_folders([sweep / "two"], mlruns=mlruns) == 0
    assert set(picture(mlruns)) == {"pairs", "two"}
    assert sync_folders([], mlruns=mlruns) == 0
    assert set(picture(mlruns)) == {"pairs", "one", "two", "three", "single", "alone"}
    said = capsys.readouterr().out
    assert f"single → {default_uri(mlruns)}: 1 trials, 1 new runs, 1 steps and 5 files sent" in said
    assert sync_folders([], mlruns=mlruns.parent / "empty") == 0
    assert "nothing to sync" in capsys.readouterr().out
    with pytest.raises(LipkdError, match="neither a sweep nor a trial"):
        sync_folders([mlruns / "nowhere"], mlruns=mlruns)


def test_a_sweep_goes_where_it_was_tracked_before(sweep: Path, mlruns: Path, empty_database: Path) -> None:
    elsewhere = copy_of(empty_database, mlruns.parent / "elsewhere")
    record = begin(sweep, experiment="lips", working_folder=mlruns)
    record.tracking_uri = default_uri(elsewhere)
    record.save()
    assert sync_folders([sweep], mlruns=mlruns) == 0
    assert set(picture(elsewhere, "lips")) == {"pairs", "one", "two", "three"}
    assert MlflowClient(default_uri(mlruns)).get_experiment_by_name("lips") is None


@pytest.mark.timeout(60)  # MLflow's own patience is minutes
def test_a_server_that_does_not_answer(sweep: Path, mlruns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert sync_folders([sweep], mlruns=mlruns, tracking_uri=uri) == 1
    assert f"lipkd: sweep pairs: tracking store {uri} does not answer" in capsys.readouterr().err


def test_files_of_a_trial_in_a_folder_that_is_no_trial_are_left_alone(sweep: Path) -> None:
    (sweep / "notes").mkdir()
    assert syncer(sweep).sync().trials == 3
    assert TrialFolder(sweep / "notes").reports() == []
