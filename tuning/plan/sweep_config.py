"""The sweep file: what is searched, how, and with what (docs/sweeps.md). Validated once, frozen."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lipkd.config.sections import Strict
from lipkd.config.trial_config import MAY_CHANGE, changeable, validate
from lipkd.config.yaml_file import load_yaml
from lipkd.errors import LipkdError
from tuning.plan.space import Choice, Dimension, parse_dimension

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SchedulerConfig(Strict):
    """`asha` stops the worse trials at epochs `grace_epochs` × `reduction_factor`^k and lets the best
    1 / `reduction_factor` of those seen there go on; `median` stops a trial, from `grace_epochs` on, whose best is
    worse than the median of the others' running means, once there are `min_trials` others; `pbt` trains populations
    (tuning/pbt/population.py); `none` trains every trial to its end."""

    name: Literal["asha", "median", "pbt", "none"] = "asha"
    grace_epochs: int = Field(10, ge=1)
    reduction_factor: float = Field(3.0, gt=1, le=100)
    min_trials: int = Field(3, ge=1)
    every_epochs: int = Field(5, ge=1)
    quantile: float = Field(0.25, gt=0, le=0.5)
    resample: float = Field(0.25, ge=0, le=1)
    mutate: dict[str, Dimension] = Field(default_factory=dict)

    @field_validator("mutate", mode="before")
    @classmethod
    def _may_change(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("give a mapping from dotted keys, like training.learning_rate, to lists or ranges")
        return {str(key): mutable(str(key), item) for key, item in value.items()}

    @model_validator(mode="after")
    def _populations_mutate(self) -> "SchedulerConfig":
        if (self.name == "pbt") != bool(self.mutate):
            raise ValueError("pbt needs `mutate`, dotted keys and their values, and no other scheduler has it")
        return self


def mutable(key: str, value: Any) -> Dimension:
    """What a population may set a key to; raises ValueError when that cannot change or would not be taken."""
    if key not in MAY_CHANGE:
        raise ValueError(f"{key} cannot change in mid-training; what can: {', '.join(MAY_CHANGE)}")
    dimension = parse_dimension(key, value)
    if isinstance(dimension, Choice):
        return Choice(tuple(changeable(key, item) for item in dimension.values))
    ends = [changeable(key, end) for end in (dimension.low, dimension.high)]
    if isinstance(ends[0], int) and not dimension.whole:
        raise ValueError(f"{key} takes whole numbers: give a list or randint")
    return dimension


class ResourcesConfig(Strict):
    """What a trial gets. None (or `auto`) leaves it to the machine: without a GPU one trial per core, with
    GPUs as many on each as their memory allows, `max_concurrent` at most (tuning/gpu/shares.py). `niceness` is that of
    the trials' processes: None is Ray's own, 15, so that other programs of the machine come first."""

    cpus: int | None = Field(None, ge=1)
    gpus: float | None = Field(None, ge=0)
    max_concurrent: int | None = Field(None, ge=1)
    niceness: int | None = Field(None, ge=0, le=19)

    @field_validator("*", mode="before")
    @classmethod
    def _auto(cls, value: Any) -> Any:
        return None if value == "auto" else value

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and not value.is_integer():
            raise ValueError(f"{value:g} is neither a share of one GPU (up to 1) nor a whole number of GPUs")
        return value


class SweepConfig(Strict):
    """A sweep: the trial that all have in common, the space around it, sampler, scheduler, resources.

    `seeds` is a dimension on top of the space; empty means the trial's own seed. `samples` counts
    configurations (each with every seed) for `random` and `optuna`; a grid takes all points. `cost` is a second
    metric, to be kept low: `optuna` then looks for trade-offs.
    """

    name: str
    experiment: str = Field("lipkd", min_length=1, max_length=250)
    trial: dict[str, Any]
    space: dict[str, Dimension] = Field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    sampler: Literal["grid", "random", "optuna"] = Field("grid", validate_default=True)
    samples: int = Field(20, ge=1, le=100_000)
    sampler_seed: int = Field(0, ge=0, lt=2**31)
    scheduler: SchedulerConfig | None = None
    metric: str = "val/wer"
    mode: Literal["min", "max"] = "min"
    cost: str | None = None
    resources: ResourcesConfig = ResourcesConfig()
    max_hours: float | None = Field(None, gt=0)
    tracking_uri: str | None = None
    storage: str | None = None

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError(f"{value!r} must begin with a letter or digit and hold only those, '.', '_' and '-'")
        if value == "single":
            raise ValueError("'single' is taken by the trials of `lipkd train`")
        return value

    @field_validator("space", mode="before")
    @classmethod
    def _dimensions(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("give a mapping from dotted keys of the trial, like network.width, to lists of values")
        for key in value:
            if key == "seed":
                raise ValueError("seed: list the seeds under `seeds`")
            for other in value:
                if str(other).startswith(f"{key}."):
                    raise ValueError(f"{other} is part of {key}; give one of them")
        return {str(key): parse_dimension(str(key), item) for key, item in value.items()}

    @field_validator("sampler")
    @classmethod
    def _grid_of_lists(cls, value: str, info: ValidationInfo) -> str:
        for key, dimension in info.data.get("space", {}).items():
            if value == "grid" and not isinstance(dimension, Choice):
                raise ValueError(f"a grid needs lists, and space.{key} is a range; set it to random or optuna")
        return value

    @field_validator("cost")
    @classmethod
    def _weighed_by_optuna(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("sampler", "optuna") != "optuna":
            raise ValueError(f"{value}: only the sampler optuna weighs a cost against the metric")
        return value

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"{list(value)} lists a seed twice")
        return value

    @field_validator("scheduler", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("scheduler")
    @classmethod
    def _known_beforehand(cls, value: SchedulerConfig | None, info: ValidationInfo) -> SchedulerConfig | None:
        if value is not None and value.name == "pbt" and info.data.get("sampler") == "optuna":
            raise ValueError("pbt trains a population that is known beforehand: set sampler to grid or random")
        return value

    @property
    def stopping(self) -> SchedulerConfig:
        """The scheduler: as given, else none for a full grid and ASHA for everything else."""
        return self.scheduler or SchedulerConfig(name="none" if self.sampler == "grid" else "asha")


def load_sweep(path: Path) -> SweepConfig:
    """The sweep of a YAML file; raises LipkdError in one sentence that names file, field and what is allowed."""
    content = load_yaml(path)
    if not isinstance(content, dict):
        raise LipkdError(f"{path}: not a sweep file: it must hold name, trial and space")
    return validate(SweepConfig, content, str(path))
