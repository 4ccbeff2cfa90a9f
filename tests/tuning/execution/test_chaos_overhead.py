"""Part d of `make chaos`, without its minutes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from tests.chaos import overhead as module
from tuning.plan.planner import Planner, check_data
from tuning.plan.sweep_config import load_sweep


def test_a_line_for_each_way_of_running_eight_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep file stands the checks that come before a real one; a command that fails is what is wrong."""
    monkeypatch.setattr(module, "CLIPS", 1)

    def measure(file: Path, at_once: tuple[int, ...]) -> Iterator[str]:
        trials = Planner(load_sweep(file), Path("/"), where=str(file)).trials()
        check_data(trials, str(file))
        yield f"{len(trials)} trials bare"
        yield f"at once {at_once[0]}"
        raise LipkdError("lipkd sweep ended with 1: no space")

    monkeypatch.setattr(module, "measure_sweep", measure)
    assert list(module.overhead(tmp_path)) == [
        ("d 8 trials bare", []),
        ("d at once 1", []),
        ("d a real sweep", ["lipkd sweep ended with 1: no space"]),
    ]
