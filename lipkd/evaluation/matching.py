"""When two trials are equal in everything but the cohort: one definition, for `lipkd compare` and for the dashboard.

A trial is given by its parameters with dotted names, `TrialConfig.flat()`, as its run in MLflow has them too, and by
the digest of its store.
"""

from collections.abc import Mapping, Sequence
from operator import methodcaller

from lipkd.config.trial_config import MACHINE

COHORT = ("cohort.", "network.width")  # the width is the cohort's, which may have its own for each peer


def deciding(parameters: Mapping[str, str], store_digest: str) -> dict[str, str]:
    """The parameters that decide the numbers: what the store holds and not where it lies, whatever the machine."""
    rest = {name: value for name, value in parameters.items() if name not in MACHINE}
    return rest | {"data.digest": store_digest}


def surroundings(parameters: Mapping[str, str], store_digest: str) -> dict[str, str]:
    """What two trials must share for a difference to be due to their cohorts and to chance: all that decides the
    numbers but the cohort and the seed."""
    decided = deciding(parameters, store_digest)
    return {name: value for name, value in decided.items() if name != "seed" and not name.startswith(COHORT)}


def differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The names, sorted, whose values are not the same in all of these; a missing one is a value, too."""
    names = sorted(set().union(*settings))
    return [name for name in names if len(set(map(methodcaller("get", name), settings))) > 1]
