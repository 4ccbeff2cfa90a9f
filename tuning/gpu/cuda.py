"""All that a sweep asks of CUDA: which card there is, what this process takes of it, and how much it may take.

Each function is about the first GPU that this process sees; Ray shows a trial no other.
"""

import gc
from dataclasses import dataclass

MEGABYTE = 2**20


@dataclass(frozen=True)
class Card:
    """A model of GPU, and its memory in MiB."""

    name: str
    total_mb: float


def card() -> Card | None:
    """The card; None where there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(0)
    return Card(properties.name, properties.total_memory / MEGABYTE)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, of a GPU or of the machine."""
    return isinstance(error, MemoryError) or type(error).__name__.endswith("OutOfMemoryError")


def begin() -> None:
    """Release cached blocks; the peak counts from here."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def peak_mb() -> float:
    """The most that PyTorch has held of the card since `begin`, MiB; cached blocks included."""
    import torch

    from lipkd.runtime.device import peak_megabytes  # what journals say too: one quantity in the table

    torch.cuda.synchronize()
    return peak_megabytes(torch.device("cuda"))


def context_mb() -> float:
    """What the card lost to this process beside PyTorch's memory, MiB: CUDA's context with its kernels. What other
    processes hold counts too, so it is too much on a card that is not free."""
    import torch

    free, total = torch.cuda.mem_get_info()
    return (total - free - torch.cuda.memory_reserved()) / MEGABYTE


def limit(share: float) -> None:
    """Let PyTorch hold no more than that part of the card: what is beyond raises torch.OutOfMemoryError here, and not
    in the trial beside."""
    import torch

    torch.cuda.set_per_process_memory_fraction(share)
