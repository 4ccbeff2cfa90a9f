import sys
from pathlib import Path

import pytest

from lipkd.config.trial_config import parse_config
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.runtime.provenance import command_line, source_commit, start_entry
from lipkd.training.train import fit
from lipkd.trial import TrialFolder


def test_the_commit_is_lipkds_own_or_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    source_commit.cache_clear()
    assert all(c in "0123456789abcdef" for c in source_commit().removesuffix("+changes"))
    monkeypatch.setattr("lipkd.runtime.provenance.__file__", str(tmp_path / "lipkd" / "runtime" / "provenance.py"))
    source_commit.cache_clear()
    assert source_commit() == ""
    source_commit.cache_clear()


def test_a_start_says_source_versions_command_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/lipkd", "train", "my trial.yaml"])
    entry = start_entry(3, "cpu", 2)
    assert entry.keys() == {"time", "epoch", "commit", "command", "host", "device", "threads", "versions"}
    assert (
        entry["command"] == "lipkd train 'my trial.yaml'"
        and entry["epoch"] == 3
        and (entry["device"], entry["threads"]) == ("cpu", 2)
    )
    assert {"lipkd", "python", "torch", "numpy"} <= entry["versions"].keys()
    assert start_entry(0, "cpu", 2, "lipkd sweep x.yaml")["command"] == "lipkd sweep x.yaml"


def test_no_password_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lipkd", "sweep", "--tracking-uri", "https://me:secret@host:5000/a@b"])
    assert command_line() == "lipkd sweep --tracking-uri https://host:5000/a@b"


def test_every_start_of_a_trial_is_kept(tiny_store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    training = {"epochs": 2, "batch_size": 8, "threads": 1}
    config = parse_config({"data": data, "network": {"width": 0.125}, "training": training})
    folder = TrialFolder(tmp_path)
    assert folder.provenance() == []
    fit(config, tmp_path, until=1)
    monkeypatch.setattr("lipkd.runtime.provenance.source_commit", lambda: "abc")
    fit(config, tmp_path, command="lipkd sweep x.yaml")
    first, second = folder.provenance()
    assert (first["epoch"], second["epoch"]) == (0, 1) and first["time"] < second["time"]
    assert second["commit"] == "abc" and second["command"] == "lipkd sweep x.yaml"
    fit(config, tmp_path)  # finished: nothing is trained
    assert len(folder.provenance()) == 2
    (tmp_path / "provenance.json").write_text("[{")
    with pytest.raises(LipkdError, match=r"provenance\.json: not JSON .*; remove it"):
        folder.provenance()
