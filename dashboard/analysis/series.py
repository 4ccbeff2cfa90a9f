"""What tells the lines, dots and marks of trials apart: their group, and everything else in which they differ.

Two trials have one series only if they differ in nothing but their seed and the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.tracking.records import Trial
from lipkd.evaluation.matching import deciding, differing

TAGGED = ("seed", "cohort.method", "cohort.peers", "network.width", "training.batch_size")  # known without parameters
LONGEST = 12  # letters of a value, as of a digest


@dataclass(frozen=True)
class Series:
    """A trial's group (method and peers), and in what else it differs from the others; empty: in nothing."""

    group: str
    variant: str

    @property
    def label(self) -> str:
        return ", ".join(filter(None, [self.group, self.variant]))


def series_of(trials: Sequence[Trial]) -> dict[str, Series]:
    """Per run id the series of a trial among `trials`. The cohort's own parameters count within a group only: most of
    them mean nothing to other methods."""
    known = {trial.run_id: _parameters(trial) for trial in trials}
    varying = [name for name in differing([*known.values()]) if not name.startswith("cohort.")] if known else []
    members: dict[str, list[dict[str, str]]] = {}
    for trial in trials:
        members.setdefault(trial.group, []).append(known[trial.run_id])
    own = {group: [name for name in differing(those) if name not in varying] for group, those in members.items()}
    return {
        trial.run_id: Series(trial.group, _words(known[trial.run_id], [*varying, *own[trial.group]]))
        for trial in trials
    }


def _parameters(trial: Trial) -> dict[str, str]:
    rest = {name: value for name, value in deciding(trial.config, trial.store_digest).items() if name not in TAGGED}
    return {"width": trial.width, "batch size": str(trial.batch_size)} | rest


def _words(parameters: dict[str, str], names: Sequence[str]) -> str:
    """`width 0.5, batch size 8`: the width first, then by name."""
    ordered = sorted(names, key=lambda name: (name != "width", name))
    short = ((name.rpartition(".")[2].replace("_", " "), parameters.get(name, "–")) for name in ordered)
    return ", ".join(f"{name} {value[:LONGEST]}" for name, value in short)
