"""Start from the weights of another trial: the layers that fit, of its best peer.

    peer 0        the given weights, where they fit by name and shape; its own fresh ones elsewhere
    peer i > 0    (1 - s) · given + s · its own fresh weights, s = `training.init_spread`

Peers that all started from the same weights would have little to teach each other. Mixing in a share of each one's
own initialisation is what Ash & Adams 2020 call shrink and perturb; it sets them apart and keeps most of what
was learnt. On the Italian corpus (width 0.5, a third of the validation clips, WER 0.41 as given) a share of 0.1
left WER at 0.41 while the peer said 0.94 of its characters as the given one did; 0.2 gave 0.43 and 0.88, 0.3
gave 0.52 and 0.82. Peer 0 stays as given, so that it starts as vanilla does.

The output layer is carried over symbol by symbol, so a network may go on with another alphabet.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lipkd import checkpoint
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.errors import LipkdError
from lipkd.model.cohort import Cohort
from lipkd.model.lipnet import Branch, Trunk, map_size
from lipkd.text import BLANK
from lipkd.trial import TrialFolder


@dataclass(frozen=True)
class Source:
    """The peer to start from: its tensors, as a LipNet names them, and how they came about."""

    checkpoint: Path
    peer: int
    why: str
    tensors: dict[str, Tensor]
    config: TrialConfig
    picture: tuple[int, int, int]

    @property
    def digest(self) -> str:
        """Sixteen hex digits of the weights, wherever they lie."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)} ".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass
class Fit:
    """What one peer took over: names of tensors, or of parts of them with the reason."""

    loaded: list[str] = field(default_factory=list)
    partly: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)


def weights_digest(given: str) -> str:
    """The digest of what `find_source` finds; a file that has not changed is read once per process."""
    path = Path(given).expanduser()
    file = TrialFolder(path).checkpoint("best") if path.is_dir() else path
    stamp = file.stat() if file.is_file() else None
    return _digest(given, stamp and (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino))


@lru_cache(maxsize=64)
def _digest(given: str, stamp: tuple[int, int, int] | None) -> str:
    return find_source(given).digest


def find_source(given: str) -> Source:
    """The best peer of the trial folder (its best checkpoint), or of the checkpoint file, at `given`.

    The best is the peer with the lowest WER, then CER, in the epoch of the checkpoint. Raises LipkdError when
    there is no such trial, or no checkpoint in it.
    """
    path = Path(given).expanduser()
    if not path.exists():
        raise LipkdError(f"training.init_from = {given}: no trial and no checkpoint there")
    folder = TrialFolder(path if path.is_dir() else path.parent.parent)
    file = folder.checkpoint("best") if path.is_dir() else path
    try:
        tensors, info = checkpoint.load(file)
        config = parse_config(info["config"], str(file))
    except LipkdError as error:
        raise LipkdError(f"training.init_from = {given}: {error}") from error
    peer, why = _best_peer(folder, info["epoch"], len(config.widths))
    weights = checkpoint.read_with(tensors)
    own = checkpoint.tensors_under(weights, "trunk.") | checkpoint.tensors_under(weights, f"peers.{peer}.")
    return Source(file, peer, why, own, config, tuple(info["picture"]))


def _best_peer(folder: TrialFolder, epoch: int, peers: int) -> tuple[int, str]:
    if peers == 1:
        return 0, "the only one"
    for report in folder.reports():
        if report.step == epoch:
            rates = [tuple(report.metrics[f"val/{rate}/peer_{i}"] for rate in ("wer", "cer")) for i in range(peers)]
            best = rates.index(min(rates))
            return best, f"the best of {peers} in epoch {epoch}, WER {rates[best][0]:.3f}"
    return 0, f"the first of {peers}, as there is no journal beside the checkpoint to choose by"


def start_from(source: Source, cohort: Cohort, config: TrialConfig, picture: tuple[int, int, int]) -> dict[str, Any]:
    """Give the cohort's peers the source's weights, in place; returns the report for `init_report.json`.

    picture is the (height, width, channels) that the cohort sees. Raises LipkdError when no layer fits any peer.
    """
    spread = config.training.init_spread
    fits = []
    for index, branch in enumerate(cohort.branches):
        shared = [cohort.trunk] if cohort.trunk and index == 0 else []  # counted with peer 0, and as it is given
        fits.append(take_over([*shared, branch], source, config, picture, spread if index else 0.0))
    whole = len(cohort.network(0).state_dict())
    if not any(fit.loaded for fit in fits):
        raise LipkdError(
            f"training.init_from = {config.training.init_from}: no layer of it fits {config.network.name} "
            f"at width {config.widths[0]:g}"
        )
    alike = len(fits) > 1 and spread == 0 and not fits[0].fresh and not fits[0].partly
    counts = ", ".join(str(len(fit.loaded)) for fit in fits)
    summary = (
        f"starts from peer {source.peer} of {source.checkpoint} ({source.why}): {counts} of {whole} tensors taken "
        f"over, {len(fits[0].partly)} in part, {len(fits[0].fresh)} fresh in peer 0"
    )
    if alike:
        summary += "; all peers start alike, as training.init_spread is 0, and only dropout sets them apart"
    return {
        "summary": summary,
        "checkpoint": str(source.checkpoint),
        "digest": source.digest,
        "peer": source.peer,
        "why": source.why,
        "spread": spread,
        "peers": [{"loaded": fit.loaded, "partly": fit.partly, "fresh": fit.fresh} for fit in fits],
    }


@torch.no_grad()
def take_over(
    parts: Sequence[Trunk | Branch],
    source: Source,
    config: TrialConfig,
    picture: tuple[int, int, int],
    spread: float,
) -> Fit:
    """Move the tensors of a peer's parts to (1 - spread) · given + spread · own wherever the source's fit."""
    fit = Fit()
    same_places = map_size(*picture[:2]) == map_size(*source.picture[:2])  # equal products may be other shapes
    symbols = _common_symbols(source.config.data.alphabet, config.data.alphabet)
    whole = source.config.data.alphabet == config.data.alphabet
    for name, own in chain.from_iterable(part.named_parameters() for part in parts):
        given = source.tensors.get(name)
        if given is None:
            fit.fresh[name] = "not in the checkpoint"
        elif name.startswith("output.") and given.shape[1:] == own.shape[1:] and not whole:
            theirs, mine = (torch.tensor(side) for side in zip(*symbols, strict=True))
            own[mine] = own[mine].lerp(given[theirs].to(own), 1 - spread)
            fit.partly[name] = f"{len(mine)} of {len(own)} symbols"
        elif given.shape != own.shape:
            fit.fresh[name] = f"{_shape(given)} there, {_shape(own)} here"
        elif name.startswith("recurrent.0.weight_ih") and not same_places:
            fit.fresh[name] = "another picture"
        else:
            own.lerp_(given.to(own), 1 - spread)
            fit.loaded.append(name)
    return fit


def _common_symbols(one: str, other: str) -> list[tuple[int, int]]:
    """Indices in both alphabets of the blank and of every character that both have."""
    return [(BLANK, BLANK)] + [(one.index(c) + 1, other.index(c) + 1) for c in one if c in other]


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
