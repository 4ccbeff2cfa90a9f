"""How many trials share a machine: processors among all of them, and a GPU by the memory that each takes.

share of a GPU = (peak of the trial's kind + CUDA's context) × MARGIN / memory of the card, rounded up to 1/n
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lipkd.config.trial_config import TrialConfig
from lipkd.errors import LipkdError
from tuning.gpu.memory_table import USUAL_CONTEXT_MB, Kind, Known, MemoryTable
from tuning.gpu.probe import Probe
from tuning.plan.sweep_config import ResourcesConfig

MARGIN = 1.2  # clips are slowed by up to a tenth, and memory comes in pieces
FINEST = 10_000  # Ray counts shares in this part of a GPU


@dataclass(frozen=True)
class Packing:
    """Shares of one model of card by kind of trial. No trial gets less than `least`, so that no more are on a card than
    there are processors for, and all cards have the same number; `grown` is how many times its share each gets, after
    some ran out of memory."""

    device: str
    known: Known
    least: float = 0.0
    grown: int = 1

    def share(self, config: TrialConfig) -> float:
        """Of a trial: 1/n of a card; a whole one when nothing is known of its like, none on the processor."""
        if config.training.device == "cpu":
            return 0.0
        peak = self.known.peak(Kind.of(config))
        share = 1.0 if peak is None else self.of_memory(peak)
        return min(1.0, max(share, self.least) * self.grown)

    def of_memory(self, peak_mb: float) -> float:
        return part((peak_mb + self.known.context_mb) * MARGIN / self.known.total_mb)

    def text(self, configs: Iterable[TrialConfig]) -> str:
        """A table of the kinds of these trials, the largest first."""
        known = self.known
        lines = [
            f"  on {self.device}: {known.total_mb:.0f} MiB, {known.context_mb:.0f} of them for each trial's context",
            f"    {'MiB':>7}  {'share':>6}  {'on a card':>9}  kind of trial",
        ]
        for kind, config in sorted(examples(configs).items(), key=lambda item: -item[0].size):
            share, peak = self.share(config), known.peak(kind)
            if share:
                taken = "?" if peak is None else f"{peak:.0f}"
                lines.append(f"    {taken:>7}  {share:6.4f}  {round(1 / share):9d}  {kind.text()}")
        return "\n".join(lines)


def part(needed: float) -> float:
    """The smallest 1/n that is not less than needed, as Ray counts: n of them are never more than a whole GPU."""
    return 1.0 if needed >= 1 else math.floor(FINEST / math.floor(1 / needed + 1e-9)) / FINEST


def examples(configs: Iterable[TrialConfig]) -> dict[Kind, TrialConfig]:
    """The kinds of trials, each with one of its trials."""
    first: dict[Kind, TrialConfig] = {}
    for config in configs:
        first.setdefault(Kind.of(config), config)
    return first


def find_packing(configs: Iterable[TrialConfig], table: MemoryTable, probe: Probe) -> Packing:
    """What is known of the card, measured by `probe` where the table does not have it; the table then has it.

    Raises LipkdError when nothing can be found out.
    """
    on_gpu = [config for config in configs if config.training.device != "cpu"]
    kinds = sorted(examples(on_gpu).items(), key=lambda item: -item[0].size)
    request = {
        "trials": [[kind.text(), config.to_json()] for kind, config in kinds],
        "known": {name: [kind.text() for kind in known.peaks] for name, known in table.cards.items()},
    }
    found = probe(request)
    name = str(found["device"])
    known = table.cards.setdefault(name, Known(float(found["total_mb"])))
    # Others may have been at work on the card: then the context seemed larger than it is.
    contexts = [c for c in (known.measured_context_mb, found.get("context_mb")) if c is not None]
    known.measured_context_mb = min(contexts, default=None)
    for kind, _ in kinds:
        if kind.text() in found.get("peaks", {}):
            known.add_peak(kind, found["peaks"][kind.text()])
    return Packing(name, replace(known, peaks=dict(known.peaks)))  # peaks of this sweep's trials count for the next one


@dataclass(frozen=True)
class Shares:
    """What each trial gets of the machine or cluster, and how many run at a time. With a `packing` a trial's share of
    a GPU is its kind's; `gpus` is then the smallest."""

    cpus: int
    gpus: float
    concurrent: int
    packing: Packing | None = None

    def gpu(self, config: TrialConfig) -> float:
        """A trial's share of a GPU, or whole ones."""
        return self.packing.share(config) if self.packing else self.gpus

    @property
    def context_mb(self) -> float:
        return self.packing.known.context_mb if self.packing else USUAL_CONTEXT_MB

    def halved(self) -> "Shares | None":
        """Half as many at a time, each with twice the share of a GPU; None when no trial can give way."""
        if self.concurrent == 1 or self.gpus >= 1:
            return None
        packing = self.packing and replace(self.packing, grown=2 * self.packing.grown)
        return Shares(self.cpus, min(1.0, 2 * self.gpus), self.concurrent // 2, packing)

    def text(self) -> str:
        """What each trial gets, in a line."""
        gpus = f"{self.gpus:g} GPU" if self.gpus else "no GPU"
        if self.packing:
            return f"at most {self.concurrent} at a time, {self.cpus} CPU and {gpus} or more each"
        return f"{self.concurrent} at a time, {self.cpus} CPU and {gpus} each"


def share_out(
    resources: ResourcesConfig,
    trials: int,
    cores: float,
    gpus: float,
    packing: Packing | None = None,
    configs: Iterable[TrialConfig] = (),
) -> Shares:
    """Fill in what the sweep file leaves to the machine.

    Without GPUs: as many trials at a time as there are cores, and the cores shared among them, because a second
    thread costs a small network more than it brings. With GPUs: by the memory that trials like `configs` take, as
    many as `max_concurrent` or the processors allow; when that is not known, one per GPU, or `max_concurrent` sharing
    them.
    """
    share = resources.gpus
    if share is None and packing is not None and gpus:
        most = min(resources.max_concurrent or max(gpus, cores // (resources.cpus or 1)), max(trials, 1))
        packing = replace(packing, least=part(1 / math.ceil(most / gpus)))  # Ray would fill one card before the next
        share = min((s for config in configs if (s := packing.share(config))), default=0.0)
    else:
        packing = None
    if share is None:
        most = resources.max_concurrent or gpus
        share = min(1.0, math.floor(1000 * gpus / most) / 1000) if gpus else 0.0
    if share > gpus:
        raise LipkdError(f"resources.gpus = {share:g}: there are {gpus:g} GPUs; give less, or auto")
    fit = at_a_time(share, gpus) if share else max(1, int(cores // (resources.cpus or 1)))
    concurrent = int(min(fit, most) if packing else min(resources.max_concurrent or fit, max(trials, 1)))
    return Shares(resources.cpus or max(1, int(cores // concurrent)), share, concurrent, packing)


def at_a_time(share: float, gpus: float) -> int:
    """How many shares there are on whole GPUs: a share does not reach across two of them."""
    return int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-6)
