"""From a trained cohort to the one network that is used: choose a peer, write it as a model folder."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipkd import __version__
from lipkd.ctc.metrics import ErrorCounts, count_errors
from lipkd.data.store import ClipStore
from lipkd.deployment.lipreader import LipReader
from lipkd.deployment.model_card import FORMAT
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import load_cohort
from lipkd.model.cost import network_cost
from lipkd.trial import TrialFolder


def find_trial(named: str, sweeps: Path) -> TrialFolder:
    """The trial in the folder `named`, or of that name in one of the sweeps under `sweeps`.

    Raises LipkdError when there is none, or more than one.
    """
    if (Path(named) / "config.json").is_file():
        return TrialFolder(Path(named))
    is_name = os.sep not in named and named not in ("", ".", "..")
    found = [path for path in sorted(sweeps.glob("*/")) if (path / named / "config.json").is_file()] if is_name else []
    if len(found) > 1:
        where = ", ".join(path.name for path in found)
        raise LipkdError(f"trial {named}: is in the sweeps {where}; give the folder of the one that you mean")
    if not found:
        raise LipkdError(f"trial {named}: neither the folder of a trial nor the name of one in {sweeps}")
    return TrialFolder(found[0] / named)


def choose_peer(folder: TrialFolder, asked: int | None) -> tuple[int, ErrorCounts, str]:
    """The peer to deploy, what it got wrong on the validation clips, and in words why this one.

    `asked`, else the peer with the lowest WER, then CER, on the validation clips at the best epoch (protocol
    letters). Raises LipkdError when the trial has no predictions or no such peer.
    """
    rows = folder.read_predictions("best")
    if not rows:
        raise LipkdError(f"trial {folder.name}: has no predictions yet, so there is no best peer to deploy")
    references = [row["reference"] for row in rows]
    characters = folder.config().data.alphabet
    peers = [
        count_errors(references, list(hypotheses), characters=characters)
        for hypotheses in zip(*(row["hypotheses"] for row in rows), strict=True)
    ]
    if asked is None:
        best = min(range(len(peers)), key=lambda i: (peers[i].wer, peers[i].cer, i))
        why = "lowest WER, then CER, on the validation clips" if len(peers) > 1 else "the only peer"
        return best, peers[best], why
    if not 0 <= asked < len(peers):
        raise LipkdError(f"--peer {asked}: trial {folder.name} has the peers 0 to {len(peers) - 1}")
    return asked, peers[asked], "asked for"


def extract(folder: TrialFolder, asked: int | None = None, store_path: Path | None = None) -> LipReader:
    """One peer of a trial's best checkpoint as a model that needs nothing else of the trial.

    `store_path` is where the trial's clip store lies now, by default where it was: the size of the mouth crops
    stands there. Raises LipkdError when the trial is not that far, or when that is not its store.
    """
    cohort, config, info = load_cohort(folder, "best")
    peer, counts, why = choose_peer(folder, asked)
    network = cohort.network(peer)
    split = folder.split()
    store = ClipStore.open(store_path or folder.store())
    if store.meta["digest"] != split["store_digest"]:
        raise LipkdError(f"clip store {store.path}: not the one that trial {folder.name} was trained on")
    shape = network.shape
    fps = store.clips[0].fps
    cost = network_cost(shape, fps)
    card: dict[str, Any] = {
        "format": FORMAT,
        "lipkd": __version__,
        "alphabet": config.data.alphabet,
        "network": asdict(shape),
        "pictures": {
            "height": store.meta["height"],
            "width": store.meta["width"],
            "channels": store.meta["channels"],
            "colour": "RGB" if store.meta["channels"] == 3 else "grey",
            "fps": fps,
        },
        "preprocessing": {
            "zoom": config.data.zoom,
            "height": shape.height,
            "width": shape.width,
            "standardised": "each channel by the clip's own mean and deviation",
        },
        "precision": config.training.precision,
        "cost": {"parameters": cost.parameters, "multiply_adds_per_s": cost.multiply_adds},
        "metrics": {
            "clips": counts.sentences,
            "measured_on": "the trial's validation clips, on which epoch and peer were chosen",
            "protocol": "letters",
            "wer": counts.wer,
            "cer": counts.cer,
            "bleu": counts.bleu,
            "sentence_accuracy": counts.sentence_accuracy,
        },
        "origin": {
            "trial": folder.name,
            "sweep": folder.path.absolute().parent.name,
            "signature": config.signature(),
            "method": config.cohort.method,
            "peers": config.cohort.peers,
            "peer": peer,
            "chosen": why,
            "epoch": info["epoch"],
            "store_digest": split["store_digest"],
        },
    }
    return LipReader(network.eval(), card, "cpu")
