"""The list of clips, and the orders in which it is read."""

import dataclasses

from dashboard.analysis.tables import clip_rows, incomparable_summary, ordered, short_names, verdict_number
from dashboard.errors.word_edits import clip_edits
from dashboard.tracking.records import Prediction, Trial
from lipkd.evaluation.comparison import Difference
from tests.dashboard.analysis.test_matched_pairs import trial

REFERENCES = {"s/one": "uno", "s/three": "uno due tre", "t/two": "uno due"}


def rows() -> list[dict[str, object]]:
    """WER of A 0, 1/3, 1; of B 1, 1/3 and none (B has not read t/two)."""
    predictions = [Prediction(clip, text, ("",), "") for clip, text in REFERENCES.items()]
    a = clip_edits(list(REFERENCES.values()), ["uno", "uno due sei", "a b"])
    b = clip_edits(["uno", "uno due tre"], ["x", "uno due sei"])
    return clip_rows(predictions, a, dict(zip(["s/one", "s/three"], b, strict=True)))


def test_rates_of_both_trials_side_by_side() -> None:
    found = rows()
    assert [(row["clip"], row["speaker"], row["wer_a"], row["wer_b"]) for row in found] == [
        ("s/one", "s", 0.0, 1.0),
        ("s/three", "s", 1 / 3, 1 / 3),
        ("t/two", "t", 1.0, None),
    ]


def order_of(order: str) -> list[object]:
    return [row["clip"] for row in ordered(rows(), order)]


def test_orders() -> None:
    assert order_of("worst first") == ["t/two", "s/three", "s/one"]
    assert order_of("best first") == ["s/one", "s/three", "t/two"]
    assert order_of("by name") == ["s/one", "s/three", "t/two"]


def test_orders_by_difference_put_unread_clips_last() -> None:
    assert order_of("A worse than B") == ["s/three", "s/one", "t/two"]
    assert order_of("B worse than A") == ["s/one", "s/three", "t/two"]


def named(*names: str) -> list[Trial]:
    return [dataclasses.replace(trial("dml", 2, 0.1), name=name, run_id=name) for name in names]


def test_short_names_have_what_tells_trials_apart() -> None:
    """`b4` is in all names, and the digests are needed by none."""
    names = ("vanilla-w1-b4-s0-a4efbf35", "attention-p2-w1-b4-s0-0123abcd", "attention-p2-w0.5-b4-s0-99999999")
    assert list(short_names(named(*names)).values()) == ["vanilla-w1", "attention-p2-w1", "attention-p2-w0.5"]


def test_names_that_differ_in_their_digest_keep_it() -> None:
    assert list(short_names(named("dml-s0-a4efbf35", "dml-s0-0123abcd")).values()) == ["a4efbf35", "0123abcd"]


def test_names_that_say_nothing_more_stay_whole() -> None:
    assert list(short_names(named("one")).values()) == ["one"]
    assert list(short_names(named("a-b", "b-a")).values()) == ["a-b", "b-a"]
    assert list(short_names(named("vanilla-w1-a4efbf35")).values()) == ["vanilla-w1"]
    assert short_names([]) == {}


def test_a_verdict_is_one_number_with_its_interval() -> None:
    shown = Difference(-0.03, -0.051, -0.0094, {0: -0.03}, {}, 1, 2, 100)
    assert verdict_number(shown, 0.95) == "-3.0 points, 95 % interval -5.1 to -0.9"
    alone = dataclasses.replace(shown, low=None, high=None)
    assert verdict_number(alone, 0.95) == "-3.0 points, one seed: no interval"


def test_trials_that_are_not_comparable_are_named_with_the_reason() -> None:
    assert incomparable_summary(named("a", "b")) == ""
    odd = [dataclasses.replace(one, incomparable_reason="it took over weights") for one in named(*"abcde")]
    assert incomparable_summary(odd[:1]) == "Left out: a, not comparable (it took over weights)."
    assert incomparable_summary(odd) == "Left out: a, b, c and 2 more, not comparable (it took over weights)."
