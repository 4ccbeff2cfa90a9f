"""The JSON schema of a sweep file, for editors and checkers of YAML."""

from typing import Any

from lipkd.config.schema import DIALECT, trial_schema
from tuning.plan.space import KINDS
from tuning.plan.sweep_config import SweepConfig


def sweep_schema() -> dict[str, Any]:
    """A schema that every valid sweep file fits, in the forms that a file may use: a dimension of the space is a list
    or one kind of range with its list, a scheduler may be its name alone. `trial` may lack what the space gives."""
    schema = SweepConfig.model_json_schema(mode="validation")
    parts = schema.pop("$defs")
    for unused in ("Choice", "Range"):  # what a dimension is parsed into, not what is written
        parts.pop(unused)
    values = {"type": "array", "minItems": 1}
    dimension = {
        "anyOf": [
            values,
            {
                "type": "object",
                "properties": dict.fromkeys(KINDS, values),
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }
    scheduler = schema["properties"]["scheduler"]
    names = parts["SchedulerConfig"]["properties"]["name"]
    scheduler["anyOf"] = [names, *scheduler["anyOf"]]
    schema["properties"]["space"] = {"type": "object", "additionalProperties": dimension}
    trial = trial_schema()
    parts |= trial.pop("$defs")
    trial.pop("$schema")
    schema["properties"]["trial"] = {"type": "object", "properties": trial["properties"], "additionalProperties": False}
    parts["DataConfig"].pop("required", None)  # the store may be a dimension of the space
    return {"$schema": DIALECT, **schema, "title": "lipkd sweep", "$defs": parts}
