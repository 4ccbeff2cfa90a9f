"""A Ray cluster of two nodes, one of which is killed in the middle of a sweep."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.arena import Arena, end, faults, workers
from tuning.tracking.client import default_uri

EPOCHS = 30


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Two nodes with a processor each, as processes on this machine."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # nothing but this test knows of the cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield cluster
    finally:
        cluster.shutdown()


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_a_sweep_outlives_one_of_two_nodes(cluster: object, mlruns: Path) -> None:
    from ray.cluster_utils import Cluster

    assert isinstance(cluster, Cluster)
    other = cluster.add_node(num_cpus=1)
    arena = Arena(mlruns.parent, trials=2, epochs=EPOCHS, options=("--address", cluster.address))
    driver = arena.start()
    try:
        while len(workers(arena.sweep)) < 2:  # with one processor on each node, one trial on each
            assert driver.poll() is None, arena.said()
            time.sleep(0.05)
        cluster.remove_node(other, allow_graceful=False)
        assert driver.wait() == 0, arena.said()
    finally:
        end([driver])
    assert "2 at a time, 1 CPU and no GPU each" in arena.said()
    assert arena.said().count("its process died; it goes on from its checkpoint") == 1
    assert faults(default_uri(mlruns), EPOCHS) == []
