"""Vanilla against KD with everything else equal, and the sentences and rows made of it."""

import dataclasses

import pytest

from dashboard.analysis.matched_pairs import gains, groups, width_value
from dashboard.analysis.tables import differing_parameters, leaderboard_rows, verdicts
from dashboard.tracking.records import Trial


def trial(
    method: str, peers: int, wer: float, *, width: str = "1", seed: int = 0, state: str = "finished", rate: str = "0.1"
) -> Trial:
    config = {"seed": str(seed), "network.width": width, "cohort.method": method, "training.learning_rate": rate}
    return Trial(
        run_id=f"{method}{peers}{width}{seed}{rate}",
        name=f"{method}-p{peers}-w{width}-s{seed}-{rate}",
        state=state,
        reason="",
        method=method,
        peers=peers,
        width=width,
        batch_size=8,
        seed=seed,
        commit="",
        wer=wer,
        cer=wer / 2,
        wer_ensemble=wer,
        best_wer=wer,
        best_cer=wer / 2,
        best_epoch=3,
        epochs=4,
        seconds=60.0,
        store="",
        store_digest="",
        metrics=("val/wer",),
        config=config | {"training.device": f"cuda:{seed}"},
        latest={"val/wer": wer},
        began=0.0,
        ended=60.0,
        experiment_id="1",
    )


def test_pairs_share_width_and_seed() -> None:
    """Width 1: 0.5→0.4 and 0.7→0.5, so 15 points; width 0.5 has one pair, 5 points worse."""
    trials = [
        trial("vanilla", 1, 0.5),
        trial("vanilla", 1, 0.7, seed=1),
        trial("vanilla", 1, 0.9, seed=2),
        trial("attention", 2, 0.4),
        trial("attention", 2, 0.5, seed=1),
        trial("vanilla", 1, 0.8, width="0.5"),
        trial("attention", 2, 0.85, width="0.5"),
    ]
    wide, narrow = gains(trials, "vanilla")
    assert (wide.group, wide.width, wide.pairs, wide.better) == ("attention ×2", "1", 2, 2)
    assert [wide.baseline_wer, wide.wer] == pytest.approx([0.6, 0.45])
    assert wide.wer_points == pytest.approx(15)
    assert wide.cer_points == pytest.approx(7.5)
    assert (narrow.width, narrow.pairs, narrow.better) == ("0.5", 1, 0)
    assert narrow.wer_points == pytest.approx(-5)


def test_what_differs_in_more_than_the_cohort_is_no_pair() -> None:
    assert gains([trial("vanilla", 1, 0.5), trial("attention", 2, 0.4, rate="0.2")], "vanilla") == []


def test_the_device_is_no_difference() -> None:
    a, b = trial("vanilla", 1, 0.5), trial("attention", 2, 0.4)
    b = dataclasses.replace(b, config=b.config | {"training.device": "cpu", "training.threads": "2"})
    assert len(gains([a, b], "vanilla")) == 1


def test_a_store_that_was_moved_is_no_difference_and_another_one_is() -> None:
    one, two = trial("vanilla", 1, 0.5), trial("dml", 2, 0.4)
    one = dataclasses.replace(one, store_digest="a", config=one.config | {"data.store": "/here", "data.digest": "a"})
    two = dataclasses.replace(two, store_digest="a", config=two.config | {"data.store": "/there"})  # an old one
    assert len(gains([one, two], "vanilla")) == 1
    assert gains([one, dataclasses.replace(two, store_digest="b")], "vanilla") == []


def test_unfinished_trials_do_not_count() -> None:
    stopped = trial("attention", 2, 0.4, state="stopped")
    assert gains([trial("vanilla", 1, 0.5), stopped], "vanilla") == []


def test_any_group_can_be_the_baseline() -> None:
    trials = [trial("vanilla", 1, 0.5), trial("independent", 2, 0.6), trial("attention", 2, 0.4)]
    assert {g.group: round(g.wer_points) for g in gains(trials, "independent ×2")} == {
        "vanilla": 10,
        "attention ×2": 20,
    }


def test_groups_in_the_order_of_a_reader() -> None:
    trials = [trial("dml", 2, 1), trial("attention", 3, 1), trial("attention", 2, 1), trial("independent", 2, 1)]
    assert groups([*trials, trial("vanilla", 1, 1)]) == [
        "vanilla",
        "independent ×2",
        "attention ×2",
        "attention ×3",
        "dml ×2",
    ]


def test_verdicts_in_words() -> None:
    trials = [trial("vanilla", 1, 0.5), trial("attention", 2, 0.4), trial("independent", 2, 0.5)]
    assert verdicts(gains(trials, "vanilla"), "vanilla") == [
        "attention ×2 against vanilla: WER 10.0 points lower, CER 5.0 points lower; "
        "mean of one pair of trials that differ only in the method and its settings, lower WER in 1 of 1.",
        "independent ×2 against vanilla: WER unchanged, CER unchanged; "
        "mean of one pair of trials that differ only in the method and its settings, lower WER in 0 of 1.",
    ]


def test_the_mean_of_a_verdict_is_over_pairs() -> None:
    """Two pairs of 10 points at width 1, one of −5 at width 0.5: 15 over three pairs, 5.0 points."""
    trials = [
        *(trial(m, p, w, seed=s) for s in (0, 1) for m, p, w in (("vanilla", 1, 0.5), ("attention", 2, 0.4))),
        trial("vanilla", 1, 0.5, width="0.5"),
        trial("attention", 2, 0.55, width="0.5"),
    ]
    (sentence,) = verdicts(gains(trials, "vanilla"), "vanilla")
    assert sentence.startswith("attention ×2 against vanilla: WER 5.0 points lower")
    assert sentence.endswith(
        "mean of 3 pairs of trials that differ only in the method and its settings, lower WER in 2 of 3."
    )


@pytest.mark.parametrize(("width", "value"), [("1", 1.0), ("0.25", 0.25), ("1+0.5", 1.0), ("?", 0.0)])
def test_widths_sort_as_numbers(width: str, value: float) -> None:
    assert width_value(width) == value


def test_only_what_differs_is_listed() -> None:
    trials = [trial("vanilla", 1, 0.5), trial("attention", 2, 0.4)]
    assert differing_parameters(trials) == [
        {"parameter": "cohort.method", trials[0].name: "vanilla", trials[1].name: "attention"}
    ]


def test_a_row_of_the_leaderboard() -> None:
    row = leaderboard_rows([trial("attention", 2, 0.4)])[0]
    assert (row["method"], row["peers"], row["best_wer"], row["minutes"]) == ("attention", 2, 0.4, 1.0)


def test_one_network_alone_is_called_vanilla_among_the_parameters() -> None:
    """A trial file says `independent` of it; of two such peers it is the method's own name."""
    alone, two = trial("vanilla", 1, 0.5), trial("independent", 2, 0.4)
    alone = dataclasses.replace(alone, config=alone.config | {"cohort.method": "independent", "cohort.peers": "1"})
    two = dataclasses.replace(two, config=two.config | {"cohort.peers": "2"})
    assert differing_parameters([alone, two]) == [
        {"parameter": "cohort.method", alone.name: "vanilla", two.name: "independent"},
        {"parameter": "cohort.peers", alone.name: "1", two.name: "2"},
    ]
