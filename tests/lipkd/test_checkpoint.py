import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lipkd import checkpoint
from lipkd.errors import LipkdError

TENSORS = {
    "model/a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor(7),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "none": torch.zeros(0),
}


def written(path: Path) -> Path:
    checkpoint.save(path, TENSORS, {"epoch": 3, "best": {"best/wer": 0.5}})
    return path


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors, info = checkpoint.load(written(tmp_path / "last.safetensors"))
    assert tensors.keys() == TENSORS.keys() and all(torch.equal(tensors[n], TENSORS[n]) for n in tensors)
    assert info == checkpoint.load_info(tmp_path / "last.safetensors") == {"epoch": 3, "best": {"best/wer": 0.5}}


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """In a header's numbers, in its checksums, in the weights: each would be read with, unseen."""
    path = written(tmp_path / "last.safetensors")
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            tensors, info = checkpoint.load(path)
        except LipkdError as error:
            assert "damaged" in str(error) and "remove it: the trial then trains again" in str(error)
        else:  # white space or the order of names in the header: nothing that counts
            assert info == {"epoch": 3, "best": {"best/wer": 0.5}}
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("length", [0, 7, 8, 40, -1])
def test_a_cut_file_is_damaged(tmp_path: Path, length: int) -> None:
    path = written(tmp_path / "best.safetensors")
    path.write_bytes(path.read_bytes()[:length])
    for read in (checkpoint.load, checkpoint.load_info):
        with pytest.raises(LipkdError, match=r"best\.safetensors: damaged.*; remove it: .*--which last"):
            read(path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last.safetensors", {**TENSORS, "c": torch.tensor([1.0, float("nan")])}, {})
    with pytest.raises(LipkdError, match="c is not finite"):
        checkpoint.load(tmp_path / "last.safetensors")


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", {"lipkd": json.dumps({"epoch": 1})})
    with pytest.raises(LipkdError, match=r"not a checkpoint of lipkd \(its header has no checksums\)"):
        checkpoint.load_info(tmp_path / "x.safetensors")
    with pytest.raises(LipkdError, match="not there"):
        checkpoint.load(tmp_path / "y.safetensors")
