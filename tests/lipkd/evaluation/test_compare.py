"""Comparisons of trials whose predictions are written by hand."""

from pathlib import Path
from typing import Any

import pytest

from lipkd.cli import main
from lipkd.config.trial_config import parse_config
from lipkd.errors import LipkdError
from lipkd.evaluation.compare import compare, compare_all, describe
from lipkd.files import write_json, write_jsonl
from lipkd.trial import TrialFolder

TRUTH = "one two three four"


def trial(root: Path, seed: int, wrong: list[list[int]], state: str = "finished", **parts: Any) -> TrialFolder:
    """A trial whose peers get `wrong[peer][clip]` of each clip's four words wrong."""
    config = parse_config({"data": {"store": "x"}, "seed": seed, "cohort": {"peers": len(wrong)}, **parts})
    folder = TrialFolder(root / config.trial_name())
    ids = [f"s/{i:02d}" for i in range(len(wrong[0]))]
    rows = []
    for index, clip in enumerate(ids):
        said = [" ".join(["bad"] * peer[index] + TRUTH.split()[peer[index] :]) for peer in wrong]
        rows.append({"id": clip, "reference": TRUTH, "hypotheses": said, "ensemble": said[0]})
    write_json(folder.path / "config.json", config.to_json())
    write_json(folder.path / "split.json", {"train": ["t"], "val": ids, "test": [], "store_digest": "d"})
    write_json(folder.path / "state.json", {"state": state, "reason": "", "time": 0.0})
    write_jsonl(folder.predictions("best"), rows)
    return folder


def test_a_difference_that_every_clip_and_seed_shows(tmp_path: Path) -> None:
    """A gets 1 of 4 words wrong in every clip, B's two peers 2 and 4: 25 % against 75 %, whatever is drawn."""
    a = [trial(tmp_path, seed, [[1] * 10]) for seed in (0, 1, 2)]
    b = [trial(tmp_path, seed, [[2] * 10, [4] * 10]) for seed in (0, 1, 2)]
    result = compare(a, b)
    assert result.wer.mean == result.wer.low == result.wer.high == pytest.approx(-0.5)
    assert result.wer.by_seed == pytest.approx({0: -0.5, 1: -0.5, 2: -0.5})
    assert (result.wer.edits_a, result.wer.edits_b, result.wer.reference) == (30, 90, 120)
    assert result.wer.certain
    assert "WER: vanilla (width 1) is better by 50.0 points against independent ×2" in result.verdict()
    assert (
        "95 % interval 50.0 to 50.0, in 3 of 3 seeds (30 against 90 edits, mean over peers, in 120 words)"
        in result.verdict()
    )
    assert compare(b, a).wer.mean == -result.wer.mean


def test_the_figures_stand_in_the_order_of_the_names(tmp_path: Path) -> None:
    """Of 16 words one network gets 8 wrong, two peers 3 and 4, which is 3.5: whichever is A, the better comes first."""
    alone, two = trial(tmp_path, 0, [[2] * 4]), trial(tmp_path, 0, [[1, 1, 1, 0], [1] * 4])
    for sides in ((alone, two), (two, alone)):
        sentence = compare([sides[0]], [sides[1]]).verdict().splitlines()[0]
        assert sentence.startswith("WER: independent ×2 (width 1) is ahead")
        assert "against vanilla (width 1), " in sentence
        assert sentence.endswith("(3.5 against 8 edits, mean over peers, in 16 words)")


def test_single_networks_have_no_peers_to_be_averaged_over(tmp_path: Path) -> None:
    one, other = trial(tmp_path / "one", 0, [[1, 1]]), trial(tmp_path / "other", 0, [[1, 2]])
    assert compare([other], [one]).verdict().splitlines()[0].endswith("(2 against 3 edits in 8 words)")


def test_a_difference_that_may_be_luck(tmp_path: Path) -> None:
    a = [trial(tmp_path, 0, [[0, 4] * 10]), trial(tmp_path, 1, [[4, 0] * 10])]
    b = [trial(tmp_path, 0, [[4, 0] * 10] * 2), trial(tmp_path, 1, [[1, 4] * 10] * 2)]
    result = compare(a, b)
    assert result.wer.low < 0 < result.wer.high
    assert not result.wer.certain
    assert "it may be luck" in result.verdict()
    assert result == compare(a, b)


def test_no_difference_at_all(tmp_path: Path) -> None:
    a, b = trial(tmp_path, 0, [[1, 2]]), trial(tmp_path, 0, [[1, 2], [1, 2]])
    assert "are equal" in compare([a], [b]).verdict()


def test_only_equals_are_compared(tmp_path: Path) -> None:
    a = trial(tmp_path, 0, [[1, 1]])
    longer = trial(tmp_path, 0, [[1, 1]] * 2, training={"epochs": 7})
    running = trial(tmp_path, 0, [[1, 1]] * 2, state="running")
    other_clips = trial(tmp_path, 0, [[1, 1, 1]] * 3)
    other_seed = trial(tmp_path, 5, [[1, 1]] * 2)
    cases = [
        ([longer], "differ in training.epochs"),
        ([running], "is running, not finished"),
        ([other_clips], "differ in the split"),
        ([other_seed], r"seeds \[0\] on one side, \[5\] on the other"),
        ([running, trial(tmp_path, 0, [[1, 1]] * 2, cohort={"peers": 2, "weight": 2.0})], "same side"),
    ]
    for b, sentence in cases:
        with pytest.raises(LipkdError, match=sentence):
            compare([a], b)


def test_seeds_of_one_side_share_their_cohort(tmp_path: Path) -> None:
    a = [trial(tmp_path, seed, [[1, 1]]) for seed in (0, 1)]
    b = [trial(tmp_path, 0, [[1, 1]] * 2), trial(tmp_path, 1, [[1, 1]] * 3)]
    with pytest.raises(LipkdError, match=r"differ in cohort.peers"):
        compare(a, b)


def test_a_sweep_compares_every_cohort_with_its_controls(tmp_path: Path) -> None:
    vanilla = trial(tmp_path, 0, [[2, 2]])
    control = trial(tmp_path, 0, [[1, 2]] * 2)
    taught = trial(tmp_path, 0, [[1, 1]] * 2, cohort={"peers": 2, "method": "dml"})
    other_width = trial(tmp_path, 0, [[1, 1]] * 2, network={"width": 0.5})
    unfinished = trial(tmp_path, 0, [[1, 1]] * 3, state="running")
    found = compare_all([vanilla, control, taught, other_width, unfinished])
    assert [(c.a, c.b, round(c.wer.mean, 9)) for c in found] == [
        ("independent ×2 (width 1)", "vanilla (width 1)", -1 / 8),
        ("dml ×2 (width 1)", "vanilla (width 1)", -2 / 8),
        ("dml ×2 (width 1)", "independent ×2 (width 1)", -1 / 8),
    ]
    assert all("one seed there is" in c.verdict() for c in found)


def test_cohorts_of_one_method_are_told_apart(tmp_path: Path) -> None:
    own = trial(tmp_path, 0, [[1]] * 2, cohort={"peers": 2, "views": "per-peer"})
    late = trial(tmp_path, 0, [[1]] * 2, cohort={"peers": 2, "method": "dml", "start_share": 0.3, "weight": 0.5})
    assert describe(own) == "independent ×2, views per-peer (width 1)"
    assert describe(late) == "dml ×2, weight 0.5, start share 0.3 (width 1)"
    assert describe(trial(tmp_path, 0, [[1]], cohort={"method": "dml", "weight": 0.5})) == "vanilla (width 1)"
    small = trial(tmp_path, 0, [[1]], network={"name": "lipnet-128", "width": 0.5})
    assert describe(small) == "vanilla (lipnet-128, width 0.5)"


def test_a_trial_that_says_that_it_is_not_comparable_is_not_compared(tmp_path: Path) -> None:
    one, two = trial(tmp_path, 0, [[1, 2]]), trial(tmp_path, 0, [[1, 2], [1, 2]])
    assert len(compare_all([one, two])) == 1
    two.set_incomparable("it went on from the weights of better")
    with pytest.raises(LipkdError, match="cannot be compared: it went on from the weights of better"):
        compare([one], [two])
    assert compare_all([one, two]) == []


def test_a_narrow_peer_beside_a_wide_one_is_compared_with_narrow_networks(tmp_path: Path) -> None:
    """The student of 0.25 gets 1 of 4 words wrong beside its wide peer, and 2 alone; the wide one none, and 1."""
    widths = [0.25, 1.0]
    taught = trial(tmp_path, 0, [[1, 1], [0, 0]], cohort={"peers": 2, "method": "kdcl-best-loss", "widths": widths})
    apart = trial(tmp_path, 0, [[2, 2], [1, 1]], cohort={"peers": 2, "widths": widths})
    narrow, wide = (trial(tmp_path, 0, [[w, w]], network={"width": v}) for w, v in ((2, 0.25), (1, 1.0)))
    others = trial(tmp_path, 0, [[4, 4]], network={"width": 0.5})
    three = trial(tmp_path, 0, [[1] * 2] * 3, cohort={"peers": 3, "widths": [0.25, 0.25, 1.0]})

    alone = compare([taught], [narrow])
    assert alone.width == 0.25 and alone.wer.mean == pytest.approx(-1 / 4)
    assert "(2 against 4 edits, mean over peers of width 0.25, in 8 words)" in alone.verdict()
    assert compare([taught], [wide]).wer.mean == pytest.approx(-1 / 4)
    both = compare([taught], [apart])
    assert both.width is None and both.wer.mean == pytest.approx(-1 / 4)
    assert compare([taught], [apart], width=1.0).wer.edits_b == 2
    with pytest.raises(LipkdError, match=r"no peers of the same width on both sides \(0\.25\+1 and 0\.5\)"):
        compare([taught], [others])
    with pytest.raises(LipkdError, match=r"no peers of width 0\.5 on both sides"):
        compare([taught], [apart], width=0.5)
    with pytest.raises(LipkdError, match=r"other shares of each width: name one of 0\.25 or 1"):
        compare([taught], [three])

    found = compare_all([taught, apart, narrow, wide, others, three])
    by_sides = {(c.a.split(" ")[0], c.b.split(" (")[0], c.width) for c in found if "×3" not in c.a}
    expected = {(a, "vanilla", w) for a in ("kdcl-best-loss", "independent") for w in widths}
    assert by_sides == expected | {("kdcl-best-loss", "independent ×2", w) for w in widths}
    assert all(c.clips == 2 and c.wer.certain for c in found if c.a.startswith("kdcl"))


def test_narrow_peers_without_a_teacher_are_a_control_of_one_with_a_wide_teacher(tmp_path: Path) -> None:
    narrow = {"width": 0.5}
    taught = trial(tmp_path, 0, [[1, 1], [0, 0]], cohort={"peers": 2, "method": "kdcl-best-loss", "widths": [0.5, 1.0]})
    pair = trial(tmp_path, 0, [[2, 2], [3, 3]], network=narrow)
    three = trial(tmp_path, 0, [[1, 1]] * 3, network=narrow, cohort={"peers": 3, "method": "one"})
    found = compare_all([taught, pair, three])
    assert [(c.a, c.b, c.width, round(c.wer.mean, 9)) for c in found] == [
        ("kdcl-best-loss ×2 (width 0.5+1)", "independent ×2 (width 0.5)", 0.5, -1.5 / 4)
    ]


def test_a_width_that_no_peer_has_does_not_matter(tmp_path: Path) -> None:
    """`network.width` goes for cohorts without `widths` only: whatever stands there, it is one cohort."""
    cohort = {"peers": 2, "widths": [0.5, 1.0]}
    taught = [
        trial(tmp_path, seed, [[1], [0]], cohort={**cohort, "method": "dml"}, network={"width": 0.25 * (seed + 1)})
        for seed in (0, 1)
    ]
    apart = [trial(tmp_path, seed, [[2], [1]], cohort=cohort) for seed in (0, 1)]
    assert [(c.width, len(c.wer.by_seed)) for c in compare_all([*taught, *apart])] == [(0.5, 2), (1.0, 2)]
    other = trial(tmp_path, 1, [[2], [1]], cohort={"peers": 2, "widths": [1.0, 0.5]})
    with pytest.raises(LipkdError, match=r"differ in cohort\.widths"):
        compare(taught, [apart[0], other])


def test_a_width_is_chosen_for_two_sides_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taught = trial(tmp_path, 0, [[1, 1], [0, 0]], cohort={"peers": 2, "method": "dml", "widths": [0.5, 1.0]})
    apart = trial(tmp_path, 0, [[2, 2], [1, 1]], cohort={"peers": 2, "widths": [0.5, 1.0]})
    sides = ["compare", str(taught.path), "--against", str(apart.path)]
    assert main([*sides, "--width", "1"]) == 0
    assert "mean over peers of width 1" in capsys.readouterr().out
    assert main(["compare", str(tmp_path), "--width", "1"]) == 2
    assert "--width 1: goes with --against" in capsys.readouterr().err
