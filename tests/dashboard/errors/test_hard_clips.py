"""Clips over several trials, counted by hand."""

from dashboard.errors import hard_clips as module
from dashboard.errors.hard_clips import HardClip, TrialHypotheses, best_peer_hypotheses, hard_clips
from dashboard.tracking.records import Prediction
from lipkd.errors import LipkdError


def trial(**hypotheses: str) -> TrialHypotheses:
    """A trial's hypotheses: of `easy` that is `bin red`, of `hard` that is `set blue now`, of `odd` that is `lay`."""
    references = {"easy": "bin red", "hard": "set blue now", "odd": "lay"}
    return best_peer_hypotheses([Prediction(clip, references[clip], (text,), "") for clip, text in hypotheses.items()])


FIRST = trial(easy="bin red", hard="set green now", odd="lay")
SECOND = trial(easy="bin red", hard="set green")
THIRD = trial(easy="pin red", hard="set green now")


def test_clips_are_counted_over_the_trials_that_read_them() -> None:
    """`hard` is wrong in three of three (WER 1/3, 2/3, 1/3); `easy` in one of three; `odd`, read by one, in none."""
    assert hard_clips([FIRST, SECOND, THIRD]) == [
        HardClip(
            clip="hard",
            reference="set blue now",
            wrong=3,
            trials=3,
            mean_wer=(1 / 3 + 2 / 3 + 1 / 3) / 3,
            lowest_wer=1 / 3,
            best=0,
            missed=(("blue", 3), ("now", 1)),
            hypothesis="set green now",
            alike=2,
        ),
        HardClip("easy", "bin red", 1, 3, (0 + 0 + 1 / 2) / 3, 0.0, 0, (("bin", 1),), "pin red", 1),
        HardClip("odd", "lay", 0, 1, 0.0, 0.0, 0, (), "", 0),
    ]


def test_the_best_trial_is_the_first_of_those_with_the_lowest_rate() -> None:
    (row,) = hard_clips([trial(hard="set"), trial(hard="set blue now"), trial(hard="set blue now")])
    assert (row.best, row.lowest_wer, row.wrong, row.trials) == (1, 0.0, 1, 3)


def test_a_clip_that_more_trials_have_read_is_harder_than_one_that_fewer_have() -> None:
    """Both are wrong wherever they were read."""
    rows = hard_clips([trial(odd="", hard="set"), trial(hard="set blue")])
    assert [(row.clip, row.wrong, row.trials) for row in rows] == [("hard", 2, 2), ("odd", 1, 1)]


def test_a_word_counts_once_for_a_trial_and_ties_go_by_name() -> None:
    found = [
        best_peer_hypotheses([Prediction("a/b", "red red lay", (text,), "")]) for text in ("bed bed lay", "red red")
    ]
    (row,) = hard_clips(found)
    assert row.missed == (("lay", 1), ("red", 1))
    assert (row.hypothesis, row.alike) == ("bed bed lay", 1)


def test_a_word_that_was_read_is_not_missed() -> None:
    """`bin red` read as `red so`: `bin` is left out and `so` put in, 5 letters; not both replaced, which is 6."""
    (row,) = hard_clips([trial(easy="red so")])
    assert (row.mean_wer, row.missed) == (1.0, (("bin", 1),))


def test_more_words_than_there_are_count_as_wrong_and_nothing_is_missed() -> None:
    (row,) = hard_clips([trial(odd="lay now")])
    assert (row.wrong, row.mean_wer, row.missed, row.hypothesis) == (1, 1.0, (), "lay now")


def test_the_best_peer_of_a_cohort_counts() -> None:
    """Peer 0 makes two mistakes of words, peer 1 and peer 2 one each, peer 2 the fewest of letters."""
    predictions = [
        Prediction("a/b", "bin red", ("x y", "bin", "bin rad"), "bin red"),
        Prediction("a/c", "lay", ("lay",) * 3, ""),
    ]
    found = best_peer_hypotheses(predictions)
    assert (found.output, found.clips["a/b"].hypothesis) == ("peer 2", "bin rad")


def test_sentences() -> None:
    trials = [FIRST, SECOND, THIRD]
    assert module.summary(hard_clips(trials), trials, 7) == [
        "1 of 3 clips has an error in every trial, 1 in none.",
        "Counted: 3 of 7 trials, the best first; of a cohort its best peer.",
        "They were not all validated on the same clips; a clip counts for those that were.",
    ]
    same = [SECOND, SECOND]
    assert module.summary(hard_clips(same), same, 2) == [
        "1 of 2 clips has an error in every trial, 1 in none.",
        "Counted: 2 of 2 trials, the best first; of a cohort its best peer.",
    ]


def test_who_is_left_out() -> None:
    reason = LipkdError("it is not there")
    assert module.unavailable({}) == []
    assert module.unavailable({"a": reason}) == ["Left out: a, it is not there."]
    assert module.unavailable(dict.fromkeys("abcde", reason))[3:] == ["2 more were left out for the same reason."]
    others = {"f": LipkdError("it is broken")} | dict.fromkeys("abc", reason)
    assert module.unavailable(others)[3:] == ["1 more was left out."]


def test_rows_of_the_table() -> None:
    hard, easy, odd = module.table_rows(hard_clips([FIRST, SECOND, THIRD]), ["one", "two", "three"])
    assert (hard["missed"], hard["hypothesis"], hard["best"]) == ("blue (3), now (1)", "set green now (2)", "one")
    assert (easy["wrong"], easy["trials"], odd["hypothesis"]) == (1, 3, "")
    (silent,) = module.table_rows(hard_clips([trial(odd="")]), ["one"])
    assert silent["hypothesis"] == "(nothing) (1)"
