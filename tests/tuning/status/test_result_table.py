from pathlib import Path

from tests.tuning.trials import trial_config, write_trial
from tuning.plan.planner import Planned
from tuning.status.result_table import Row, result_row, result_table
from tuning.sweep_folder import SweepRecord


def test_a_row_per_trial(tmp_path: Path) -> None:
    config = trial_config(cohort={"method": "attention", "peers": 2, "widths": [0.5, 1]}, seed=3)
    write_trial(tmp_path, [0.9, 0.4], config=config, state="finished")
    record = SweepRecord(tmp_path)
    name = config.trial_name()
    assert result_row(record, Planned(name, config)) == Row(
        name, "attention", 2, "0.5+1", 4, 3, 2, 0.4, 0.2, 0.2, "finished", ""
    )
    other = trial_config(seed=4)
    row = result_row(record, Planned(other.trial_name(), other))
    assert (row.method, row.epochs, row.wer, row.state) == ("vanilla", 0, None, "not begun")


def test_the_table_has_the_best_first_and_failures_explained() -> None:
    rows = [
        Row("b", "vanilla", 1, "1", 4, 0, 0, None, None, 0.0, "failed", "disk full"),
        Row("c", "attention", 2, "0.5", 16, 0, 30, 0.25, 0.125, 12.34, "finished", ""),
        Row("a", "vanilla", 1, "1", 4, 0, 30, 0.5, 0.25, 6.0, "stopped", ""),
    ]
    assert result_table(rows).splitlines() == [
        "trial  method     peers  width  batch  seed  epochs  best wer  best cer  minutes  state",
        "c      attention      2    0.5     16     0      30     0.250     0.125     12.3  finished",
        "a      vanilla        1      1      4     0      30     0.500     0.250      6.0  stopped",
        "b      vanilla        1      1      4     0       0         –         –      0.0  failed",
        "b failed: disk full",
    ]
