"""The JSON schema of a trial file, for editors and checkers of YAML."""

from typing import Any

from lipkd.config.trial_config import TrialConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def trial_schema() -> dict[str, Any]:
    """A schema that every valid trial file fits. How fields depend on each other, only `lipkd train` checks."""
    return {"$schema": DIALECT, **TrialConfig.model_json_schema(mode="validation"), "title": "lipkd trial"}
