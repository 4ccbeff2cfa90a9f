"""What kinds of trials take of a GPU, found out with two steps of each, in a process of its own.

    python -m tuning.gpu.probe < request > answer        (JSON, see `answer`)

The process ends with its answer, so the driver, which lives as long as the sweep, holds nothing of the card.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import Clip
from lipkd.errors import LipkdError
from tuning.gpu import cuda

LONGEST_S = (
    60.0  # for all kinds together; what is left is taken for as large as what was measured (tuning/gpu/memory_table.py)
)
PATIENCE_S = 180.0  # for the process: the last kind, PyTorch's import, and a card that has to wake up
STEPS = 2  # the optimiser's own tensors are there from the second on

Request = dict[str, Any]
Answer = dict[str, Any]
Probe = Callable[[Request], Answer]


def run_probe(request: Request) -> Answer:
    """The answer of a process of its own on this machine; raises LipkdError when it has none."""
    command = [sys.executable, "-m", "tuning.gpu.probe"]
    text = json.dumps(request)
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise LipkdError(f"the probe of the GPU did not end within {PATIENCE_S:.0f} s") from error
    if done.returncode != 0:
        raise LipkdError((done.stderr.strip() or "no output").splitlines()[-1])
    answered: Answer = json.loads(done.stdout.splitlines()[-1])
    return answered


def answer(request: Request) -> Answer:
    """Measure the requested kinds that are not known of this card.

    A request has `trials`, pairs of a kind's name and an example's configuration, the largest first, and `known`,
    names of kinds by name of card. The answer has `device`, `total_mb`, and, if anything was measured, `context_mb`
    and `peaks` (MiB by name of kind). Raises LipkdError where there is no GPU.
    """
    began = time.monotonic()
    card = cuda.card()
    if card is None:
        raise LipkdError("PyTorch finds no GPU")
    peaks: dict[str, float] = {}
    for name, content in request["trials"]:
        if name in request["known"].get(card.name, ()) or time.monotonic() - began > LONGEST_S:
            continue
        try:
            peaks[name] = measure(parse_config(content, f"trial of kind {name}"))
        except Exception as error:
            if not cuda.out_of_memory(error):
                raise
            peaks[name] = card.total_mb  # it does not fit at all; the trial will say so
    measured = {"context_mb": cuda.context_mb(), "peaks": peaks} if peaks else {}
    return {"device": card.name, "total_mb": card.total_mb, **measured}


def measure(config: TrialConfig) -> float:
    """MiB that a trial takes at its peak: two steps of training and one of reading, on the longest clips."""
    from lipkd.training.train import Trainer
    from lipkd.training.trial_data import build_data
    from lipkd.trial import TrialFolder

    with tempfile.TemporaryDirectory(prefix="lipkd-probe-") as folder:
        cuda.begin()
        hardest = demanding(config)
        data, size = build_data(hardest), config.training.batch_size
        short = replace(data, train=longest(data.train, STEPS * size), val=longest(data.val, size))
        Trainer(hardest, short, TrialFolder(Path(folder))).run(None)
        return cuda.peak_mb()


def demanding(config: TrialConfig) -> TrialConfig:
    """One epoch of a trial with every loss at its full weight from the first step on, nothing trimmed, and weights of
    its own: those to start from take no more."""
    training = {"epochs": 1, "patience": 0, "init_from": None, "init_digest": None}
    changes = {
        "training": config.training.model_copy(update=training),
        "cohort": config.cohort.model_copy(update={"start_share": 0.0, "ramp_share": 0.0}),
        "augment": config.augment.model_copy(update={"trim": 0.0}),
        "schedule": (),
    }
    return config.model_copy(update=changes)


def longest(clips: Sequence[Clip], count: int) -> list[Clip]:
    """So many clips, the longest first; when there are fewer, all of them again."""
    return list(itertools.islice(itertools.cycle(sorted(clips, key=lambda c: (-c.n_frames, c.id))), count))


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
