"""What a trial says of the machine it runs on."""

import math
import os

import pytest
import torch

from lipkd.config.sections import TrainingConfig
from lipkd.runtime.device import Usage, autocast, prepare_device


def test_a_torch_without_its_private_question_for_bf16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    with autocast(torch.device("cpu"), "auto"):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(torch.device("cpu"), "bf16"):
        assert torch.is_autocast_enabled("cpu")


def test_processors_and_memory_are_always_known() -> None:
    usage = Usage(torch.device("cpu"))
    found = usage.metrics()
    assert found.keys() == {"system/cpu_percent", "memory/peak_mb"}
    assert all(math.isfinite(value) and value >= 0 for value in found.values())
    assert found["memory/peak_mb"] > 1


def test_processor_time_counts_from_one_report_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, spent = iter([100.0, 110.0, 112.0]), iter([5.0, 20.0, 21.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr("time.process_time", lambda: next(spent))
    usage = Usage(torch.device("cpu"))
    assert usage.metrics()["system/cpu_percent"] == 150  # one and a half processors
    assert usage.metrics()["system/cpu_percent"] == 50


def test_a_gpu_without_a_library_that_measures_it_costs_one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 * 2**30, 4 * 2**30))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 2**30)
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 40)
    usage = Usage(torch.device("cuda"))
    found = usage.metrics()
    assert (found["system/gpu_memory_mb"], found["system/gpu_percent"], found["memory/peak_mb"]) == (3072, 40, 1024)

    def missing(device: torch.device) -> int:
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    assert "system/gpu_percent" not in usage.metrics()


def test_a_gpu_is_asked_for_the_same_bits_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be had is asked for, and what cannot does not end the training: PyTorch only warns."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr("lipkd.runtime.device.choose_device", lambda name: torch.device("cuda"))
    try:
        prepare_device(TrainingConfig())
        assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"  # what the user has set stays
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.deterministic = before[1]
