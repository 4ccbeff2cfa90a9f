"""A deployed model in MLflow's registry: found by alias, loaded without lipkd's help, the same to the bit."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch

from lipkd.ctc.options import DecodingOptions
from lipkd.deployment.lipreader import LipReader
from lipkd.errors import LipkdError
from lipkd.model.cost import network_cost
from lipkd.model.lipnet import LipNet, network_shape
from lipkd.trial import TrialFolder
from tests.tuning.store_picture import picture
from tests.tuning.trials import write_trial
from tuning.sweep_folder import begin
from tuning.tracking.client import connect, default_uri
from tuning.tracking.model_registry import example, register


def small_model(folder: Path, seed: int = 0) -> LipReader:
    """A network of random weights that reads 20×30 grey crops as 16×24 pictures."""
    torch.manual_seed(seed)
    shape = network_shape("lipnet-128", 0.125, picture=(16, 24, 1), symbols=28)
    card: dict[str, Any] = {
        "format": 2,
        "alphabet": " abcdefghijklmnopqrstuvwxyz",
        "network": {**vars(shape)},
        "pictures": {"height": 20, "width": 30, "channels": 1, "colour": "grey", "fps": 25.0},
        "preprocessing": {"zoom": 1.0, "height": 16, "width": 24},
        "precision": "float32",
        "cost": {"parameters": network_cost(shape).parameters},
        "metrics": {"wer": 0.25, "cer": 0.125, "clips": 4},
        "origin": {
            "trial": "one",
            "sweep": "pairs",
            "signature": "01234567",
            "peer": 1,
            "peers": 2,
            "epoch": 2,
            "chosen": "asked for",
        },
    }
    reader = LipReader(LipNet(shape), card, "cpu")
    reader.save(folder)
    return reader


@pytest.fixture
def trial(mlruns: Path) -> TrialFolder:
    return write_trial(mlruns / "sweeps" / "pairs", [1.0, 0.25], state="finished", name="one")


def test_a_registered_model_reads_from_an_array(mlruns: Path, trial: TrialFolder, tmp_path: Path) -> None:
    reader = small_model(tmp_path / "model")
    made = register(tmp_path / "model", trial, "lips", mlruns=mlruns)
    assert (made.name, made.version, made.uri) == ("lips", "1", "models:/lips@deployed")
    assert made.store == default_uri(mlruns)
    clip = np.random.default_rng(0).integers(0, 256, (30, 20, 30, 1), dtype=np.uint8)
    np.save(tmp_path / "clip.npy", clip)
    script = """
        import json, sys
        import mlflow, numpy as np
        mlflow.set_tracking_uri(sys.argv[1])
        model = mlflow.pyfunc.load_model(sys.argv[2])
        clip = np.load(sys.argv[3])
        said = model.predict(clip)
        sure = model.predict(clip, params={"tta": True})
        chosen = model.predict(clip, params={"sentences": ["bin blue", "set red"], "tta": True})
        try:
            model.predict(np.zeros((5, 50, 100, 3), np.uint8))
        except mlflow.exceptions.MlflowException as error:
            refused = "(-1, 20, 30, 1)" in str(error)
        print(json.dumps({"said": said, "sure": sure, "chosen": chosen, "refused": refused}))
    """
    command = [sys.executable, "-I", "-c", textwrap.dedent(script), default_uri(mlruns), made.uri]
    ran = subprocess.run(
        [*command, str(tmp_path / "clip.npy")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = json.loads(ran.stdout.splitlines()[-1])
    of_two = reader.read([clip], DecodingOptions.of(sentences=["bin blue", "set red"], tta=True))
    expected = {
        "said": reader.read([clip]),
        "sure": reader.read([clip], DecodingOptions.of(tta=True)),
        "chosen": of_two,
    }
    for name, said in expected.items():
        assert loaded[name] == json.loads(json.dumps([one.to_json() for one in said]))
    assert loaded["said"] != loaded["sure"] and loaded["chosen"][0]["text"] in ("bin blue", "set red")
    assert loaded["refused"]
    with pytest.raises(LipkdError, match="6"):
        reader.predict(clip, {"sentences": ["route 66"]})


def test_what_the_registry_knows_of_a_version(mlruns: Path, trial: TrialFolder, tmp_path: Path) -> None:
    for seed, version in ((0, "1"), (1, "2")):
        small_model(tmp_path / "model", seed)
        assert register(tmp_path / "model", trial, "lips", mlruns=mlruns).version == version
    client = connect(default_uri(mlruns))
    newest = client.get_model_version_by_alias("lips", "deployed")
    assert (newest.version, newest.tags["wer"], newest.tags["peer"]) in (("2", "0.2500", "1"), (2, "0.2500", "1"))
    assert "Peer 1 of trial one, epoch 2" in str(newest.description)
    [run] = picture(mlruns)["one"]
    assert run.status == "FINISHED"
    assert client.get_run(str(newest.run_id)).data.tags["lipkd.trial"] == "one"
    outputs = client.get_run(str(newest.run_id)).outputs
    assert outputs is not None and [output.step for output in outputs.model_outputs] == [2, 2]
    logged = client.get_logged_model(newest.tags["lipkd.model_id"])
    assert logged.artifact_location == newest.source
    best = client.search_logged_models(["1"], order_by=[{"field_name": "metrics.deployed/wer"}])
    assert len(best) == 2
    assert {metric.key: metric.value for metric in best[0].metrics or []} == {
        "deployed/wer": 0.25,
        "deployed/cer": 0.125,
    }
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "lips", "version": newest.version}]
    assert (logged.name, logged.source_run_id, logged.status) == ("lips", newest.run_id, "READY")
    kept = logged.artifact_location.removeprefix("file://")
    info = mlflow.models.Model.load(kept)
    assert info.signature is not None and info.get_input_schema().inputs[0].shape == (-1, 20, 30, 1)
    assert [spec.name for spec in info.get_output_schema().inputs] == ["text", "confidence", "words", "seconds"]
    shown: Any = info.load_input_example(kept)
    assert np.array_equal(shown, example(LipReader.load(tmp_path / "model", "cpu")))


def test_a_trial_is_registered_where_its_sweep_is_tracked_unless_told(
    mlruns: Path, trial: TrialFolder, tmp_path: Path, empty_database: Path
) -> None:
    elsewhere, third = tmp_path / "elsewhere", tmp_path / "third"
    for folder in (elsewhere, third):
        folder.mkdir()
        (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    record = begin(trial.path.parent, experiment="lipkd", working_folder=tmp_path)
    record.tracking_uri = default_uri(elsewhere)
    record.save()
    small_model(tmp_path / "model")
    assert register(tmp_path / "model", trial, "lips", mlruns=mlruns).store == default_uri(elsewhere)
    told = register(tmp_path / "model", trial, "lips", mlruns=mlruns, tracking_uri=default_uri(third))
    assert (told.version, told.store) == ("1", default_uri(third))
    assert not connect(default_uri(mlruns)).search_registered_models()


def test_a_run_that_was_deleted_is_not_registered(mlruns: Path, trial: TrialFolder, tmp_path: Path) -> None:
    small_model(tmp_path / "model")
    client = connect(default_uri(mlruns))
    made = register(tmp_path / "model", trial, "lips", mlruns=mlruns)
    client.delete_run(made.run_id)
    with pytest.raises(LipkdError, match="its run was deleted in MLflow"):
        register(tmp_path / "model", trial, "lips", mlruns=mlruns)


@pytest.mark.parametrize("name", ["a%20b", "a?b#c"])
def test_nothing_is_made_beside_a_project_of_any_name(name: str, mlruns: Path, tmp_path: Path) -> None:
    """In a process that has not used this database yet, MLflow opens a second store on it for the registry."""
    project = tmp_path / "projects" / name
    project.mkdir(parents=True)
    mlruns.rename(project / "mlruns")
    trial = write_trial(project / "mlruns" / "sweeps" / "pairs", [1.0, 0.25], state="finished", name="one")
    small_model(tmp_path / "model")
    assert register(tmp_path / "model", trial, "lips", mlruns=project / "mlruns").version == "1"
    assert [path.name for path in project.parent.iterdir()] == [name]


def test_a_name_that_mlflow_does_not_take_is_one_sentence(mlruns: Path, trial: TrialFolder, tmp_path: Path) -> None:
    small_model(tmp_path / "model")
    with pytest.raises(LipkdError, match="model a/b: MLflow did not take it"):
        register(tmp_path / "model", trial, "a/b", mlruns=mlruns)
