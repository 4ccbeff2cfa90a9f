"""An MLflow server over HTTP on a real PostgreSQL holds what a local SQLite database holds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.arena import Server
from tests.chaos.postgres import Missing, postgres
from tests.tuning.store_picture import picture, picture_of
from tests.tuning.trials import trial_config, write_trial
from tuning.tracking.client import connect
from tuning.tracking.sync import Syncer
from tuning.tracking.sync_folders import sync_folders


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'lipkd[postgres]'")
    try:
        with postgres() as database:
            server = Server(tmp_path / "server", backend=database)
            server.start()
            try:
                server.wait_until_it_answers()
                yield server
            finally:
                server.kill()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.storm
@pytest.mark.timeout(600)
def test_the_same_runs_as_in_sqlite(server: Server, mlruns: Path) -> None:
    folder = mlruns / "sweeps" / "pairs"
    write_trial(folder, [1.0, 0.5, 0.25], state="finished", name="one")
    write_trial(folder, [1.0, 0.9], config=trial_config(seed=1), state="stopped", reason="by the scheduler", name="two")
    write_trial(folder, [], config=trial_config(seed=2), state="failed", reason="diverged: größer", name="three")
    write_trial(folder, [0.8] * 200, config=trial_config(seed=3), name="four")
    (folder / "sweep.yaml").write_text("name: pairs\n", encoding="utf-8")
    assert sync_folders([folder], mlruns=mlruns) == 0
    expected = picture(mlruns)
    assert len(expected) == 5

    sent = Syncer(folder, connect(server.uri), server.uri, mlruns).sync()
    assert (sent.runs, sent.steps, sent.problems) == (4, 205, [])
    assert picture_of(server.uri) == expected
    for cursor in folder.rglob("sync.json"):
        cursor.unlink()
    sent = Syncer(folder, connect(server.uri), server.uri, mlruns).sync()
    assert (sent.runs, sent.steps, sent.problems) == (0, 205, [])
    assert picture_of(server.uri) == expected  # sent twice, there once
