"""Values that change between two epochs: a trial's schedule, and what holds when.

    schedule: [{after: 20, values: {training.learning_rate: 3e-4}}, {after: 30, values: {augment.time_masks: 4}}]

A learning rate or a λ of a schedule is the full one: warm-up, cosine and ramp go on as they would.
"""

from collections.abc import Iterable

from lipkd.config.trial_config import Change, TrialConfig


def config_at(config: TrialConfig, epochs: int) -> TrialConfig:
    """The configuration that holds once `epochs` epochs are done, itself without a schedule."""
    parts: dict[str, dict[str, int | float]] = {}
    for change in config.schedule:
        if change.after <= epochs:
            for key, value in change.values.items():
                part, _, name = key.partition(".")
                parts.setdefault(part, {})[name] = value
    changed = {part: getattr(config, part).model_copy(update=values) for part, values in parts.items()}
    return config.model_copy(update={**changed, "schedule": ()})


def with_changes(config: TrialConfig, changes: Iterable[Change]) -> TrialConfig:
    """The configuration with more changes in its schedule; of two values for a key after an epoch the later counts."""
    merged: dict[int, dict[str, int | float]] = {}
    for change in (*config.schedule, *changes):
        merged.setdefault(change.after, {}).update(change.values)
    schedule = tuple(Change(after=after, values=merged[after]) for after in sorted(merged))
    return config.model_copy(update={"schedule": schedule})


def value_of(config: TrialConfig, key: str) -> int | float:
    """The value of a dotted key of MAY_CHANGE."""
    part, _, name = key.partition(".")
    value: int | float = getattr(getattr(config, part), name)
    return value


def scheduled_keys(config: TrialConfig) -> set[str]:
    """The keys that the schedule changes."""
    return {key for change in config.schedule for key in change.values}
