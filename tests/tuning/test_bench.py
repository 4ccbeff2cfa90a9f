"""The benchmark of a sweep: what it runs, with commands that take a counted time."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from lipkd.config.trial_config import load_config
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from tests.tuning.trials import trial_config, write_trial
from tuning.bench import call, measure_sweep, memory_text
from tuning.plan.sweep_config import load_sweep


def sweep_file(folder: Path, store: ClipStore, **more: object) -> Path:
    content = {"name": "eight", "trial": {"data": {"store": str(store.path)}}, "scheduler": "none", **more}
    content["space"] = {"network.width": [0.5, 1], "training.batch_size": [4, 8], "cohort.peers": [1, 2]}
    path = folder / "eight.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_same_trials_run_bare_and_as_sweeps(
    tiny_store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    bare: list[str] = []
    at_once: list[int | None] = []

    def run(arguments: Sequence[str]) -> None:
        if arguments[0] == "train":
            bare.append(load_config(arguments[1]).trial_name())
            assert load_config(arguments[1]).training.threads == 1
            now[0] += 5.0
        else:
            sweep = load_sweep(Path(arguments[1]))
            assert len(sweep.space) == 3 and sweep.resources.cpus == 1
            at_once.append(sweep.resources.max_concurrent)
            now[0] += 44.0 / (sweep.resources.max_concurrent or 1)

    lines = list(measure_sweep(sweep_file(tmp_path, tiny_store), (1, 2), gpus=0, run=run))
    assert len(set(bare)) == 8 and at_once == [1, 2]
    assert lines == [
        "8 trials bare, one after the other: 40.0 s",
        "as a sweep, 1 at a time: 44.0 s, 1.100 of bare",
        "as a sweep, 2 at a time: 22.0 s, 0.550 of bare",
    ]


def test_trials_share_a_gpu_by_their_number(tiny_store: ClipStore, tmp_path: Path) -> None:
    """Whatever a table of memory says: 1, 1/2, 1/3 and 1/8 of one GPU; a half of two for four."""
    shares: list[float | None] = []

    def run(arguments: Sequence[str]) -> None:
        if arguments[0] == "sweep":
            shares.append(load_sweep(Path(arguments[1])).resources.gpus)

    file = sweep_file(tmp_path, tiny_store)
    list(measure_sweep(file, (1, 2, 3, 8), gpus=1, run=run))
    list(measure_sweep(file, (1, 4), gpus=2, run=run))
    assert shares == [1.0, 0.5, 0.3333, 0.125, 1.0, 0.5]


def test_what_trials_took_of_memory(tmp_path: Path) -> None:
    assert memory_text(tmp_path / "none") == ""
    for seed, peak in ((0, 700.0), (1, 900.0)):
        folder = write_trial(tmp_path, [], config=trial_config(seed=seed))
        folder.journal.write_text(f'{{"step": 1, "time": 1, "metrics": {{"memory/peak_mb": {peak}}}}}\n')
    assert memory_text(tmp_path) == "; at most 900 MiB a trial"
    (folder.path / "failure.txt").write_text("Traceback\ntorch.OutOfMemoryError: CUDA out of memory.\n")
    assert memory_text(tmp_path).endswith("; 1 ran out of memory at first and had to go on with fewer beside them")


def test_a_sweep_that_trains_less_is_refused(tiny_store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match="scheduler asha stops trials early"):
        list(measure_sweep(sweep_file(tmp_path, tiny_store, scheduler="asha")))
    with pytest.raises(LipkdError, match="sampler random; bench sweep needs a grid"):
        list(measure_sweep(sweep_file(tmp_path, tiny_store, sampler="random")))


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(LipkdError, match=r"lipkd train ended with 2: lipkd: .*nowhere\.yaml: cannot be read"):
        call(("train", str(tmp_path / "nowhere.yaml")))
