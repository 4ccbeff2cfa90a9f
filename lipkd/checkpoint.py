"""Checkpoints: named tensors and JSON in one safetensors file, written beside and renamed.

One file rather than a pair, because a rename makes exactly one file appear whole. Nothing is pickled.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lipkd.errors import LipkdError
from lipkd.files import write_atomic

AVERAGE = "average/"  # before the names of averaged weights; the trained ones are under `model/`


def save(path: Path, tensors: dict[str, Tensor], info: dict[str, Any]) -> None:
    """Write tensors and `info` (JSON) to `path`, atomically. A tensor under two names is written twice."""
    whole: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        one = tensor.detach().cpu().contiguous()
        whole[name] = one.clone() if one.data_ptr() in places else one
        places.add(one.data_ptr())
    header = {"lipkd": json.dumps(info, allow_nan=False)}
    write_atomic(path, lambda temporary: save_file(whole, temporary, header))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and `info` of a checkpoint; raises LipkdError when it is missing or damaged."""
    with _opened(path) as (file, info):
        return {name: file.get_tensor(name) for name in file.keys()}, info  # noqa: SIM118 (no dict)


def load_info(path: Path) -> dict[str, Any]:
    """`info` of a checkpoint, without reading its tensors; raises LipkdError as `load` does."""
    with _opened(path) as (_, info):
        return info


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        with safe_open(path, "pt") as file:
            yield file, json.loads((file.metadata() or {})["lipkd"])
    except FileNotFoundError as error:
        raise LipkdError(f"checkpoint {path}: not there; the trial has not finished an epoch yet") from error
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise LipkdError(f"checkpoint {path}: not a checkpoint of lipkd ({error})") from error


def read_with(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the cohort that reads: the averaged weights where there are some, else the trained ones."""
    return tensors_under(tensors, AVERAGE) or tensors_under(tensors, "model/")


def tensors_under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, that part removed."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
