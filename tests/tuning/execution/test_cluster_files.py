"""The files that start a cluster are what their readers expect, as far as that can be known without a cluster."""

from pathlib import Path
from typing import Any

import ray
import yaml

FOLDER = Path(__file__).parents[3] / "tuning" / "cluster"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def test_the_launcher_accepts_its_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(read("ray-cluster.yaml"))
    validate_config(config)
    assert config["worker_start_ray_commands"][-1].endswith("--address=$RAY_HEAD_IP:6379")


def test_the_kubernetes_file_names_the_installed_ray_and_shares_one_disk() -> None:
    spec = read("kuberay.yaml")["spec"]
    assert spec["rayVersion"] == ray.__version__
    [worker] = spec["workerGroupSpecs"]
    for group in (spec["headGroupSpec"], worker):
        pod = group["template"]["spec"]
        [container] = pod["containers"]
        assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
        assert container["resources"]["limits"] == container["resources"]["requests"]
