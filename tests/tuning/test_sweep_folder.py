import json
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from tests.tuning.trials import trial_config, write_trial
from tuning.plan.planner import Planned
from tuning.sweep_folder import SweepRecord, begin, load, trial_folders


def planned(seed: int) -> Planned:
    config = trial_config(seed=seed)
    return Planned(config.trial_name(), config, {"network.width": 1.0})


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = begin(tmp_path / "s", experiment="lips", working_folder=tmp_path)
    record.tracking_uri = "http://host"
    assert not record.folder.exists()
    assert record.add([planned(0), planned(1)]) == [planned(0), planned(1)]
    assert record.add([planned(1), planned(2)]) == [planned(2)]
    assert load(tmp_path / "s") == record
    assert [t.config.seed for t in record.trials] == [0, 1, 2]


def test_what_waits_is_what_is_planned_and_has_not_ended(tmp_path: Path) -> None:
    record = SweepRecord(tmp_path)
    record.add([planned(seed) for seed in range(6)])
    for seed, state in enumerate(("finished", "stopped", "failed", "running")):
        write_trial(tmp_path, [0.5], config=planned(seed).config, state=state)  # type: ignore[arg-type]
    plan = [planned(seed) for seed in (4, 3, 2, 1, 0)]
    assert [t.config.seed for t in record.waiting(plan)] == [2, 3, 4]
    assert [t.config.seed for t in record.ended()] == [0, 1]


def test_trials_that_are_no_longer_planned_are_forgotten_unless_begun(tmp_path: Path) -> None:
    record = SweepRecord(tmp_path)
    record.add([planned(0), planned(1), planned(2)])
    write_trial(tmp_path, [0.5], config=planned(1).config)
    record.keep_to([planned(2)])
    assert [t.config.seed for t in record.trials] == [1, 2]


def test_a_folder_without_a_record(tmp_path: Path) -> None:
    assert load(tmp_path) == SweepRecord(tmp_path)
    with pytest.raises(LipkdError, match="there is no such folder"):
        load(tmp_path / "none")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\x00", '{"format": 99}', "[" * 100_000])
def test_a_damaged_record_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text, encoding="utf-8")
    with pytest.raises(LipkdError, match=r"sweep\.json: (.*; remove it, then `lipkd sweep .* --resume`|format 99)"):
        load(tmp_path)


@pytest.mark.parametrize("wrong", [None, 7, "x", [1], {"a": 1}])
def test_every_field_of_a_record_is_checked(tmp_path: Path, wrong: object) -> None:
    begin(tmp_path, experiment="lips", working_folder=tmp_path).add([planned(0)])
    whole = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    row = whole["trials"][0]
    damaged = [{**whole, key: wrong} for key in ("experiment", "working_folder", "commit", "created", "trials")]
    damaged += [{**whole, "trials": [{**row, key: wrong}]} for key in ("name", "config", "values")]
    damaged += [{key: value for key, value in whole.items() if key != lost} for lost in ("experiment", "trials")]
    for content in damaged:
        if content not in (whole, {**whole, "experiment": "x"}, {**whole, "created": 7}):
            (tmp_path / "sweep.json").write_text(json.dumps(content), encoding="utf-8")
            try:
                load(tmp_path)
            except LipkdError as error:
                assert "sweep.json" in str(error)
            else:
                assert wrong == "x" or isinstance(wrong, dict)  # a text is a text, and values may be any mapping


@pytest.mark.parametrize("name", ["../other", "/etc/x", "..", "a/b", "a\nb", ""])
def test_a_trial_of_a_record_lies_in_its_folder(tmp_path: Path, name: str) -> None:
    SweepRecord(tmp_path, trials=[Planned(name, trial_config())]).save()
    with pytest.raises(LipkdError, match="is not the name of a trial"):
        load(tmp_path)


def test_the_sweep_file_is_kept_beside_its_record(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("name: s\n", encoding="utf-8")
    record = SweepRecord(tmp_path / "s")
    record.copy_file(file)
    record.copy_file(record.folder / "sweep.yaml")
    assert (record.folder / "sweep.yaml").read_text(encoding="utf-8") == "name: s\n"


def test_trials_that_have_begun(tmp_path: Path) -> None:
    write_trial(tmp_path, [0.5], name="b")
    write_trial(tmp_path, [0.5], name="a")
    (tmp_path / "c").mkdir()
    (tmp_path / "sweep.yaml").write_text("", encoding="utf-8")
    assert [t.name for t in trial_folders(tmp_path)] == ["a", "b"]
