"""What the peers of a cohort make of one clip, side by side: where they spike, and where they disagree.

CTC posteriors are blank nearly everywhere, with a spike per letter. Two peers may say the same and spike on different
frames; then their divergence is large around every letter, and a frame-wise mean of them is a poor teacher.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.charts.charts import COLOURS
from dashboard.errors.word_times import spikes

LEAST = 6e-8  # smallest positive float16: a posterior that was rounded to 0 is not impossible
EXTENT = 46  # pixels of both charts' labels: the same second stands at the same place


def divergence(posteriors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How far each peer is from the others in every frame: (P, T), in nats.

    posteriors (P, T, V). Peer i gets the mean over the others j of KL(p_j ‖ p_i), what mutual learning at τ = 1
    would ask of it; 0 for a single peer.
    """
    p = np.maximum(posteriors.astype(np.float64), LEAST)
    p /= p.sum(-1, keepdims=True)
    logs = np.log(p)
    pairs = (p[:, None] * (logs[:, None] - logs[None])).sum(-1)  # (j, i, T): KL(p_j ‖ p_i)
    return np.asarray(pairs.sum(0) / max(len(p) - 1, 1))


def divergence_rows(posteriors: NDArray[np.floating[Any]], seconds: float) -> list[dict[str, Any]]:
    """A row per peer and frame of posteriors (P, T, V): `peer`, `second` (the frame's middle), `nats`."""
    step = seconds / posteriors.shape[1]
    return [
        {"peer": f"peer {peer}", "second": (frame + 0.5) * step, "nats": float(nats)}
        for peer, frames in enumerate(divergence(posteriors))
        for frame, nats in enumerate(frames)
    ]


def spike_rows(posteriors: NDArray[np.floating[Any]], symbols: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """A row per spike on the best path of each peer, posteriors (P, T, V): `peer`, `symbol`, `start` and `end` of its
    run in seconds, `second` of its highest frame's middle, `posterior` there."""
    return [
        {
            "peer": f"peer {peer}",
            "symbol": spike.symbol,
            "start": spike.start,
            "end": spike.end,
            "second": spike.middle,
            "posterior": spike.posterior,
        }
        for peer, table in enumerate(posteriors)
        for spike in spikes(table, symbols, seconds)
    ]


def peers_charts(
    divergences: Sequence[dict[str, Any]], letters: Sequence[dict[str, Any]], peers: int, seconds: float, *, dark: bool
) -> tuple[alt.LayerChart, alt.Chart]:
    """Letters of every peer over time, one line each, and their divergence in the same seconds, to stand below.

    Two charts and not one of two parts, because Vega-Lite fits no such chart to the width of a page.
    """
    names = [f"peer {peer}" for peer in range(peers)]
    colour = alt.Color(
        "peer:N",
        scale=alt.Scale(domain=names, range=[COLOURS[i % len(COLOURS)] for i in range(peers)]),
        legend=None,
    )
    axis = alt.Axis(grid=False, format=".1f")
    x = alt.X("second:Q", title=None, scale=alt.Scale(domain=[0, seconds], nice=False), axis=axis)
    y = alt.Y(
        "peer:N",
        title="letters",
        sort=names,
        scale=alt.Scale(domain=names),
        axis=alt.Axis(ticks=False, domain=False, minExtent=EXTENT, maxExtent=EXTENT),
    )
    data = pd.DataFrame(letters, columns=["peer", "symbol", "start", "end", "second", "posterior"])
    base = alt.Chart(data).encode(
        y=y,
        tooltip=["peer:N", "symbol:N", alt.Tooltip("second:Q", format=".2f"), alt.Tooltip("posterior:Q", format=".2f")],
    )
    runs = base.mark_bar(height=20, opacity=0.25, cornerRadius=3).encode(
        x=alt.X("start:Q", scale=alt.Scale(domain=[0, seconds], nice=False)), x2="end:Q", color=colour
    )
    signs = base.mark_text(fontSize=12, color="#e6e6e6" if dark else "#333333").encode(x=x, text="symbol:N")
    lines = (
        alt.Chart(pd.DataFrame(divergences, columns=["peer", "second", "nats"]))
        .mark_line(strokeWidth=1.6, interpolate="step")
        .encode(
            x=alt.X("second:Q", title="seconds", scale=alt.Scale(domain=[0, seconds], nice=False), axis=axis),
            y=alt.Y(
                "nats:Q",
                title="KL, nats",
                scale=alt.Scale(zero=True),
                axis=alt.Axis(tickCount=5, minExtent=EXTENT, maxExtent=EXTENT),
            ),
            color=colour,
            tooltip=["peer:N", alt.Tooltip("second:Q", format=".2f"), alt.Tooltip("nats:Q", format=".3f")],
        )
        .properties(height=140)
    )
    return (runs + signs).properties(height=alt.Step(30)), lines
