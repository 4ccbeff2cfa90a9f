"""A disk that fills up in the middle: a clear error, the last good state, and the same numbers afterwards."""

from pathlib import Path

import pytest
import yaml

from lipkd import checkpoint
from lipkd.cli import main
from lipkd.data.store import ClipStore
from lipkd.files import disk_is_full
from lipkd.trial import TrialFolder
from tests.chaos.full_disk import fill, small_disk

EPOCHS = 3


@pytest.mark.parametrize(
    ("leave", "epochs"),
    [(20_000, 2), (0, 1)],  # room for a journal line but not for a checkpoint; for neither
)
def test_a_full_disk_leaves_the_last_good_state(
    tmp_path: Path,
    tiny_store: ClipStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    leave: int,
    epochs: int,
) -> None:
    import lipkd.training.train

    content = {
        "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
        "network": {"name": "lipnet-128", "width": 0.05},
        "training": {"epochs": EPOCHS, "batch_size": 6, "device": "cpu", "precision": "float32"},
    }
    config = tmp_path / "trial.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    undisturbed = TrialFolder(tmp_path / "undisturbed")
    assert main(["train", str(config), "--out", str(undisturbed.path)]) == 0
    try:
        disk = small_disk(tmp_path / "disk", 8)
        folder = disk.__enter__()
    except PermissionError as error:
        pytest.skip(str(error))
    try:
        trial = TrialFolder(folder / "trial")
        real = lipkd.training.train.Trainer._checkpoint_last

        def then_fill(trainer: lipkd.training.train.Trainer) -> None:
            real(trainer)
            if trainer.epoch == 1:
                fill(folder, leave=leave)

        with monkeypatch.context() as patched:
            patched.setattr(lipkd.training.train.Trainer, "_checkpoint_last", then_fill)
            assert main(["train", str(config), "--out", str(trial.path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("lipkd: the disk is full (") and said.count("\n") == 1
        assert len(trial.reports()) == epochs
        assert checkpoint.load(trial.checkpoint("last"))[1]["epoch"] == 1
        assert [path.name for path in trial.path.rglob(".*")] == [".lock"]  # no half of a file

        (folder / "ballast").unlink()
        assert main(["train", str(config), "--out", str(trial.path)]) == 0
        assert [r.metrics["val/cer"] for r in trial.reports()] == [r.metrics["val/cer"] for r in undisturbed.reports()]
        assert trial.state()["state"] == "finished"
    finally:
        disk.__exit__(None, None, None)


def test_which_errors_mean_a_full_disk() -> None:
    assert disk_is_full(OSError(28, "No space left on device"))
    assert disk_is_full(RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"))
    assert disk_is_full(OSError(122, "Disk quota exceeded"))
    assert not disk_is_full(OSError(2, "No such file"))
    try:
        try:
            raise OSError(28, "No space left on device")
        finally:
            raise ValueError("while it was written down")
    except ValueError as error:
        assert disk_is_full(error)
