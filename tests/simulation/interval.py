"""How often `lipkd compare` is wrong, and what it can see: comparisons drawn from a model whose truth is known.

    python -m tests.simulation.interval [--draws 2000] [--seed 0]

A clip of w words is read by two peers a side, each with Binomial(w, p) errors and
    logit p = level + speaker + clip + reading + seed of the side ± (method + method's effect on the speaker) / 2
all but the first normal with mean 0. Speakers, clips, readings and seeds are drawn anew for each comparison, so the
true difference over all speakers and seeds is that of the method, and 0 in the first table. The spread of seeds is
set so that one seed's difference has the standard deviation that docs/results.md showed for such trials.

`before` is the percentile bootstrap over seeds and clips that lipkd had until commit ed1abd4, `after` is
lipkd/evaluation/interval.py.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lipkd.evaluation.interval import Floats, variances

SEEDS = (1, 2, 3, 5, 10)
POINTS = (2, 5, 10)
LEVEL = 0.95
RESAMPLES = 1000  # of the bootstrap: enough for shares of wrong calls, a tenth of what lipkd drew
PEERS = 2


@dataclass(frozen=True)
class Model:
    """Trials to draw: clips of each speaker, words of a clip, error rate, and standard deviations: `spread` of a seed's
    difference in points (None for seeds that do not differ), the others in logits. `drawn` says what the interval
    counts: speakers or clips."""

    name: str
    speakers: tuple[int, ...] = (19,) * 5
    words: tuple[int, ...] = (5, 5, 5, 4, 5, 4, 5)
    wer: float = 0.31
    spread: float | None = None
    speaker_sd: float = 1.3
    clip_sd: float = 0.8
    reading_sd: float = 0.9
    method_by_speaker_sd: float = 0.0
    drawn: str = "speakers"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of every clip."""
        return np.resize(self.words, sum(self.speakers))

    @property
    def speaker_of(self) -> NDArray[np.int64]:
        """The speaker's index of every clip."""
        return np.repeat(np.arange(len(self.speakers)), self.speakers)

    @property
    def units(self) -> NDArray[np.int64]:
        return self.speaker_of if self.drawn == "speakers" else np.arange(len(self.lengths))


ITALIAN = Model("Italian, full width", spread=3.8)
GRID = Model("GRID, one speaker", (89,), (6,), wer=0.36, spread=2.9, speaker_sd=0.0, drawn="clips")
MODELS = (
    ITALIAN,
    replace(ITALIAN, name="Italian, width 0.5", wer=0.42, spread=5.0),
    replace(ITALIAN, name="Italian, `lipnet-128`", wer=0.48, spread=8.9),
    GRID,
    replace(ITALIAN, name="Italian, seeds that do not differ", spread=None),
    replace(ITALIAN, name="Italian, the same speakers", drawn="clips"),
    replace(ITALIAN, name="a method by speaker, sd 0.2", method_by_speaker_sd=0.2),
    replace(ITALIAN, name="a method by speaker, sd 0.4", method_by_speaker_sd=0.4),
)
SEEDS_ALONE = "seeds alone, clips without noise"


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Calibrated:
    """A model with the logits that give its error rate and its spread."""

    model: Model
    level: float
    seed_sd: float

    def draw(self, rng: np.random.Generator, draws: int, seeds: int, method: float = 0.0) -> Floats:
        """(draws, seeds, clips): edits of A minus edits of B, means over peers; `method` in logits in favour of A."""
        model, speaker = self.model, self.model.speaker_of
        clips = len(speaker)
        hard = rng.normal(0, model.speaker_sd, (draws, len(model.speakers)))[:, speaker]
        hard = hard + rng.normal(0, model.clip_sd, (draws, clips))
        suits = method + rng.normal(0, model.method_by_speaker_sd, (draws, len(model.speakers)))[:, speaker]
        sides = []
        for sign in (-0.5, 0.5):
            logit = self.level + hard + sign * suits
            logit = logit[:, None, :, None] + rng.normal(0, self.seed_sd, (draws, seeds, 1, 1))
            logit = logit + rng.normal(0, model.reading_sd, (draws, seeds, clips, PEERS))
            sides.append(rng.binomial(model.lengths[:, None], sigmoid(logit)).mean(-1))
        return sides[0] - sides[1]

    def logits_for(self, points: float) -> float:
        """The effect of a method, in logits, that is worth so many points of WER over all speakers."""
        model, rng = self.model, np.random.default_rng(1)
        deviation = np.hypot(np.hypot(model.speaker_sd, model.clip_sd), np.hypot(model.reading_sd, self.seed_sd))
        logit = self.level + rng.normal(0, deviation, 100_000)
        return bisect(lambda x: float(100 * (sigmoid(logit + x / 2) - sigmoid(logit - x / 2)).mean()), points, 0, 20)


def bisect(rising: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a rising function takes a value."""
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


def calibrate(model: Model, draws: int = 2000) -> Calibrated:
    """The level and the spread of seeds, in logits."""
    rng = np.random.default_rng(1)
    deviation = np.hypot(np.hypot(model.speaker_sd, model.clip_sd), model.reading_sd)
    noise = rng.normal(0, deviation, 100_000)
    level = bisect(lambda x: float(sigmoid(x + noise).mean()), model.wer, -10, 10)
    if model.spread is None:
        return Calibrated(model, level, 0.0)
    total = model.lengths.sum()

    def spread(seed_sd: float) -> float:
        drawn = Calibrated(model, level, seed_sd).draw(np.random.default_rng(2), draws, 1)
        return float(100 * (drawn.sum(-1) / total).std())

    return Calibrated(model, level, bisect(spread, model.spread, 0, 3))


def percentile_bootstrap(edits: Floats, lengths: Floats, seed: int = 0) -> tuple[Floats, Floats]:
    """Low and high ends before: seeds and clips drawn again one by one, percentiles of the difference."""
    _, seeds, clips = edits.shape
    rng = np.random.default_rng(seed)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds  # (R, S)
    of_clips = rng.multinomial(clips, np.full(clips, 1 / clips), RESAMPLES)  # (R, C)
    again = np.einsum("rs,nsr->nr", of_seeds, edits @ of_clips.T) / (of_clips @ lengths)
    low, high = np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return low, high


def calls(edits: Floats, lengths: Floats, units: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Per comparison -1 for `better`, 1 for `worse`, 0 for `not shown`: before, and after."""
    low, high = percentile_bootstrap(edits, lengths)
    before = np.where(high < 0, -1.0, np.where(low > 0, 1.0, 0.0))
    if edits.shape[1] < 2:
        return before, np.zeros(len(edits))
    found = variances(edits, lengths, units)
    return before, np.where(np.abs(found.mean) > found.half_width(LEVEL), np.sign(found.mean), 0.0)


def wrong_calls(model: Calibrated, seeds: int, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """The share of comparisons, in per cent, that are called although there is no difference: before, and after."""
    edits = model.draw(rng, draws, seeds)
    before, after = calls(edits, model.model.lengths.astype(float), model.model.units)
    return 100 * float((before != 0).mean()), 100 * float((after != 0).mean())


def power(model: Calibrated, seeds: int, points: float, draws: int, rng: np.random.Generator) -> float:
    """The share of comparisons, in per cent, in which so many points are called `better`, after."""
    edits = model.draw(rng, draws, seeds, model.logits_for(points))
    return 100 * float((calls(edits, model.model.lengths.astype(float), model.model.units)[1] < 0).mean())


def seeds_alone(seeds: int, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Wrong calls where each seed moves all clips by the same: 16.1 points between seeds, nothing between clips."""
    lengths = np.full(95, 4.0)
    edits = rng.normal(0, 0.161, (draws, seeds, 1)) * lengths
    before, after = calls(edits, lengths, ITALIAN.units)
    return 100 * float((before != 0).mean()), 100 * float((after != 0).mean())


def tables(draws: int, seed: int) -> Iterator[str]:
    """The lines of both tables, in Markdown."""
    rng = np.random.default_rng(seed)
    head = " | ".join(str(count) for count in SEEDS)
    yield f"Wrong calls in per cent, before → after; {draws} draws, true difference 0; seeds:"
    yield ""
    yield f"| like | a seed's sd, points | {head} |"
    yield "|---|---" + "|---" * len(SEEDS) + "|"
    known = [calibrate(model) for model in MODELS]
    for model in known:
        one = model.draw(np.random.default_rng(3), 2000, 1).sum(-1) / model.model.lengths.sum()
        cells = (wrong_calls(model, count, draws, rng) for count in SEEDS)
        row = " | ".join(f"{before:.1f} → {after:.1f}" for before, after in cells)
        yield f"| {model.model.name} | {100 * one.std():.1f} | {row} |"
    row = " | ".join("{:.1f} → {:.1f}".format(*seeds_alone(count, draws, rng)) for count in SEEDS)
    yield f"| {SEEDS_ALONE} | 16.1 | {row} |"
    yield ""
    points = ", ".join(map(str, POINTS))
    yield f"Power after, in per cent: how often a true difference of {points} points is shown; seeds:"
    yield ""
    yield f"| like | {head} |"
    yield "|---" + "|---" * len(SEEDS) + "|"
    for model in known:
        shown = ([power(model, count, gain, draws, rng) for gain in POINTS] for count in SEEDS)
        yield f"| {model.model.name} | " + " | ".join(", ".join(f"{x:.0f}" for x in one) for one in shown) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for line in tables(arguments.draws, arguments.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
