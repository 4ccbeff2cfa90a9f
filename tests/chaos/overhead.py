"""A small real sweep beside the same trials run bare: what `lipkd bench sweep` says of this machine."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from lipkd.errors import LipkdError
from preprocessing.prepare import prepare_corpus
from preprocessing.synthetic.make_corpus import make_corpus
from tuning.bench import measure_sweep

SPEAKERS, CLIPS = 3, 20  # drawn mouths, of which the last speaker's are read and not trained on
EPOCHS = 12


def overhead(root: Path) -> Iterator[tuple[str, list[str]]]:
    """d: eight trials bare, as a sweep one after the other, and two at a time. Timings are told and not judged, for
    what they come to depends on what else the machine does; a command that fails is wrong."""
    folder = root / "overhead"
    make_corpus(folder / "drawn", speakers=SPEAKERS, clips=CLIPS)
    prepare_corpus(folder / "drawn", folder / "store", workers=1)
    file = folder / "eight.yaml"
    file.write_text(yaml.safe_dump(sweep_content(folder / "store")), encoding="utf-8")
    try:
        for line in measure_sweep(file, (1, 2)):
            yield f"d {line}", []
    except LipkdError as error:
        yield "d a real sweep", [str(error)]


def sweep_content(store: Path) -> dict[str, object]:
    return {
        "name": "eight",
        "trial": {
            "data": {"store": str(store), "scenario": "unseen", "val_speakers": [f"s{SPEAKERS}"], "crop": [25, 50]},
            "network": {"name": "lipnet-128", "width": 0.5},
            "training": {"epochs": EPOCHS, "batch_size": 4},
        },
        "space": {"cohort": [{"peers": 1}, {"method": "attention", "peers": 2}]},
        "seeds": [0, 1, 2, 3],
    }
