"""Populations from exchange to exchange, without Ray: with trials that only remember their values, and real ones."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lipkd import checkpoint
from lipkd.cli import main
from lipkd.config.schedule import config_at, value_of, with_changes
from lipkd.config.trial_config import parse_config, validate
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.files import write_json, write_jsonl
from lipkd.training.train import fit
from lipkd.trial import Journal, TrialFolder
from tests.measured import numbers
from tests.tuning.trials import trial_config, write_trial
from tuning.pbt.best_schedule import best_trial, config_behind
from tuning.pbt.generations import check_populations, copy_parent, decisions, reached, run_generations
from tuning.pbt.lineage import Exploit, lineage_file, read_lineage, schedule_changes
from tuning.plan.planner import Plan, Planned, Planner, make_plan
from tuning.plan.sweep_config import SweepConfig, load_sweep
from tuning.sweep_folder import SweepRecord, begin, driver_lock

RATE = "training.learning_rate"
RATES = (1e-2, 1e-3, 2e-3, 1e-1)
EPOCHS = 6


def sweep(**scheduler: Any) -> SweepConfig:
    pbt = {"name": "pbt", "every_epochs": 2, "mutate": {RATE: {"loguniform": [1e-4, 1]}}, **scheduler}
    return validate(SweepConfig, {"name": "s", "trial": {}, "scheduler": pbt}, "s.yaml")


def population(folder: Path) -> SweepRecord:
    """Four trials of six epochs with other learning rates."""
    configs = [trial_config(training={"epochs": EPOCHS, "learning_rate": rate}) for rate in RATES]
    record = begin(folder, experiment="lipkd", working_folder=folder)
    record.add([Planned(config.trial_name(), config) for config in configs])
    return record


def plan_of(record: SweepRecord, trials: Sequence[Planned] = (), **scheduler: Any) -> Plan:
    planned = tuple(trials or record.trials)
    return Plan(Planner(sweep(**scheduler), record.folder), planned, planned)


save = checkpoint.save


class Trainer:
    """Stands for Ray and the training loop: the weights of a trial are the learning rates of its epochs, and its error
    is how far they are from 1/1000 on the average. `breaks` says which trials fail in which epoch, `stops` after how
    many epochs in all it is interrupted."""

    def __init__(self, record: SweepRecord, *, breaks: dict[str, int] | None = None, stops: float = math.inf) -> None:
        self.record = record
        self.breaks = breaks or {}
        self.stops = stops
        self.calls: list[tuple[list[float], list[int]]] = []

    def __call__(self, trials: list[Planned], until: Mapping[str, int]) -> None:
        rates = [t.config.training.learning_rate for t in trials]
        self.calls.append((rates, [until.get(t.name, EPOCHS) for t in trials]))
        for trial in trials:
            self.train(trial, until.get(trial.name, EPOCHS))

    def train(self, trial: Planned, until: int) -> None:
        folder = self.record.trial_folder(trial)
        config = with_changes(trial.config, schedule_changes(folder))
        weights: list[float] = []
        if folder.checkpoint("last").is_file():
            tensors, info = checkpoint.load(folder.checkpoint("last"))
            weights = tensors["model/rates"].tolist()
            assert info["config"] == config.to_json()
        write_json(folder.path / "config.json", trial.config.to_json())
        folder.set_state("running")
        journal = Journal(folder.journal)
        while len(weights) < until:
            if self.stops <= 0:
                return
            self.stops -= 1
            if self.breaks.get(trial.name) == len(weights) + 1:
                folder.set_state("failed", "not finite")
                return
            weights.append(value_of(config_at(config, len(weights)), RATE))
            wer = sum(abs(math.log10(rate) + 3) for rate in weights) / len(weights)
            journal.append(len(weights), {"val/wer": wer})
            info = {"epoch": len(weights), "best": {}, "config": config.to_json()}
            save(folder.checkpoint("last"), {"model/rates": torch.tensor(weights, dtype=torch.float64)}, info)
        if until == EPOCHS:
            folder.set_state("finished")


def run(record: SweepRecord, trainer: Trainer | None = None, **scheduler: Any) -> Trainer:
    trainer = trainer or Trainer(record)
    run_generations(plan_of(record, **scheduler), record, record.waiting(record.trials), math.inf, trainer)
    return trainer


def picture(record: SweepRecord) -> dict[str, Any]:
    """All that a population has come to."""
    found: dict[str, Any] = {"decisions": [d.to_json() for d in decisions(record.folder)]}
    for trial in record.trials:
        folder = record.trial_folder(trial)
        tensors, info = checkpoint.load(folder.checkpoint("last"))
        metrics = [(r.step, r.metrics) for r in folder.reports()]
        lineage = [e.to_json() for e in read_lineage(folder)]
        found[trial.name] = (metrics, lineage, tensors["model/rates"].tolist(), info, folder.state()["state"])
    return found


def test_a_population_by_hand(tmp_path: Path) -> None:
    """At epochs 2 and 4 the worst of four copies the best; nothing happens at the end, epoch 6.

    Errors at epoch 2, the distances of 1e-2, 1e-3, 2e-3 and 1e-1 from 1e-3 in powers of ten: 1, 0, 0.3, 2.
    So the last goes on with the weights of the second, and at epoch 4 its mean is at most half of the step that its
    new rate is away from 1e-3 (or a rate drawn anew); 1e-2 is still at 1 and is the worst or second worst.
    """
    record = population(tmp_path)
    first, second, _, last = record.trials
    trainer = run(record, resample=0)
    assert trainer.calls == [(list(RATES), [until] * 4) for until in (2, 4, 6)]
    one, two = decisions(tmp_path)
    assert one.epoch == 2 and two.epoch == 4
    assert list(one.scores.values()) == pytest.approx([1, 0, math.log10(2), 2])
    assert list(one.exploits) == [last.name]
    exploit = one.exploits[last.name]
    assert exploit.parent == second.name and exploit.before == {RATE: 0.1}
    assert exploit.values[RATE] in (pytest.approx(1.2e-3), pytest.approx(8e-4))
    assert {name: e.parent for name, e in two.exploits.items()} == {first.name: second.name}
    folders = [record.trial_folder(trial) for trial in record.trials]
    assert [[e.epoch for e in read_lineage(folder)] for folder in folders] == [[4], [], [], [2]]
    weights = [checkpoint.load(folder.checkpoint("last"))[0]["model/rates"].tolist() for folder in folders]
    new = exploit.values[RATE]
    assert weights[1] == [1e-3] * 6 and weights[2] == [2e-3] * 6 and weights[3] == [1e-3] * 2 + [new] * 4
    assert weights[0] == [1e-3] * 4 + [read_lineage(folders[0])[0].values[RATE]] * 2
    for trial, folder in zip(record.trials, folders, strict=True):
        assert [report.step for report in folder.reports()] == [1, 2, 3, 4, 5, 6]
        assert folder.config() == trial.config  # what it began with
        assert folder.state()["state"] == "finished"
    assert folders[3].reports()[1].metrics["val/wer"] == 2.0  # its own, before it copied another
    assert run(record).calls == []


def test_killed_at_any_write_a_population_comes_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions, lineages and weights are written in turn; a kill before or after each of them changes nothing."""
    whole = population(tmp_path / "whole")
    run(whole)
    expected = picture(whole)

    class Killed(BaseException):
        pass

    def killing(write: Callable[..., None], countdown: list[float]) -> Callable[..., None]:
        def write_or_die(*arguments: Any) -> None:
            countdown[0] -= 0.5
            if countdown[0] == 0:
                raise Killed  # before the write
            write(*arguments)
            countdown[0] -= 0.5
            if countdown[0] == 0:
                raise Killed  # after it

        return write_or_die

    kills = 0
    while True:
        record = population(tmp_path / str(kills))
        with monkeypatch.context() as patched:
            countdown = [(kills + 1) / 2]
            patched.setattr("tuning.pbt.generations.write_jsonl", killing(write_jsonl, countdown))
            patched.setattr("tuning.pbt.generations.checkpoint.save", killing(save, countdown))
            try:
                run(record)
                break
            except Killed:
                kills += 1
        run(record)
        assert picture(record) == expected
    assert kills == 2 * (2 + 2 * 2)  # before and after: two decisions, two lineages, two checkpoints


@pytest.mark.parametrize("stops", [1, 4, 8, 11, 19])
def test_interrupted_anywhere_a_population_comes_to_the_same(tmp_path: Path, stops: int) -> None:
    whole, record = population(tmp_path / "whole"), population(tmp_path / "parts")
    run(whole)
    run(record, Trainer(record, stops=stops))
    assert len(record.open()) == (4 if stops < 18 else 3)
    assert len(decisions(record.folder)) == stops // 8
    run(record)
    assert picture(record) == picture(whole)


def test_a_trial_that_fails_is_left_behind_and_catches_up_when_it_is_tried_again(tmp_path: Path) -> None:
    record = population(tmp_path)
    first, second, third, last = record.trials
    run(record, Trainer(record, breaks={last.name: 2}))
    assert [list(d.scores) for d in decisions(tmp_path)] == [[first.name, second.name, third.name]] * 2
    assert [record.trial_folder(t).state()["state"] for t in record.trials] == ["finished"] * 3 + ["failed"]
    again = run(record)
    assert again.calls == [([0.1], [EPOCHS])]
    assert [r.step for r in record.trial_folder(last).reports()] == [1, 2, 3, 4, 5, 6]
    assert len(decisions(tmp_path)) == 2


def test_the_others_wait_for_a_failed_trial_that_is_tried_again(tmp_path: Path) -> None:
    record = population(tmp_path)
    *_, last = record.trials
    run(record, Trainer(record, stops=6))
    assert [reached(record.trial_folder(t)) for t in record.trials] == [2, 2, 2, 0]
    record.trial_folder(last).set_state("failed", "not finite")
    trainer = run(record)
    assert trainer.calls[0] == ([0.1], [2])
    assert len(decisions(tmp_path)[0].scores) == 4


def test_a_sweep_that_is_to_stop_goes_no_further(tmp_path: Path) -> None:
    from lipkd.lock import only_one
    from tuning import stop_request

    record = population(tmp_path)
    with only_one(driver_lock(tmp_path), "sweep"):
        stop_request.request(tmp_path)
    assert run(record).calls == []
    stop_request.withdraw(tmp_path)
    assert len(run(record).calls) == 3


def test_past_its_deadline_a_population_goes_no_further(tmp_path: Path) -> None:
    record = population(tmp_path)
    trainer = Trainer(record)
    run_generations(plan_of(record), record, list(record.trials), time.monotonic(), trainer)
    assert trainer.calls == [] and len(run(record).calls) == 3


def test_nobody_joins_a_population_that_has_begun(tmp_path: Path) -> None:
    record = population(tmp_path)
    run(record)

    def more(**changes: Any) -> list[Planned]:
        config = trial_config(**{"training": {"epochs": EPOCHS, "learning_rate": 0.5}, **changes})
        return [*record.trials, Planned(config.trial_name(), config)]

    with pytest.raises(LipkdError, match="would join a population that has started; give the sweep another name"):
        check_populations(plan_of(record, more()), record)
    check_populations(plan_of(record), record)
    others = [more(seed=1, training={"epochs": EPOCHS, "learning_rate": rate})[-1] for rate in (0.5, 0.6)]
    check_populations(plan_of(record, [*record.trials, *others]), record)


def test_another_step_between_exchanges_takes_effect_where_the_trials_are(tmp_path: Path) -> None:
    """Three at epoch 4 and one at 2 when exchanges are to be every 3 epochs: all meet at 6, which is the end."""
    record = population(tmp_path)
    run(record, Trainer(record, stops=8 + 6))
    assert [reached(record.trial_folder(t)) for t in record.trials] == [4, 4, 4, 2]
    assert run(record, every_epochs=3).calls == [(list(RATES), [EPOCHS] * 4)]


def test_a_parent_that_has_gone_on_by_other_means_is_noticed(tmp_path: Path) -> None:
    record = population(tmp_path)
    trainer = Trainer(record)
    one, two, *_ = record.trials
    trainer.train(one, 2)
    trainer.train(two, 3)
    with pytest.raises(LipkdError, match=r"had after epoch 2, and they are at epochs 2 and 3"):
        copy_parent(record.trial_folder(one), Exploit(2, two.name, {RATE: 1e-2}, {RATE: 1e-3}))


def test_a_damaged_checkpoint_costs_its_trial_and_not_the_sweep(tmp_path: Path) -> None:
    record = population(tmp_path)
    run(record, Trainer(record, stops=8))
    [name] = decisions(tmp_path)[0].exploits
    TrialFolder(tmp_path / name).checkpoint("last").write_bytes(b"not a checkpoint")
    with pytest.raises(
        LipkdError, match="not a checkpoint of lipkd"
    ):  # which tuning/execution/trainable.py makes a failure
        run(record)


def test_the_schedule_behind_a_trial_is_followed_back_to_where_its_weights_began(tmp_path: Path) -> None:
    """b copied a after epoch 2, c copied b after 4, and b from somebody else after 4, when c had its weights."""
    folders = {}
    for name, rate in zip("abc", RATES, strict=False):
        config = trial_config(training={"epochs": 9, "learning_rate": rate})
        folders[name] = write_trial(tmp_path, [0.9, 0.8, 0.5, 0.7, 0.6], config=config, name=name)
    for name, rows in {
        "b": [Exploit(2, "a", {RATE: 1}, {RATE: 0.2}), Exploit(4, "x", {RATE: 1}, {RATE: 0.3})],
        "c": [Exploit(4, "b", {RATE: 1}, {RATE: 0.4})],
    }.items():
        write_jsonl(lineage_file(folders[name]), [row.to_json() for row in rows])

    def behind(name: str, epoch: int) -> tuple[float, list[tuple[int, float | int]]]:
        config = config_behind(folders[name], epoch)
        return config.training.learning_rate, [(change.after, change.values[RATE]) for change in config.schedule]

    assert behind("c", 5) == (RATES[0], [(2, 0.2), (4, 0.4)])
    assert behind("c", 4) == (RATES[2], [])
    assert behind("b", 3) == (RATES[0], [(2, 0.2)])
    assert behind("a", 9) == (RATES[0], [])
    assert best_trial(tmp_path, sweep())[1:] == (3, 0.5)


def test_an_empty_sweep_has_no_best(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match="no trial of it has a val/wer yet"):
        best_trial(tmp_path, sweep())


def trained(folder: Path) -> list[dict[str, float]]:
    """What a training came to, whatever was chosen on the way."""
    return numbers(folder, beside=("schedule/", "best/"))


def test_the_best_schedule_trained_again_is_the_best_trial_to_the_bit(
    tiny_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real training, and no other randomness than the seed's: what a population has found is a trial like any other."""
    content = {
        "name": "p",
        "trial": {
            "seed": 3,
            "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
            "network": {"name": "lipnet-128", "width": 0.05},
            "cohort": {"method": "attention", "peers": 2, "ramp_share": 0.2},
            "training": {"epochs": 6, "batch_size": 4, "threads": 1, "ema": 0.5, "checkpoint_every": 4},
        },
        "space": {RATE: [1e-4, 1e-5, 1e-3]},
        "metric": "val/ctc",
        "scheduler": {
            "name": "pbt",
            "every_epochs": 2,
            "quantile": 0.5,
            "mutate": {RATE: {"loguniform": [1e-4, 1e-2]}, "cohort.weight": [0.5, 1], "network.dropout": [0, 0.2, 0.5]},
        },
    }
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = load_sweep(folder / "sweep.yaml")
    record = begin(folder, experiment="lipkd", working_folder=tmp_path)
    planned = make_plan(Planner(plan, tmp_path))
    record.add(planned.trials)

    def train(trials: list[Planned], until: Mapping[str, int]) -> None:
        for trial in trials:
            path = record.trial_folder(trial).path
            changes = schedule_changes(record.trial_folder(trial))
            fit(trial.config, path, until=until.get(trial.name), changes=changes, watched=plan.stopping.mutate)

    run_generations(planned, record, list(record.trials), math.inf, train)
    taken = {d.epoch: [(name, e.parent) for name, e in d.exploits.items()] for d in decisions(folder)}
    assert [len(taken[epoch]) for epoch in (2, 4)] == [1, 1]
    taker = TrialFolder(folder / taken[4][0][0])
    again = fit(config_behind(taker, 6), tmp_path / "again")
    mine = trained(taker.path)
    parent = trained(folder / taken[4][0][1])
    assert trained(tmp_path / "again")[4:] == mine[4:] and mine[3] != parent[3]
    assert trained(tmp_path / "again")[2:4] == parent[2:4]
    assert again["schedule/cohort.weight"] == read_lineage(taker)[-1].values["cohort.weight"]
    assert all(f"schedule/{key}" in r.metrics for key in plan.stopping.mutate for r in taker.reports())
    # What the sweep's end tells the reader to do gives the best value that any trial had.
    winner, epoch, value = best_trial(folder, plan)
    capsys.readouterr()
    assert main(["sweep", str(folder), "--best-schedule"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"# the best of sweep p: {winner.name}, epoch {epoch}, val/ctc {value:.4g}\n")
    fit(parse_config(yaml.safe_load(text)), tmp_path / "best")
    assert trained(tmp_path / "best")[epoch - 1] == trained(winner.path)[epoch - 1]
    assert trained(tmp_path / "best")[epoch - 1]["val/ctc"] == value
