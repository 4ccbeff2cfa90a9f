"""Where and in which precision a trial runs."""

import os
import resource
import time
import warnings
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

import torch

from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from lipkd.config.sections import TrainingConfig


def choose_device(name: str) -> torch.device:
    """`auto` takes the GPU when there is one; raises LipkdError when a device is named that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise LipkdError(f"training.device = {name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def device_name(device: torch.device) -> str:
    """`cpu`, or a GPU with its model: `cuda:0 (NVIDIA H100 80GB HBM3)`."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """bf16 where the processor multiplies it natively (measured 1.6–2.5 times float32 on the convolutions)."""
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
    enabled = precision == "bf16" or (precision == "auto" and native)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def _cpu_has_bf16() -> bool:
    """Whether oneDNN multiplies bf16 here. Torch's name for the question is private: without it, no."""
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return torch.backends.mkldnn.is_available() and ask is not None and bool(ask())


def prepare_device(training: "TrainingConfig") -> torch.device:
    """Apply the thread count, choose the device, and ask for the same numbers each time on a GPU."""
    limit_threads(training.threads)
    device = choose_device(training.device)
    if device.type == "cuda":
        ask_for_determinism()
    return device


def ask_for_determinism() -> None:
    """Let CUDA use algorithms that give the same bits each time, wherever PyTorch has one.

    It has none for the backward passes of CTC and of 3D max pooling, which add up with atomic operations. The windows
    of lipkd's pooling do not overlap, so nothing is added up there; gradients of CTC are what may differ in their last
    bits, and the weights after them. On a processor nothing differs.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    torch.backends.cudnn.benchmark = False  # it chooses algorithms by their time, which is never the same
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling memory that nobody has written is for finding bugs, and costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")


def limit_threads(threads: int) -> None:
    """Use that many processor threads; 0 leaves the number as it is."""
    if threads:
        torch.set_num_threads(threads)


def peak_megabytes(device: torch.device) -> float:
    """Peak memory so far in MiB: what PyTorch has reserved of the GPU, cached blocks included (a limit on a trial's
    share counts in the same), or what this process has had."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # Linux counts in KiB


class Usage:
    """What this process makes of its processors and its GPU, from one `metrics` to the next."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.began, self.spent = time.monotonic(), time.process_time()

    def metrics(self) -> dict[str, float]:
        """`system/cpu_percent` (100 is one processor) and `memory/peak_mb` since the process began; on a GPU also
        `system/gpu_percent` (how much of the last moment it computed, for whomever; where NVIDIA's library tells) and
        `system/gpu_memory_mb` (taken on it by all processes)."""
        now, spent = time.monotonic(), time.process_time()
        share = (spent - self.spent) / max(now - self.began, 1e-9)
        self.began, self.spent = now, spent
        found = {"system/cpu_percent": 100 * share, "memory/peak_mb": peak_megabytes(self.device)}
        if self.device.type == "cuda":
            free, whole = torch.cuda.mem_get_info(self.device)
            found["system/gpu_memory_mb"] = (whole - free) / 2**20
            with suppress(Exception):  # no library, a GPU in parts: an instrument must not end a training
                found["system/gpu_percent"] = float(torch.cuda.utilization(self.device))
        return found
