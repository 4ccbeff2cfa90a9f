from pathlib import Path
from typing import Any

import pytest

from lipkd.config.trial_config import TrialConfig, validate
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from tuning.plan.planner import Planner, check_data, distinct
from tuning.plan.sweep_config import SweepConfig
from tuning.sweep_folder import SweepRecord

COHORTS = [{"method": "independent", "peers": 1}, {"method": "attention", "peers": 2}]


def planner(space: dict[str, Any], trial: dict[str, Any] | None = None, **fields: Any) -> Planner:
    content = {"name": "s", "trial": trial or {"data": {"store": "here"}}, "space": space, **fields}
    return Planner(validate(SweepConfig, content, "s.yaml"), Path("/of/sweep"), where="s.yaml")


def test_a_grid_with_seeds() -> None:
    space = {"cohort": COHORTS, "network.width": [0.25, 0.5], "training.batch_size": [4, 8, 16]}
    trials = planner(space, seeds=[3, 7]).trials()
    assert len(trials) == 2 * 2 * 3 * 2
    assert [t.config.seed for t in trials] == [3] * 12 + [7] * 12  # one seed is complete before the next
    first = trials[0].config
    assert (first.cohort.peers, first.network.width, first.training.batch_size) == (1, 0.25, 4)
    assert trials[1].config.training.batch_size == 8
    assert trials[0].name == first.trial_name()
    assert trials[0].values == {"cohort": COHORTS[0], "network.width": 0.25, "training.batch_size": 4}


def test_without_a_space_there_is_one_trial_with_its_own_seed() -> None:
    [trial] = planner({}, {"data": {"store": "/abs"}, "seed": 5}).trials()
    assert trial.config.seed == 5


def test_a_mapping_is_merged_into_its_part() -> None:
    trial = {"data": {"store": "x"}, "cohort": {"temperature": 2.0}}
    for planned in planner({"cohort": COHORTS}, trial).trials():
        assert planned.config.cohort.temperature == 2.0


def test_a_relative_store_is_relative_to_the_root_and_threads_are_filled_in() -> None:
    p = planner({"data.store": ["a/b", "/abs"]})
    assert [t.config.data.store for t in p.trials()] == ["/of/sweep/a/b", "/abs"]
    threads = Planner(p.sweep, p.root, threads=3)
    assert [t.config.training.threads for t in threads.trials()] == [3, 3]
    assert [t.name for t in threads.trials()] == [t.name for t in p.trials()]  # threads don't make another trial


def test_a_trial_to_start_from_is_relative_to_the_root_too() -> None:
    with pytest.raises(LipkdError, match=r"s\.yaml, space: training\.init_from = /of/sweep/a/b: no trial"):
        planner({"training.init_from": [None, "a/b"]}).trials()


def test_the_same_configuration_is_planned_once() -> None:
    same = [{"method": "independent", "peers": 1}, {"peers": 1}]
    assert len(planner({"cohort": same}).trials()) == 1
    # One peer has nobody to learn from: vanilla once, not once for each method.
    crossed = planner({"cohort.method": ["independent", "attention"], "cohort.peers": [1, 2]}).trials()
    assert len(crossed) == 3
    trials = planner({"network.width": [0.25, 0.5]}).trials()
    assert [t.name for t in distinct(trials + trials[::-1])] == [t.name for t in trials]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"cohort.peers": [1, 0]}, "s.yaml, space: cohort.peers = 0: input should be greater than or equal to 1"),
        ({"network.wdth": [1]}, "s.yaml, space: network.wdth is not a known field"),
        ({"cohort": [{"metod": "a"}]}, "cohort.metod is not a known field"),
        ({"cohort.method": ["independent", "magic"]}, "cohort.method = 'magic'"),
        ({"data.store.path": ["x"]}, "space: data.store.path: store has no parts"),
        ({"data.store": [{"path": "x"}]}, "store has no parts"),
        ({"training.epochs": list(range(1, 10_002))}, "a grid of 10001 trials; at most 10000"),
    ],
)
def test_a_bad_space_names_its_field(space: dict[str, Any], message: str) -> None:
    with pytest.raises(LipkdError, match=message):
        planner(space).trials()


def test_a_bad_trial_section_is_not_blamed_on_the_space() -> None:
    with pytest.raises(LipkdError, match=r"s\.yaml, trial: training.epochs = 0"):
        planner({"network.width": [0.5]}, {"data": {"store": "x"}, "training": {"epochs": 0}}).trials()


def test_ends_of_ranges_are_parsed_before_anything_is_drawn() -> None:
    with pytest.raises(LipkdError, match=r"training.learning_rate = 3.0: input should be less than or equal to 1"):
        planner({"training.learning_rate": {"uniform": [0.1, 3]}}, sampler="random", samples=1).corners()


def test_random_draws_repeat_and_more_samples_keep_the_first() -> None:
    space = {"network.width": [0.25, 0.5], "training.learning_rate": {"loguniform": [1e-4, 1e-2]}}
    few = planner(space, sampler="random", samples=4).trials()
    assert len({t.name for t in few}) == 4
    assert planner(space, sampler="random", samples=6).trials()[:4] == few
    assert planner(space, sampler="random", samples=4, sampler_seed=1).trials() != few


def test_random_draws_from_a_small_space_end_when_it_is_exhausted() -> None:
    trials = planner({"network.width": [0.25, 0.5, 1.0]}, sampler="random", samples=50, seeds=[0, 1]).trials()
    assert sorted((t.config.network.width, t.config.seed) for t in trials) == [
        (w, s) for w in (0.25, 0.5, 1.0) for s in (0, 1)
    ]


def test_sound_data_pass(tiny_store: ClipStore) -> None:
    data = {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    check_data(planner({"network.width": [0.25, 0.5]}, {"data": data}).trials(), "s.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"store": "/nowhere"}, "s.yaml: clip store /nowhere: no meta.json there"),
        ({"scenario": "unseen", "val_speakers": ["zoe"]}, "s.yaml: data.val_speakers: no .*zoe"),
        ({"scenario": "random", "val_share": 0.0}, "no clip for 'val'"),
        ({"alphabet": " abc"}, "not in the alphabet ' abc'"),
    ],
)
def test_data_that_would_stop_a_trial_are_found_before(
    tiny_store: ClipStore, data: dict[str, Any], message: str
) -> None:
    trials = planner({}, {"data": {"store": str(tiny_store.path), **data}}).trials()
    with pytest.raises(LipkdError, match=message):
        check_data(trials, "s.yaml")


def test_a_width_without_channels_is_found_before(tiny_store: ClipStore) -> None:
    trials = planner({"network.width": [1.0, 0.001]}, {"data": {"store": str(tiny_store.path)}}).trials()
    with pytest.raises(LipkdError, match=r"network.width = 0.001: .*no channel"):
        check_data(trials, "s.yaml")


def test_two_configurations_of_one_signature_are_refused_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two of ten thousand may share a short signature; the identity tells them apart."""
    monkeypatch.setattr(TrialConfig, "signature", lambda self: "0badcafe")
    rates = planner({"training.learning_rate": [1e-3, 2e-3]})
    with pytest.raises(LipkdError, match=r"have the name .*-0badcafe \(they differ in training\.learning_rate\)"):
        rates.trials()
    one, other = (rates.trial({"training.learning_rate": place}, None) for place in (0, 1))
    record = SweepRecord(tmp_path)
    record.add([one])
    with pytest.raises(LipkdError, match="have the name"):
        record.add([other])
    assert record.trials == [one]
