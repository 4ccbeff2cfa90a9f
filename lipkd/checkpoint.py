"""Checkpoints: named tensors and JSON in one safetensors file, written beside and renamed.

One file rather than a pair, because a rename makes exactly one file appear whole. Nothing is pickled. The header has
SHA-256 digests of the JSON and of the tensors, so that a flipped bit is found before it is trained on or read with.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lipkd.errors import LipkdError
from lipkd.files import write_atomic

AVERAGE = "average/"  # before the names of averaged weights; the trained ones are under `model/`
WAYS_OUT = {
    "last": "remove it: the trial then trains again from its first epoch",
    "best": "remove it: until the trial gets better again, only its last weights can be read with (--which last)",
}


def save(path: Path, tensors: Mapping[str, Tensor], info: dict[str, Any]) -> None:
    """Write tensors and `info` (JSON) to `path`, atomically. A tensor under two names is written twice."""
    whole: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        one = tensor.detach().cpu().contiguous()
        whole[name] = one.clone() if one.data_ptr() in places else one
        places.add(one.data_ptr())
    text = json.dumps(info, allow_nan=False)
    header = {"lipkd": text, "info_sha256": _sha256(text), "tensors_sha256": tensors_digest(whole)}
    write_atomic(path, lambda temporary: save_file(whole, temporary, header))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and `info` of a checkpoint; raises LipkdError when it is missing or damaged, that is when
    its digests are not those of its content or a weight is not finite."""
    with _opened(path) as (file, info):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        check_tensors(tensors, file.metadata()["tensors_sha256"])
        return tensors, info


def load_info(path: Path) -> dict[str, Any]:
    """`info` of a checkpoint, without reading its tensors; raises LipkdError as `load` does."""
    with _opened(path) as (_, info):
        return info


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of names, types, shapes and bytes of tensors (on the CPU), whatever their order."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def check_tensors(tensors: Mapping[str, Tensor], digest: str) -> None:
    """Raise ValueError with the reason when tensors (on the CPU) are not those of `digest`, or are not all finite."""
    if tensors_digest(tensors) != digest:
        raise ValueError("its weights are not those that were written: their checksum differs")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} is not finite")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if not {"lipkd", "info_sha256", "tensors_sha256"} <= header.keys():
                raise ValueError("its header has no checksums")
            if _sha256(header["lipkd"]) != header["info_sha256"]:
                raise ValueError("its header is not what was written: its checksum differs")
            yield file, json.loads(header["lipkd"])
    except LipkdError:
        raise
    except FileNotFoundError as error:
        raise LipkdError(f"checkpoint {path}: not there; the trial has not finished an epoch yet") from error
    except (SafetensorError, ValueError, OSError) as error:
        rest = f"; {WAYS_OUT[path.stem]}" if path.stem in WAYS_OUT else ""
        reason = " ".join(str(error).split())
        raise LipkdError(f"checkpoint {path}: damaged, or not a checkpoint of lipkd ({reason}){rest}") from error


def read_with(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the cohort that reads: the averaged weights where there are some, else the trained ones."""
    return tensors_under(tensors, AVERAGE) or tensors_under(tensors, "model/")


def tensors_under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, that part removed."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
