import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.files import write_json
from lipkd.trial import Cause
from tests.tuning.trials import trial_config, write_trial
from tuning.gpu.memory_table import GPU, USUAL_CONTEXT_MB, Kind, Known, MemoryTable

KIND = Kind("lipnet", (1.0, 0.5), "dml", 1, 8, (50, 100, 3), 75, "auto", True, False)


def test_trials_of_a_kind(tiny_store: ClipStore) -> None:
    """Seeds and rates change nothing; batch, peers, picture do. The longest clip has three words: 25 frames."""
    data = {"store": str(tiny_store.path)}
    first = Kind.of(trial_config(data=data))
    assert first == Kind("lipnet", (1.0,), "vanilla", 1, 4, (24, 48, 3), 25, "auto", True, False)
    same: list[dict[str, Any]] = [
        {"seed": 3},
        {"training": {"learning_rate": 0.1, "epochs": 9, "threads": 2}},
        {"cohort": {"method": "dml"}},  # one peer has nobody to learn from
    ]
    other: list[dict[str, Any]] = [
        {"training": {"batch_size": 5}},
        {"training": {"word_weight": 0}},
        {"training": {"ema": 0.9}},
        {"cohort": {"peers": 2}},
        {"network": {"width": 0.5}},
        {"data": {"crop": [20, 40]}},
    ]
    assert {Kind.of(trial_config(**{"data": data, **change})) for change in same} == {first}
    changed = [trial_config(**{**change, "data": {**data, **change.get("data", {})}}) for change in other]
    assert len({Kind.of(config) for config in changed} | {first}) == 7
    assert len({Kind.of(config).text() for config in changed} | {first.text()}) == 7
    assert Kind.of(changed[-1]).picture == (20, 40, 3)


@pytest.mark.parametrize(
    "smaller",
    [
        {"batch_size": 7},
        {"widths": (1.0,)},
        {"widths": (0.9, 0.5)},
        {"picture": (50, 99, 3)},
        {"frames": 74},
        {"words": False},
    ],
)
def test_a_kind_holds_whatever_is_smaller(smaller: dict[str, Any]) -> None:
    assert replace(KIND, **smaller).within(KIND)
    assert not KIND.within(replace(KIND, **smaller))


def test_kinds_that_cannot_be_compared() -> None:
    changes: list[dict[str, Any]] = [{"method": "attention"}, {"network": "lipnet-128"}, {"precision": "float32"}]
    for change in changes:
        assert not replace(KIND, **change).within(KIND)
    assert not replace(KIND, widths=(0.7, 0.7)).within(KIND)  # the second peer is wider


def test_the_least_of_those_that_hold_it() -> None:
    known = Known(16_000.0, 500.0, {KIND: 4000.0, replace(KIND, batch_size=16): 7000.0})
    assert known.peak(replace(KIND, batch_size=4)) == 4000.0
    assert known.peak(replace(KIND, batch_size=12)) == 7000.0
    assert known.peak(replace(KIND, batch_size=17)) is None


def test_only_more_is_news() -> None:
    known = Known(16_000.0)
    for peak in (3000.0, 2000.0, 20_000.0):
        known.add_peak(KIND, peak)
    assert known.peaks == {KIND: 16_000.0}
    assert known.context_mb == USUAL_CONTEXT_MB


def test_a_table_on_disk(tmp_path: Path) -> None:
    table = MemoryTable(tmp_path / "memory.json", {"A": Known(16_000.0, 500.0, {KIND: 4000.0}), "B": Known(8000.0)})
    assert MemoryTable.load(table.path).cards == {}
    table.save()
    assert MemoryTable.load(table.path) == table
    row = json.loads(table.path.read_text(encoding="utf-8"))["devices"]["A"]["kinds"][0]
    assert (row["widths"], row["picture"], row["peak_mb"]) == ([1.0, 0.5], [50, 100, 3], 4000.0)


def test_two_sweeps_that_run_at_once_write_one_table(tmp_path: Path) -> None:
    """Each has read the table when it began; what the other has found since is not lost."""
    path = tmp_path / "memory.json"
    small, large = replace(KIND, batch_size=4), replace(KIND, batch_size=16)
    MemoryTable(path, {"A": Known(16_000.0, 500.0, {KIND: 4000.0})}).save()
    one, other = MemoryTable.load(path), MemoryTable.load(path)
    one.cards["A"].add_peak(small, 2000.0)
    one.cards["A"].measured_context_mb = 450.0
    other.cards["A"].add_peak(large, 9000.0)
    other.cards["B"] = Known(8000.0)
    one.save()
    other.save()
    known = Known(16_000.0, 450.0, {KIND: 4000.0, small: 2000.0, large: 9000.0})
    assert MemoryTable.load(path).cards == {"A": known, "B": Known(8000.0)}
    path.write_text("{", encoding="utf-8")
    other.save()
    assert MemoryTable.load(path).cards == other.cards


@pytest.mark.parametrize("content", ["{", "{}", '{"format": 2}', '{"format": 1, "devices": {"A": {}}}'])
def test_a_table_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "memory.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LipkdError, match=r"memory\.json: .*delete it"):
        MemoryTable.load(path)


def test_the_peaks_of_trials(tiny_store: ClipStore, tmp_path: Path) -> None:
    """A journal's highest peak; 0.25 × 16,000 − 600 MiB were too little for one that failed; on a processor nothing
    counts, and nothing twice."""
    table = MemoryTable(tmp_path / "memory.json")
    trials = []
    for seed, size, cause in ((0, 4, None), (1, 5, Cause.OUT_OF_MEMORY), (2, 6, None)):
        config = trial_config(seed=seed, data={"store": str(tiny_store.path)}, training={"batch_size": size})
        folder = write_trial(tmp_path, [], config=config, state="failed" if cause else "finished", cause=cause)
        lines = [{"step": step, "time": 1.0, "metrics": {"memory/peak_mb": 900.0 + size + step}} for step in (1, 2)]
        folder.journal.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        if seed < 2:
            write_json(folder.path / GPU, {"device": "A", "total_mb": 16_000.0, "share": 0.25})
        trials.append((folder, config))
    assert table.update(trials)
    assert {kind.batch_size: peak for kind, peak in table.cards["A"].peaks.items()} == {4: 906.0, 5: 3400.0}
    assert not table.update(trials)
