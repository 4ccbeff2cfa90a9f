"""Whose weights a trial of a population went on from: `lineage.jsonl` in its folder, a line per exploit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipkd.config.trial_config import Change
from lipkd.files import read_jsonl
from lipkd.trial import TrialFolder


@dataclass(frozen=True)
class Exploit:
    """After `epoch` the trial went on from the weights that `parent`, another trial of its sweep, had then, with these
    `values` of the mutated keys (`before` are its own until then)."""

    epoch: int
    parent: str
    before: dict[str, int | float]
    values: dict[str, int | float]

    def change(self) -> Change:
        """What it makes of the trial's schedule."""
        return Change(after=self.epoch, values=self.values)

    def to_json(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "parent": self.parent, "before": self.before, "values": self.values}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Exploit":
        return cls(row["epoch"], row["parent"], row["before"], row["values"])

    def reason(self) -> str:
        """Why the trial is not comparable from then on."""
        return (
            f"it went on from the weights of {self.parent} after epoch {self.epoch}, so its configuration does not "
            "describe it, and it has the cost of a population; train the schedule that `lipkd sweep FOLDER "
            "--best-schedule` prints and compare that"
        )


def lineage_file(folder: TrialFolder) -> Path:
    """Where a trial's exploits are recorded."""
    return folder.path / "lineage.jsonl"


def read_lineage(folder: TrialFolder) -> list[Exploit]:
    """The exploits of a trial, in order; empty for all but some trials of a population."""
    path = lineage_file(folder)
    return [Exploit.from_json(row) for row in read_jsonl(path)] if path.is_file() else []


def schedule_changes(folder: TrialFolder) -> list[Change]:
    """The changes of a trial's schedule that its exploits made."""
    return [exploit.change() for exploit in read_lineage(folder)]
