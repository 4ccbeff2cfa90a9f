"""The schemas accept what lipkd accepts, and refuse what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lipkd.cli import main
from lipkd.config.schema import trial_schema
from tuning.plan.schema import sweep_schema

SWEEPS = sorted((Path(__file__).parents[1] / "tuning" / "sweeps").glob("*.yaml"))
TRIAL = {"data": {"store": "stores/mine", "scenario": "unseen", "val_speakers": ["s6"]}, "network": {"width": 0.5}}


class Yaml12(yaml.SafeLoader):
    """Reads 3e-3 as a number, as YAML 1.2 and the editors do; PyYAML's own rules want 3.0e-3."""


Yaml12.yaml_implicit_resolvers = {key: list(rules) for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Yaml12.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[0-9]+[eE][-+]?[0-9]+$"), list("0123456789"))


def errors(schema: dict[str, Any], value: Any) -> list[str]:
    """What a checker says of a value as it would come from YAML, which knows no tuples."""
    found = jsonschema.Draft202012Validator(schema).iter_errors(json.loads(json.dumps(value)))
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_the_sweep_files_that_come_with_lipkd_fit(file: Path) -> None:
    assert errors(sweep_schema(), yaml.load(file.read_text(encoding="utf-8"), Yaml12)) == []


@pytest.mark.parametrize(
    "space", [{"network.width": [0.5]}, {"network.width": {"uniform": [0.1, 1]}}, {"data.store": ["a", "b"]}]
)
@pytest.mark.parametrize("scheduler", ["asha", {"name": "asha", "grace_epochs": 3}])
def test_every_form_of_a_dimension_and_of_a_scheduler_fits(space: dict[str, Any], scheduler: Any) -> None:
    sweep = {"name": "x", "trial": {"data": {}}, "space": space, "scheduler": scheduler, "sampler": "random"}
    assert errors(sweep_schema(), sweep) == []


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"name": "x", "trial": TRIAL, "sampler": "gird"}, "$.sampler"),
        ({"name": "x", "trial": TRIAL, "spase": {}}, "$"),
        ({"name": "x", "trial": TRIAL, "space": {"network.width": {"normal": [0, 1]}}}, "$.space['network.width']"),
        ({"name": "x", "trial": {**TRIAL, "network": {"widht": 1}}}, "$.trial.network"),
        ({"trial": TRIAL}, "$"),
    ],
)
def test_a_wrong_sweep_file_is_found_where_it_is_wrong(wrong: dict[str, Any], where: str) -> None:
    assert [error.partition(": ")[0] for error in errors(sweep_schema(), wrong)] == [where]


def test_a_trial_file_fits_and_a_wrong_one_does_not() -> None:
    assert errors(trial_schema(), TRIAL) == []
    assert errors(trial_schema(), {**TRIAL, "training": {"epochs": 0}})[0].startswith("$.training.epochs")
    assert errors(trial_schema(), {"network": {"width": 0.5}}) == ["$: 'data' is a required property"]


@pytest.mark.parametrize("kind", ["trial", "sweep"])
def test_the_command_prints_the_schema_as_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == f"lipkd {kind}"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("prepare", "sweep", "--resume", "--dry-run"))


def test_the_version_names_what_lipkd_is_built_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    own, others = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert own.startswith("lipkd ") and all(f"{name} " in others for name in ("python", "torch", "ray", "mlflow"))
