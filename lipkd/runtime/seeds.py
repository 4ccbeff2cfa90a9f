"""Random generators that follow from a trial's seed and a purpose, so nothing depends on what ran before."""

import hashlib

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose of a trial, such as (seed, "dropout", epoch, peer)."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """A generator on `device` for one purpose of a trial."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))
