"""What training and reading cost, measured on this machine on clips of noise.

Every figure is paired: what is compared runs in turns in the same process, in an order that rotates, and the ratio is
taken within each turn. A machine that slows down half-way slows down both sides.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.loader import Batch, ClipReader
from lipkd.data.store import Frames, StoreWriter
from lipkd.deployment.lipreader import LipReader
from lipkd.errors import LipkdError
from lipkd.model.cost import Cost, network_cost
from lipkd.model.gru import run_gru, run_packed
from lipkd.model.lipnet import LipNet, network_shape
from lipkd.text import LETTERS
from lipkd.training.train import Trainer
from lipkd.training.trial_data import build_data
from lipkd.trial import TrialFolder

FPS = 25.0
STEPS = 2  # of training in a turn
SENTENCE = "lay blue with zed nine again"
CONTROL = "2 × 1 peer"


@dataclass(frozen=True)
class Load:
    """What is measured: clips of so many `frames` of `crop` (height, width) colour pictures, on which network."""

    crop: tuple[int, int] = (50, 100)
    frames: int = 75
    batch_size: int = 8
    network: str = "lipnet"
    width: float = 1.0
    device: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class StepCost:
    """A two-peer training step against two single-peer steps: `seconds` of one step (median), and the ratios by the
    wall clock and by processor time, which other programs disturb less; on a GPU only the wall clock counts."""

    method: str
    seconds: float
    wall: "Ratio"
    processor: "Ratio"


@dataclass(frozen=True)
class Ratio:
    """Median and quartiles of the ratios of all turns."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ones: Sequence[float], others: Sequence[float]) -> "Ratio":
        """Turn by turn."""
        low, middle, high = quantiles([a / b for a, b in zip(ones, others, strict=True)], n=4, method="inclusive")
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f}–{self.high:.3f})"


@dataclass(frozen=True)
class ReadingCost:
    """Reading clips one by one and in batches: (wall clock, processor) seconds for one second of video, medians."""

    width: float
    cost: Cost
    alone: tuple[float, float]
    batched: tuple[float, float]


def bench_step(load: Load, methods: Sequence[str], *, turns: int = 15) -> Iterator[StepCost]:
    """Cost of a two-peer step of each method over two independent single-peer steps on the same batches.

    λ is at its full value. Raises LipkdError for a method or a load that a trial's configuration would not take.
    """
    if turns < 3:
        raise LipkdError(f"turns = {turns}: must be at least 3, to have a spread")
    with tempfile.TemporaryDirectory() as folder:
        store = noise_store(Path(folder) / "store", load)
        work: dict[str, list[Callable[[], object]]] = {
            CONTROL: [_trainer(load, store, {"method": "independent"}, seed, Path(folder)) for seed in (0, 1)]
        }
        for method in methods:
            work[method] = [_trainer(load, store, {"method": method, "peers": 2}, 0, Path(folder))]
        clocks = in_turns(work, turns)
        for method, clock in clocks.items():
            (walls, processors), (control_walls, control_processors) = _columns(clock), _columns(clocks[CONTROL])
            wall, processor = Ratio.of(walls, control_walls), Ratio.of(processors, control_processors)
            yield StepCost(method, median(walls) / STEPS, wall, processor)


def bench_gru(load: Load, widths: Sequence[float], *, turns: int = 15) -> Iterator[tuple[float, float, Ratio]]:
    """Learning in the recurrent layers as peers do on a processor, over torch.nn.GRU on the same clips: for each width
    milliseconds of ours (median), milliseconds of torch's, and the ratio."""
    if load.threads:
        torch.set_num_threads(load.threads)
    lengths = torch.full((load.batch_size,), load.frames)
    for width in widths:
        shape = network_shape(load.network, width, picture=(*load.crop, 3), symbols=len(LETTERS) + 1)
        torch.manual_seed(0)
        network = LipNet(shape)
        features = torch.randn(load.batch_size, load.frames, shape.features, requires_grad=True)

        def learn(run: Callable[[nn.GRU, Tensor, Tensor], Tensor], network: LipNet, hidden: Tensor) -> None:
            for gru in network.recurrent:
                hidden = run(cast("nn.GRU", gru), hidden, lengths)
            hidden.square().mean().backward()

        work: dict[str, list[Callable[[], object]]] = {
            "ours": [partial(learn, run_gru, network, features)],
            "torch": [partial(learn, run_packed, network, features)],
        }
        clocks = in_turns(work, turns)
        ours, torchs = ([wall for wall, _ in clocks[name]] for name in ("ours", "torch"))
        yield 1000 * median(ours), 1000 * median(torchs), Ratio.of(ours, torchs)


def bench_reading(load: Load, widths: Sequence[float], *, turns: int = 15) -> list[ReadingCost]:
    """Reading with networks of each width: decoding, alignment and all, from frames to words."""
    if load.threads:
        torch.set_num_threads(load.threads)
    clips = [noise(load, seed) for seed in range(load.batch_size)]
    readers = {width: _reader(load, width) for width in widths}
    work: dict[str, list[Callable[[], object]]] = {}
    for width, reader in readers.items():
        work[f"alone {width}"] = [lambda reader=reader: reader.read(clips[:1])]  # type: ignore[misc]
        work[f"batched {width}"] = [lambda reader=reader: reader.read(clips)]  # type: ignore[misc]
    clocks = in_turns(work, turns)

    def per_second(name: str, n_clips: int) -> tuple[float, float]:
        walls, processors = _columns(clocks[name])
        seconds = n_clips * load.frames / FPS
        return median(walls) / seconds, median(processors) / seconds

    return [
        ReadingCost(
            width,
            network_cost(reader.network.shape, FPS),
            per_second(f"alone {width}", 1),
            per_second(f"batched {width}", len(clips)),
        )
        for width, reader in readers.items()
    ]


def in_turns(work: dict[str, list[Callable[[], object]]], turns: int) -> dict[str, list[tuple[float, float]]]:
    """(wall clock, processor) seconds of each piece of work in each turn, after one that does not count.

    Whoever comes first in a turn comes last in the next: none always follows the same other.
    """
    names = list(work)
    clocks: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(turns + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            wall, processor = time.perf_counter(), time.process_time()
            for job in work[name]:
                job()
            if turn:
                clocks[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return clocks


def _columns(clock: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [wall for wall, _ in clock], [processor for _, processor in clock]


def noise(load: Load, seed: int) -> Frames:
    """A clip (T, H, W, 3) that shows nothing; the time of a network does not depend on what it sees."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (load.frames, *load.crop, 3), dtype=np.uint8)


def noise_store(path: Path, load: Load) -> Path:
    """A clip store of STEPS batches, and one clip more to validate on."""
    with StoreWriter(path, height=load.crop[0], width=load.crop[1], channels=3) as writer:
        for seed in range(STEPS * load.batch_size + 1):
            name = f"{'held' if seed == 0 else 'noise'}/{seed}"
            speaker = name.partition("/")[0]
            writer.add(noise(load, seed), id=name, speaker=speaker, fps=FPS, text=SENTENCE, words=(), source=name)
        writer.close()
    return path


class _Replay:
    """Hands out the batches of the first epoch again and again, so that only the training itself is measured."""

    def __init__(self, reader: ClipReader) -> None:
        self.reader = reader
        self.batches: list[Batch] = []

    def training(self, *arguments: Any, **options: Any) -> Iterator[Batch]:
        self.batches = self.batches or list(self.reader.training(*arguments, **options))
        return iter(self.batches)


def _trainer(load: Load, store: Path, cohort: dict[str, Any], seed: int, folder: Path) -> Callable[[], object]:
    """What trains STEPS batches with the loop that trains trials."""
    name = f"{cohort['method']}-{seed}-{len(list(folder.iterdir()))}"
    config = step_config(load, store, cohort, seed)
    data = build_data(config)
    replayed = replace(data, reader=_Replay(data.reader))  # type: ignore[arg-type]
    return Trainer(config, replayed, TrialFolder(folder / name))._train_epoch


def step_config(load: Load, store: Path, cohort: dict[str, Any], seed: int) -> TrialConfig:
    """A trial on the noise, with λ at its full value from the first step on."""
    value = {
        "seed": seed,
        "data": {"store": str(store), "scenario": "unseen", "val_speakers": ["held"]},
        "network": {"name": load.network, "width": load.width},
        "cohort": {**cohort, "ramp_share": 0.0},
        "training": {"batch_size": load.batch_size, "device": load.device, "threads": load.threads},
    }
    return parse_config(value, "bench")


def _reader(load: Load, width: float) -> LipReader:
    torch.manual_seed(0)
    shape = network_shape(load.network, width, picture=(*load.crop, 3), symbols=len(LETTERS) + 1)
    sides = {"height": load.crop[0], "width": load.crop[1]}
    card = {
        "alphabet": LETTERS,
        "pictures": {**sides, "channels": 3, "fps": FPS},
        "preprocessing": {**sides, "zoom": 1.0},
        "precision": "auto",
    }
    return LipReader(LipNet(shape), card, load.device)


What = Literal["step", "gru", "predict"]


def report(what: What, load: Load, *, methods: Sequence[str], widths: Sequence[float], turns: int) -> Iterator[str]:
    """The lines of a table, each as soon as it is known."""
    if what == "step":
        yield f"{'':16} {'ms a step':>9}  {'ratio, wall clock':>22}  {'ratio, processor time':>22}"
        for s in bench_step(load, methods, turns=turns):
            yield f"{s.method:16} {1000 * s.seconds:9.1f}  {s.wall!s:>22}  {s.processor!s:>22}"
        return
    if what == "gru":
        yield f"{'width':>6} {'ms, ours':>9} {'ms, torch':>9}  {'ratio, wall clock':>22}"
        for width, (ours, torchs, ratio) in zip(widths, bench_gru(load, widths, turns=turns), strict=True):
            yield f"{width:6g} {ours:9.1f} {torchs:9.1f}  {ratio!s:>22}"
        return
    yield f"{'':6} {'':10} {'':11}  milliseconds per second of video: wall clock, processor time"
    yield f"{'width':>6} {'parameters':>10} {'G mult-adds':>11}  {'one by one':>16}  {'in batches':>16}"
    for r in bench_reading(load, widths, turns=turns):
        alone, batched = (f"{1000 * wall:.1f}, {1000 * processor:.1f}" for wall, processor in (r.alone, r.batched))
        yield (
            f"{r.width:6g} {r.cost.parameters / 1e6:8.2f} M {r.cost.multiply_adds / 1e9:11.3f}  "
            f"{alone:>16}  {batched:>16}"
        )
