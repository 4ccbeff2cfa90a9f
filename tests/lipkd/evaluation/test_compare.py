"""Comparisons of trials whose predictions are written by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lipkd.cli import main
from lipkd.config.trial_config import parse_config
from lipkd.errors import LipkdError
from lipkd.evaluation.compare import compare, compare_sweep, describe
from lipkd.files import write_json, write_jsonl
from lipkd.trial import TrialFolder

TRUTH = "one two three four"


def trial(
    root: Path,
    seed: int,
    wrong: list[list[int]],
    state: str = "finished",
    ids: Sequence[str] = (),
    test: Sequence[str] = (),
    **parts: Any,
) -> TrialFolder:
    """A trial whose peers get `wrong[peer][clip]` of each clip's four words wrong."""
    config = parse_config({"data": {"store": "x"}, "seed": seed, "cohort": {"peers": len(wrong)}, **parts})
    folder = TrialFolder(root / config.trial_name())
    ids = ids or [f"s/{i:02d}" for i in range(len(wrong[0]))]
    rows = []
    for index, clip in enumerate(ids):
        said = [" ".join(["bad"] * peer[index] + TRUTH.split()[peer[index] :]) for peer in wrong]
        rows.append({"id": clip, "reference": TRUTH, "hypotheses": said, "ensemble": said[0]})
    write_json(folder.path / "config.json", config.to_json())
    write_json(folder.path / "split.json", {"train": ["t"], "val": ids, "test": test, "store_digest": "d"})
    write_json(folder.path / "state.json", {"state": state, "reason": "", "time": 0.0})
    write_jsonl(folder.predictions("best"), rows)
    return folder


def test_a_difference_that_every_clip_and_seed_shows(tmp_path: Path) -> None:
    """A gets 1 of 4 words wrong in every clip, B's two peers 2 and 4: 25 % against 75 % in all, so no width."""
    a = [trial(tmp_path, seed, [[1] * 10]) for seed in (0, 1, 2)]
    b = [trial(tmp_path, seed, [[2] * 10, [4] * 10]) for seed in (0, 1, 2)]
    result = compare(a, b)
    assert result.wer.mean == result.wer.low == result.wer.high == pytest.approx(-0.5)
    assert result.wer.by_seed == pytest.approx({0: -0.5, 1: -0.5, 2: -0.5})
    assert (result.wer.edits_a, result.wer.edits_b, result.wer.reference) == (30, 90, 120)
    assert result.wer.outcome == "better"
    assert result.verdict().splitlines()[0] == (
        "WER: vanilla (width 1) is better than independent ×2 (width 1) by 50.0 points (95 % interval 50.0 to 50.0), "
        "in 3 of 3 seeds; 30 against 90 edits, mean over peers, in 120 words"
    )
    other_way = compare(b, a)
    assert other_way.wer.mean == -result.wer.mean and other_way.wer.outcome == "worse"
    assert "independent ×2 (width 1) is worse than vanilla (width 1) by 50.0 points" in other_way.verdict()


def test_one_seed_shows_nothing(tmp_path: Path) -> None:
    """Every clip says the same, and still another seed may say something else: no interval."""
    alone, two = trial(tmp_path, 0, [[1] * 10]), trial(tmp_path, 0, [[2] * 10, [4] * 10])
    result = compare([alone], [two])
    assert (result.wer.low, result.wer.high, result.wer.outcome) == (None, None, "not shown")
    assert result.verdict().splitlines() == [
        "WER: not shown that vanilla (width 1) differs from independent ×2 (width 1): it is ahead by 50.0 points with "
        "one seed, from which nothing follows for other seeds; 10 against 30 edits, mean over peers, in 40 words",
        result.verdict().splitlines()[1],
        "The best epochs were chosen on these very clips.",
    ]


def test_single_networks_have_no_peers_to_be_averaged_over(tmp_path: Path) -> None:
    one, other = trial(tmp_path / "one", 0, [[1, 1]]), trial(tmp_path / "other", 0, [[1, 2]])
    assert compare([other], [one]).verdict().splitlines()[0].endswith("; 3 against 2 edits in 8 words")


def test_a_difference_that_may_be_luck(tmp_path: Path) -> None:
    a = [trial(tmp_path, 0, [[0, 4] * 10]), trial(tmp_path, 1, [[4, 0] * 10])]
    b = [trial(tmp_path, 0, [[4, 0] * 10] * 2), trial(tmp_path, 1, [[1, 4] * 10] * 2)]
    result = compare(a, b)
    assert result.wer.low is not None and result.wer.high is not None
    assert result.wer.low < 0 < result.wer.high and result.wer.outcome == "not shown"
    assert result.verdict().startswith("WER: not shown that vanilla (width 1) differs from independent ×2 (width 1): ")
    assert "The interval covers other seeds and other clips of this speaker." in result.verdict()
    assert result == compare(a, b)


def test_no_difference_at_all(tmp_path: Path) -> None:
    a, b = trial(tmp_path, 0, [[1, 2]]), trial(tmp_path, 0, [[1, 2], [1, 2]])
    assert "they are equal" in compare([a], [b]).verdict()


UNSEEN = {"store": "x", "scenario": "unseen", "val_speakers": ["a", "b", "c"]}
NINE = ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2", "c/0", "c/1", "c/2"]


def test_other_speakers_count_where_speakers_are_held_out(tmp_path: Path) -> None:
    """One speaker of three decides: shown for these speakers' clips (nine), not for other speakers (three)."""
    gains = {"a": 3, "b": 1, "c": 1}
    wrong = [[0] * 9], [[gains[clip[0]] for clip in NINE]]
    outcomes = {}
    for data in (UNSEEN, {"store": "x"}):
        root = tmp_path / str(data.get("scenario"))
        a, b = (
            [trial(root / side, seed, w, ids=NINE, data=data) for seed in (0, 1, 2)]
            for side, w in zip("ab", wrong, strict=True)
        )
        result = compare(a, b)
        outcomes[result.verdict().splitlines()[2]] = result.wer.outcome
        assert result.wer.by_speaker == pytest.approx({"a": -3 / 4, "b": -1 / 4, "c": -1 / 4})
        assert "in 3 of 3 seeds and for 3 of 3 speakers" in result.verdict()
    assert outcomes == {
        "The interval covers other seeds and speakers like these 3.": "not shown",
        "The interval covers other seeds and other clips of these speakers.": "better",
    }


def test_one_speaker_says_nothing_of_others(tmp_path: Path) -> None:
    data = {"store": "x", "scenario": "unseen", "val_speakers": ["s"]}
    a, b = (
        [trial(tmp_path / side, seed, w, data=data) for seed in (0, 1)]
        for side, w in (("a", [[1, 2, 1]]), ("b", [[2, 2, 2]]))
    )
    assert "other clips of this speaker" in compare(a, b).verdict()


def test_test_clips_are_compared_where_all_have_read_them(tmp_path: Path) -> None:
    """On the validation clips A is better, on the test clips B is."""
    a, b = (
        [trial(tmp_path / side, seed, w, test=["s/t0", "s/t1"]) for seed in (0, 1)]
        for side, w in (("a", [[1, 1]]), ("b", [[2, 2]]))
    )
    on_val = compare(a, b)
    assert (on_val.part, on_val.wer.outcome) == ("val", "better")
    assert "the split has test clips, which not all of the trials have read" in on_val.verdict()
    for side, said in ((a, "bad bad bad four"), (b, TRUTH)):
        for folder in side:
            rows = [
                {"id": clip, "reference": TRUTH, "hypotheses": [said], "ensemble": said}
                for clip in folder.split()["test"]
            ]
            write_jsonl(folder.predictions("test"), rows)
    on_test = compare(a, b)
    assert (on_test.part, on_test.clips, on_test.wer.outcome) == ("test", 2, "worse")
    assert "chosen on the validation clips, not on these test clips" in on_test.verdict()
    assert "; 2 test clips" in on_test.heading()


def test_predictions_that_are_not_those_of_the_split_are_named(tmp_path: Path) -> None:
    a, b = trial(tmp_path / "a", 0, [[1, 1]]), trial(tmp_path / "b", 0, [[1, 1]])
    rows = b.read_predictions()
    write_jsonl(b.predictions("best"), rows[:1])
    with pytest.raises(LipkdError, match="its predictions are of other clips"):
        compare([a], [b])
    write_jsonl(b.predictions("best"), [])
    with pytest.raises(LipkdError, match="has no predictions of its val clips"):
        compare([a], [b])
    write_jsonl(b.predictions("best"), [{**rows[0], "reference": "?!"}, rows[1]])
    with pytest.raises(LipkdError, match="the reference of clip s/00 is empty"):
        compare([a], [b])


def test_a_heading_says_in_what_else_the_trials_of_a_sweep_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two batch sizes, each with its own control: two headings, two settings in the table and in the JSON."""
    for size in (4, 8):
        training = {"batch_size": size}
        trial(tmp_path, 0, [[2, 2]], training=training)
        trial(tmp_path, 0, [[1, 2]] * 2, training=training, cohort={"peers": 2, "method": "dml"})
    assert main(["compare", str(tmp_path)]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert sorted(headings) == [
        f"dml ×2 (width 1) against vanilla (width 1), batch size {size}; 2 validation clips" for size in (4, 8)
    ]
    assert main(["compare", str(tmp_path), "--table"]) == 0
    head, *rows = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    assert head[0] == "rate" and len(rows) == 4
    assert {cell.strip() for row in rows for cell in row if "batch" in cell} == {"batch size 4", "batch size 8"}
    assert main(["compare", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(one["setting"]["batch size"] for one in found) == ["4", "8"]
    assert found[0]["wer"]["outcome"] == "not shown" and found[0]["wer"]["by_seed"] == {"0": -0.125}


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
    found = compare_sweep([vanilla, control, taught, other_width, unfinished])
    assert [(c.a, c.b, round(c.wer.mean, 9)) for c in found] == [
        ("independent ×2 (width 1)", "vanilla (width 1)", -1 / 8),
        ("dml ×2 (width 1)", "vanilla (width 1)", -2 / 8),
        ("dml ×2 (width 1)", "independent ×2 (width 1)", -1 / 8),
    ]
    assert all("with one seed" in c.verdict() for c in found)


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
    assert len(compare_sweep([one, two])) == 1
    two.set_incomparable("it went on from the weights of better")
    with pytest.raises(LipkdError, match="cannot be compared: it went on from the weights of better"):
        compare([one], [two])
    assert compare_sweep([one, two]) == []


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
    assert "2 against 4 edits, mean over peers of width 0.25, in 8 words" in alone.verdict()
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

    found = compare_sweep([taught, apart, narrow, wide, others, three])
    by_sides = {(c.a.split(" ")[0], c.b.split(" (")[0], c.width) for c in found if "×3" not in c.a}
    expected = {(a, "vanilla", w) for a in ("kdcl-best-loss", "independent") for w in widths}
    assert by_sides == expected | {("kdcl-best-loss", "independent ×2", w) for w in widths}
    assert all(c.clips == 2 and c.wer.mean < 0 for c in found if c.a.startswith("kdcl"))


def test_narrow_peers_without_a_teacher_are_a_control_of_one_with_a_wide_teacher(tmp_path: Path) -> None:
    narrow = {"width": 0.5}
    taught = trial(tmp_path, 0, [[1, 1], [0, 0]], cohort={"peers": 2, "method": "kdcl-best-loss", "widths": [0.5, 1.0]})
    pair = trial(tmp_path, 0, [[2, 2], [3, 3]], network=narrow)
    three = trial(tmp_path, 0, [[1, 1]] * 3, network=narrow, cohort={"peers": 3, "method": "one"})
    found = compare_sweep([taught, pair, three])
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
    assert [(c.width, len(c.wer.by_seed)) for c in compare_sweep([*taught, *apart])] == [(0.5, 2), (1.0, 2)]
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
    assert "--width 1: needs --against" in capsys.readouterr().err


def test_a_sweep_goes_on_without_what_cannot_be_compared_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five stopped trials, one that is not comparable, one with a damaged configuration, and two that are a pair."""
    trial(tmp_path, 0, [[2, 2]])
    trial(tmp_path, 0, [[1, 1]] * 2, cohort={"peers": 2, "method": "dml"})
    stopped = [trial(tmp_path, seed, [[1, 1]], state="stopped") for seed in range(1, 6)]
    trial(tmp_path, 6, [[1, 1]]).set_incomparable("it went on from another's weights")
    damaged = trial(tmp_path, 7, [[1, 1]])
    (damaged.path / "config.json").write_text("")
    assert main(["compare", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("dml ×2 (width 1) against vanilla (width 1)")
    lines = printed.err.splitlines()
    assert len(lines) == 3
    assert f"left out {', '.join(t.name for t in stopped[:3])} and 2 more: it is stopped, not finished" in lines
    assert any(line.endswith(": it went on from another's weights") for line in lines)
    assert any(damaged.name in line and "config.json" in line for line in lines)
