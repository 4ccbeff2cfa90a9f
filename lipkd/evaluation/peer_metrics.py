"""What peers have in common, measured on what they say of the validation clips.

CTC peers that were never coupled spike on different frames, which makes a frame-wise mean of them a poor
teacher; these numbers show whether a method brings them together.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import jiwer
from torch import Tensor

from lipkd.ctc.hypothesis import runs


def peer_metrics(hypotheses: Sequence[Sequence[str]], posteriors: Sequence[Tensor]) -> dict[str, float]:
    """Metrics of one reading: `hypotheses` per clip a text per peer, `posteriors` per clip (P, T, V).

    `peers/entropy` (nats per frame, mean over peers); with two peers or more also `peers/agreement` (1 - the
    character error rate between two peers' texts, mean over pairs) and `peers/spike_offset` (frames, see
    `spike_offset`), left out while no two peers have a spike in common.
    """
    found = {"peers/entropy": fmean(entropy(p) for p in posteriors)}
    peers = range(len(hypotheses[0]))
    if len(peers) > 1:
        pairs = list(combinations(peers, 2))
        found["peers/agreement"] = fmean(_agreement([(h[i], h[j]) for h in hypotheses]) for i, j in pairs)
        offsets = [spike_offset(p[i], p[j]) for p in posteriors for i, j in pairs]
        if known := [offset for offset in offsets if offset is not None]:
            found["peers/spike_offset"] = fmean(known)
    return found


def entropy(posteriors: Tensor) -> float:
    """Mean entropy of a frame in nats; posteriors (…, V)."""
    p = posteriors.float().clamp(min=1e-8)
    return float(-(p * p.log()).sum(-1).mean())


def spikes(posteriors: Tensor) -> list[tuple[int, int]]:
    """(first frame, symbol) of every run of one non-blank symbol on the best path; posteriors (T, V)."""
    return [(run.first, run.symbol) for run in runs(posteriors.argmax(-1).tolist())]


def spike_offset(one: Tensor, other: Tensor) -> float | None:
    """Mean distance in frames from a peer's spike to the other's nearest spike of the same symbol, both ways.

    one, other (T, V). None when they have no symbol in common.
    """
    distances = []
    for here, there in ((spikes(one), spikes(other)), (spikes(other), spikes(one))):
        for frame, symbol in here:
            if same := [abs(frame - t) for t, s in there if s == symbol]:
                distances.append(min(same))
    return fmean(distances) if distances else None


def _agreement(pairs: Sequence[tuple[str, str]]) -> float:
    """1 - edits over the length of the longer text, over all clips; silence agrees with silence."""
    edits = lengths = 0
    for a, b in pairs:
        longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
        lengths += len(longer)
        if longer:
            counts = jiwer.process_characters(longer, shorter)
            edits += counts.substitutions + counts.deletions + counts.insertions
    return 1 - edits / lengths if lengths else 1.0
