"""Deployed models in MLflow's registry: a version of a registered model, with signature, example and alias.

The version belongs to the trial's run. What MLflow keeps is the model folder as it is, and beside it the source
of `lipkd`, so `mlflow.pyfunc.load_model` needs neither an installed lipkd nor a pickle.
"""

import contextlib
import json
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lipkd
from lipkd.data.store import Frames
from lipkd.deployment.lipreader import LipReader
from lipkd.errors import LipkdError
from lipkd.tracking_uri import public_uri, sqlite_path
from lipkd.trial import TrialFolder
from tuning.sweep_folder import load
from tuning.tracking.client import connect, find_runs
from tuning.tracking.database import without_litter
from tuning.tracking.location import uri_of_sweep
from tuning.tracking.sync import Syncer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.models import ModelSignature

ALIAS = "deployed"  # of the newest version
EXAMPLE_FRAMES = 6
NEEDS = ("mlflow", "torch", "numpy", "safetensors")


@dataclass(frozen=True)
class Registered:
    """A version of a registered model, the URI under which MLflow loads it, and the tracking store that has it."""

    name: str
    version: str
    run_id: str
    store: str

    @property
    def uri(self) -> str:
        return f"models:/{self.name}@{ALIAS}"


def register(
    folder: Path, trial: TrialFolder, name: str, *, mlruns: Path, tracking_uri: str | None = None
) -> Registered:
    """Make the model in `folder`, a peer of `trial`, the newest version of the registered model `name`.

    The trial is synced first, so that its run is there: to `tracking_uri`, else to where its sweep is tracked, else
    to the database in `mlruns`. Raises LipkdError when MLflow does not answer or the run
    was deleted.
    """
    sweep = trial.path.absolute().parent
    uri = uri_of_sweep(sweep, load(sweep).tracking_uri, mlruns, tracking_uri)
    client = connect(uri)
    from mlflow.exceptions import MlflowException

    database = sqlite_path(uri)
    try:
        run = _run_of(trial, client, uri, mlruns)
        reader = LipReader.load(folder, "cpu")
        # MLflow opens the registry in the database as a store of its own.
        with without_litter(database) if database is not None else contextlib.nullcontext():
            return _version(reader, name, _log(folder, reader, run, name, client), client)
    except MlflowException as error:
        raise LipkdError(f"model {name}: MLflow did not take it ({error})") from error


def _run_of(trial: TrialFolder, client: "MlflowClient", uri: str, mlruns: Path) -> "Run":
    syncer = Syncer(trial.path.absolute().parent, client, uri, mlruns)
    sent = syncer.sync({trial.path.absolute().name})
    runs = find_runs(client, syncer.experiment, "trial", syncer.record.name, trial.path.absolute().name)
    if not runs:
        trouble = "; ".join(sent.problems) or "its run was deleted in MLflow: restore it there"
        raise LipkdError(f"trial {trial.name}: cannot be registered ({trouble})")
    return runs[0]


def _log(folder: Path, reader: LipReader, run: "Run", name: str, client: "MlflowClient") -> "LoggedModel":
    """Keep the model as an output of the trial's run."""
    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    experiment, run_id, origin = run.info.experiment_id, run.info.run_id, reader.card["origin"]
    tags = {f"lipkd.{key}": str(origin[key]) for key in ("trial", "sweep", "peer", "signature")}
    logged = client.create_logged_model(experiment, name, run_id, tags, dict(run.data.params), "lip reader")
    try:
        with tempfile.TemporaryDirectory() as made:
            model = Path(made) / "model"
            save_model(
                model,
                loader_module="lipkd.deployment.lipreader",
                data_path=str(folder),
                code_paths=[str(Path(lipkd.__file__).parent)],
                mlflow_model=Model(run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id),
                signature=signature(reader),
                input_example=example(reader),
                pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in NEEDS],
            )
            client.log_model_artifacts(logged.model_id, str(model))
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=origin["epoch"])])
        now, measured = round(time.time() * 1000), reader.card["metrics"]
        metrics = [
            Metric(f"deployed/{key}", measured[key], now, origin["epoch"], model_id=logged.model_id)
            for key in ("wer", "cer")
        ]
        client.log_batch(run_id, metrics=metrics, synchronous=True)
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    return client.finalize_logged_model(logged.model_id, "READY")


def _version(reader: LipReader, name: str, logged: "LoggedModel", client: "MlflowClient") -> Registered:
    """A new version of the registered model, which takes the alias over."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    origin, metrics = reader.card["origin"], reader.card["metrics"]
    # A server finds the model by its id; without one MLflow 3.17 would look in the process's default store.
    served = client.tracking_uri.startswith("http")
    made = client.create_model_version(
        name,
        source=f"models:/{logged.model_id}" if served else logged.artifact_location,
        run_id=logged.source_run_id,
        model_id=logged.model_id,
        tags={
            "wer": f"{metrics['wer']:.4f}",
            "cer": f"{metrics['cer']:.4f}",
            "peer": str(origin["peer"]),
            "lipkd.model_id": logged.model_id,
        },
        description=f"Peer {origin['peer']} of trial {origin['trial']}, epoch {origin['epoch']} ({origin['chosen']}).",
    )
    client.set_registered_model_alias(name, ALIAS, made.version)
    # What a server or MLflow's own `register_model` notes: the UI shows the version beside the logged model.
    known = [{"name": name, "version": made.version}]
    client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": json.dumps(known)})
    return Registered(name, str(made.version), str(logged.source_run_id), public_uri(client.tracking_uri))


def signature(reader: LipReader) -> "ModelSignature":
    """One clip in: its mouth crops, any number of frames of fixed size, and how to read them. Out: text, confidence,
    words with times."""
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec
    from mlflow.types.schema import Array, ColSpec, Object, Property, Schema, TensorSpec

    kinds = {"text": "string", "start": "double", "end": "double", "confidence": "double"}
    word = Object([Property(name, kind) for name, kind in kinds.items()])
    columns: list[Any] = [
        ColSpec("string", "text"),
        ColSpec("double", "confidence"),
        ColSpec(Array(word), "words"),
        ColSpec("double", "seconds"),
    ]
    clip = TensorSpec(np.dtype("uint8"), (-1, *reader.picture))
    params = ParamSchema([ParamSpec("tta", "boolean", False), ParamSpec("sentences", "string", [], (-1,))])
    return ModelSignature(Schema([clip]), Schema(columns), params)


def example(reader: LipReader) -> Frames:
    """A clip (EXAMPLE_FRAMES, H, W, C) that shows nobody: an example is copied wherever the model goes."""
    height, width, channels = reader.picture
    ramp = np.linspace(60, 190, width).astype(np.uint8)
    return np.broadcast_to(ramp[None, None, :, None], (EXAMPLE_FRAMES, height, width, channels)).copy()
