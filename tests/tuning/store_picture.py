"""Everything that a tracking store says of a sweep, as plain data that can be compared."""

from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from tuning.tracking.client import default_uri


@dataclass(frozen=True)
class RunPicture:
    """A run without its identity. `points` are (metric, step, time, value), each as often as it is there."""

    status: str
    tags: dict[str, str]
    params: dict[str, str]
    points: list[tuple[str, int, int, float]]
    files: list[str]

    def steps(self, metric: str) -> list[int]:
        return [step for key, step, _, _ in self.points if key == metric]


def picture(mlruns: Path, experiment: str = "lipkd") -> dict[str, list[RunPicture]]:
    """Run name → the runs of that name (one, if all is well), of a tracking folder's own database."""
    return picture_of(default_uri(mlruns), experiment)


def picture_of(uri: str, experiment: str = "lipkd") -> dict[str, list[RunPicture]]:
    """The same of any tracking store."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs: dict[str, list[RunPicture]] = {}
    for run in client.search_runs([found.experiment_id], max_results=1000):
        run_id = run.info.run_id
        points = [
            (key, m.step, m.timestamp, m.value)
            for key in run.data.metrics
            for m in client.get_metric_history(run_id, key)
        ]
        runs.setdefault(run.info.run_name, []).append(
            RunPicture(
                run.info.status,
                {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"},
                run.data.params,
                sorted(points),
                sorted(_files(client, run_id)),
            )
        )
    return runs


def _files(client: MlflowClient, run_id: str, folder: str = "") -> list[str]:
    names: list[str] = []
    for item in client.list_artifacts(run_id, folder or None):
        names += _files(client, run_id, item.path) if item.is_dir else [item.path]
    return names
