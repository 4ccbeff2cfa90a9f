"""What trials can show: variances of the parts by hand and against known ones, and the plan in words."""

import json
from pathlib import Path

import numpy as np
import pytest

from lipkd.cli import main
from lipkd.errors import LipkdError
from lipkd.evaluation.power import Components, Design, components, plan
from tests.lipkd.evaluation.test_compare import NINE, UNSEEN, trial

PARTS = Components(True, seed=0.0004, speaker=0.0016, seed_speaker=0.0009, clip=0.01, seed_clip=0.04)


def test_the_parts_are_found_again() -> None:
    """Forty seeds, forty speakers with ten clips each, drawn with known variances."""
    rng = np.random.default_rng(0)
    seeds, speakers, clips = 40, 40, 10
    gaps = 0.05 + rng.normal(0, 0.02, (seeds, 1, 1)) + rng.normal(0, 0.04, (1, speakers, 1))
    gaps = gaps + rng.normal(0, 0.03, (seeds, speakers, 1)) + rng.normal(0, 0.1, (1, speakers, clips))
    gaps = (gaps + rng.normal(0, 0.2, (seeds, speakers, clips))).reshape(seeds, -1)
    names = [str(index) for index in np.repeat(np.arange(speakers), clips)]
    found = components(gaps, np.ones(speakers * clips), names, other_speakers=True)
    for name in ("seed", "speaker", "seed_speaker", "clip", "seed_clip"):
        assert getattr(found, name) == pytest.approx(getattr(PARTS, name), rel=0.5), name


def test_the_standard_error_by_hand() -> None:
    """Four seeds, two speakers, five clips each: 0.0004/4 + (0.0016 + 0.01/5)/2 + (0.0009 + 0.04/5)/8."""
    design = Design(seeds=4, speakers=2, clips=5)
    found = PARTS.variances(design)
    expected = 0.0004 / 4 + (0.0016 + 0.002) / 2 + (0.0009 + 0.008) / 8
    assert found.seeds + found.units - found.both == pytest.approx(expected)
    assert PARTS.detectable(design) > PARTS.detectable(Design(4, 4, 5)) > PARTS.detectable(Design(8, 4, 5))
    assert PARTS.detectable(Design(1, 4, 5)) == float("inf")


def test_seeds_alone_do_not_replace_speakers() -> None:
    """A method that suits speakers differently: no number of seeds shows two points, enough speakers do."""
    rng = np.random.default_rng(1)
    by_speaker = np.repeat(rng.normal(0, 0.1, 5), 20)
    gaps = by_speaker + rng.normal(0, 0.1, (3, 100))
    names = [str(index) for index in np.repeat(np.arange(5), 20)]
    made = plan(gaps, np.ones(100), names, True, (2.0,), "wer")
    (needed,) = made.needed
    assert needed.seeds is None and needed.clips is None
    assert needed.speakers is not None and 50 < needed.speakers < 1000
    assert made.floor <= made.shown
    same = plan(gaps, np.ones(100), names, False, (2.0,), "wer")
    assert same.needed[0].speakers is None and same.shown < made.shown
    assert "over 100 " in made.text() and "–" in same.text()


def test_a_plan_in_words_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [[0, 1, 0, 1, 1, 0, 2, 0, 1], [1, 0, 0, 2, 0, 1, 0, 1, 0]]
    for seed in (0, 1):
        trial(tmp_path, seed, [wrong[seed]], ids=NINE, data=UNSEEN)
        trial(tmp_path, seed, [wrong[1 - seed]] * 2, ids=NINE, data=UNSEEN, cohort={"peers": 2, "method": "dml"})
    assert main(["compare", str(tmp_path), "--plan", "--points", "5,20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "dml ×2 (width 1) against vanilla (width 1)"
    assert lines[1].startswith("  WER, for speakers like these: 2 seeds, 3 speakers with 3 clips each; ")
    assert [line.split()[0] for line in lines[3:6]] == ["points", "5", "20"]
    assert main(["compare", str(tmp_path), "--plan", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert [made["rate"] for made in row["plans"]] == ["wer", "cer"]
    assert [needed["points"] for needed in row["plans"][0]["needed"]] == [2, 5, 10]


def test_one_seed_has_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = trial(tmp_path, 0, [[1, 2]]), trial(tmp_path, 0, [[1, 1]] * 2)
    assert main(["compare", str(one.path), "--against", str(two.path), "--plan"]) == 0
    assert "a plan needs at least two seeds and two clips" in capsys.readouterr().out
    with pytest.raises(LipkdError, match="at least two"):
        components(np.zeros((1, 4)), np.ones(4), list("abcd"), True)
    with pytest.raises(SystemExit):
        main(["compare", str(tmp_path), "--plan", "--points", "0,x"])
