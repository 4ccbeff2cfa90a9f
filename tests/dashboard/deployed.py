"""A deployed model that reads `a` from every clip, all the time: enough to see on a page, and nothing is trained."""

from dataclasses import asdict
from pathlib import Path

import torch

from lipkd.deployment.lipreader import LipReader
from lipkd.deployment.model_card import FORMAT
from lipkd.model.lipnet import LipNet, network_shape
from lipkd.text import LETTERS, Alphabet

PICTURE = (24, 48, 3)


def deploy(folder: Path, trial: str = "a trial", wer: float = 0.25) -> Path:
    """Write the model to `folder`."""
    alphabet = Alphabet(LETTERS)
    shape = network_shape("lipnet", 0.125, picture=PICTURE, symbols=alphabet.size)
    torch.manual_seed(0)
    network = LipNet(shape).eval()
    with torch.no_grad():
        network.output.bias[alphabet.encode("a")[0]] = 50.0
    height, width, channels = PICTURE
    card = {
        "format": FORMAT,
        "alphabet": LETTERS,
        "network": asdict(shape),
        "pictures": {"height": height, "width": width, "channels": channels, "colour": "RGB", "fps": 25.0},
        "preprocessing": {"zoom": 1.0, "height": height, "width": width},
        "precision": "float32",
        "cost": {"parameters": 123_000, "multiply_adds_per_s": 1},
        "metrics": {"clips": 6, "wer": wer, "cer": 0.1},
        "origin": {"trial": trial, "peer": 1, "peers": 2, "epoch": 3},
    }
    LipReader(network, card, "cpu").save(folder)
    return folder
