"""The miniature of `make chaos`."""

from pathlib import Path

import pytest

from tests.chaos.arena import Arena, faults
from tests.chaos.storm import Storm
from tuning.tracking.client import default_uri


@pytest.mark.timeout(900)
def test_a_worker_and_the_syncer_die_and_nothing_is_lost_or_twice(mlruns: Path) -> None:
    arena = Arena(mlruns.parent, trials=2, epochs=4)
    storm = Storm(arena, seed=0, victims=["worker", "syncer"], pause=(0, 0.2))
    assert storm.blow() == 0, arena.said()
    assert dict(storm.killed) == {"worker": 1, "syncer": 1}
    assert storm.starts == 1  # neither needs anybody to start the sweep again
    assert "its process died; it goes on from its checkpoint" in arena.said()
    assert faults(default_uri(mlruns), epochs=4) == []
