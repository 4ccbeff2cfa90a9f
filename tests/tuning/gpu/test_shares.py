"""Shares of machines and of GPUs, worked out by hand; no GPU is needed for that."""

from pathlib import Path
from typing import Any

import pytest

from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from tuning.gpu.memory_table import Kind, Known, MemoryTable
from tuning.gpu.shares import Packing, Shares, examples, find_packing, part, share_out
from tuning.plan.sweep_config import ResourcesConfig

CARD = "Pretended 16G"


def config(store: ClipStore, **training: Any) -> TrialConfig:
    data = {"store": str(store.path), "scenario": "unseen", "val_speakers": ["cleo"]}
    return parse_config({"data": data, "training": {"batch_size": 8, **training}})


def packing(peaks: dict[TrialConfig, float], context: float = 500.0) -> Packing:
    """On a card of 16,000 MiB."""
    return Packing(CARD, Known(16_000.0, context, {Kind.of(config): peak for config, peak in peaks.items()}))


@pytest.mark.parametrize(
    ("given", "trials", "cores", "gpus", "expected"),
    [
        ({}, 8, 2, 0, Shares(1, 0, 2)),
        ({}, 8, 16, 0, Shares(2, 0, 8)),
        ({}, 1, 2, 0, Shares(2, 0, 1)),
        ({"cpus": 4}, 8, 16, 0, Shares(4, 0, 4)),
        ({"cpus": 4}, 8, 2, 0, Shares(4, 0, 1)),
        ({"max_concurrent": 3}, 8, 16, 0, Shares(5, 0, 3)),
        ({}, 8, 16, 1, Shares(16, 1, 1)),
        ({}, 8, 16, 4, Shares(4, 1, 4)),
        ({"max_concurrent": 4}, 8, 16, 1, Shares(4, 0.25, 4)),
        ({"max_concurrent": 3}, 8, 16, 1, Shares(5, 0.333, 3)),
        ({"max_concurrent": 8}, 8, 16, 4, Shares(2, 0.5, 8)),
        ({"max_concurrent": 2}, 8, 16, 4, Shares(8, 1, 2)),
        ({"gpus": 0.25}, 20, 16, 2, Shares(2, 0.25, 8)),
        ({"gpus": 2}, 20, 16, 4, Shares(8, 2, 2)),
        ({"gpus": 0.6}, 20, 16, 2, Shares(8, 0.6, 2)),
        ({"gpus": 0}, 8, 16, 4, Shares(2, 0, 8)),
    ],
)
def test_shares(given: dict[str, Any], trials: int, cores: float, gpus: float, expected: Shares) -> None:
    assert share_out(ResourcesConfig(**given), trials, cores, gpus) == expected


def test_more_gpu_than_there_is() -> None:
    with pytest.raises(LipkdError, match=r"resources.gpus = 1: there are 0 GPUs"):
        share_out(ResourcesConfig(gpus=1), 4, 2, 0)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (Shares(1, 0, 4), Shares(1, 0, 2)),
        (Shares(1, 0, 3), Shares(1, 0, 1)),
        (Shares(2, 0.25, 4), Shares(2, 0.5, 2)),
        (Shares(2, 0.6, 2), Shares(2, 1.0, 1)),
        (Shares(2, 1, 4), None),
        (Shares(2, 0, 1), None),
    ],
)
def test_who_runs_out_of_memory_gets_more_room(shares: Shares, expected: Shares | None) -> None:
    assert shares.halved() == expected


@pytest.mark.parametrize(
    ("needed", "expected"),
    [(1.3, 1.0), (1.0, 1.0), (0.6, 1.0), (0.5, 0.5), (0.34, 0.5), (1 / 3, 0.3333), (0.26, 0.3333), (0.07, 0.0714)],
)
def test_a_part_that_fits_a_whole_number_of_times(needed: float, expected: float) -> None:
    assert part(needed) == expected
    assert round(1 / expected) * expected <= 1


def test_small_trials_pack_densely_and_large_ones_do_not(tiny_store: ClipStore) -> None:
    """(1500 + 500) × 1.2 / 16000 = 0.15, a sixth; (7500 + 500) × 1.2 / 16000 = 0.6, a whole card."""
    small, large = config(tiny_store), config(tiny_store, batch_size=16)
    shares = packing({small: 1500.0, large: 7500.0})
    assert shares.share(small) == 0.1666
    assert shares.share(large) == 1.0
    assert shares.share(config(tiny_store, batch_size=4)) == 0.1666  # not known: as the next larger
    assert shares.share(config(tiny_store, batch_size=32)) == 1.0  # nothing is known that is as large
    assert shares.share(config(tiny_store, device="cpu")) == 0.0


def test_a_packed_machine(tiny_store: ClipStore) -> None:
    """A sixth of a card each: six on one, twelve on two; never more than processors, or than max_concurrent."""
    small = config(tiny_store)
    found = packing({small: 1500.0})

    def shares(cores: float, gpus: float, **given: Any) -> tuple[int, float, int]:
        one = share_out(ResourcesConfig(**given), 100, cores, gpus, found, [small])
        assert one.packing is not None and one.gpu(small) == one.gpus
        return one.cpus, one.gpus, one.concurrent

    assert shares(16, 1) == (2, 0.1666, 6)
    assert shares(64, 2) == (5, 0.1666, 12)
    assert shares(4, 1) == (1, 0.25, 4)
    assert shares(16, 1, cpus=8) == (8, 0.5, 2)
    assert shares(16, 2, max_concurrent=4) == (4, 0.5, 4)  # two on each card, not four on one
    assert shares(16, 1, max_concurrent=16) == (2, 0.1666, 6)
    assert shares(2, 8) == (1, 1.0, 8)


def test_few_trials_are_spread_over_all_cards(tiny_store: ClipStore) -> None:
    """Two cards and three or four trials: half a card each, and not all on one."""
    small = config(tiny_store)
    shares = share_out(ResourcesConfig(), 3, 16, 2, packing({small: 1500.0}), [small])
    assert (shares.cpus, shares.gpus, shares.concurrent) == (5, 0.5, 3)
    shares = share_out(ResourcesConfig(), 4, 16, 2, packing({small: 1500.0}), [small])
    assert (shares.cpus, shares.gpus, shares.concurrent) == (4, 0.5, 4)


def test_what_the_file_says_goes_before_the_table(tiny_store: ClipStore) -> None:
    small = config(tiny_store)
    found = packing({small: 1500.0})
    given = share_out(ResourcesConfig(gpus=1), 100, 16, 2, found, [small])
    assert given == Shares(8, 1, 2)
    assert given.gpu(small) == 1


def test_trials_of_different_size_side_by_side(tiny_store: ClipStore) -> None:
    """The smallest share says how many there may be; who is larger takes more of the card all the same."""
    small, large = config(tiny_store), config(tiny_store, batch_size=16)
    found = packing({small: 1500.0, large: 4500.0})  # a sixth, and 6000 / 16000 = 0.375: a half
    shares = share_out(ResourcesConfig(), 100, 16, 1, found, [small, large])
    assert (shares.gpu(small), shares.gpu(large), shares.concurrent) == (0.1666, 0.5, 6)
    assert shares.text() == "at most 6 at a time, 2 CPU and 0.1666 GPU or more each"
    roomier = shares.halved()
    assert roomier is not None and roomier.concurrent == 3
    assert (roomier.gpu(small), roomier.gpu(large)) == (0.3332, 1.0)


def test_the_table_of_a_plan(tiny_store: ClipStore) -> None:
    small, large, unknown = (config(tiny_store, batch_size=size) for size in (8, 16, 32))
    lines = packing({small: 1500.0, large: 4500.0}).text([small, unknown, large, small]).splitlines()
    assert lines[0] == "  on Pretended 16G: 16000 MiB, 500 of them for each trial's context"
    assert [line.split()[:3] for line in lines[2:]] == [
        ["?", "1.0000", "1"],
        ["4500", "0.5000", "2"],
        ["1500", "0.1666", "6"],
    ]
    assert lines[4].endswith("vanilla lipnet w1 b8 24x48 25 frames words")


def test_asking_for_what_is_not_known(tiny_store: ClipStore, tmp_path: Path) -> None:
    """The larger first; the answer goes into the table, and a second time there is nothing left to ask for."""
    small, large, elsewhere = config(tiny_store), config(tiny_store, batch_size=16), config(tiny_store, device="cpu")
    kinds = {kind.text(): kind for kind in examples([small, large])}
    requests: list[Any] = []

    def ask(request: Any) -> Any:
        requests.append(request)
        new = [name for name, _ in request["trials"] if name not in request["known"].get(CARD, ())]
        measured = {"context_mb": 480.0, "peaks": dict.fromkeys(new, 1000.0)} if new else {}
        return {"device": CARD, "total_mb": 16_000.0, **measured}

    table = MemoryTable(tmp_path / "memory.json")
    found = find_packing([small, large, small, elsewhere], table, ask)
    assert [name for name, _ in requests[0]["trials"]] == [Kind.of(large).text(), Kind.of(small).text()]
    assert requests[0]["known"] == {}
    assert parse_config(requests[0]["trials"][0][1]) == large
    assert found.known == Known(16_000.0, 480.0, dict.fromkeys(kinds.values(), 1000.0)) == table.cards[CARD]

    table.cards[CARD].add_peak(Kind.of(small), 3000.0)
    assert found.known.peak(Kind.of(small)) == 1000.0  # a sweep that runs keeps to its shares
    again = find_packing([small, large], table, ask)
    assert sorted(requests[1]["known"][CARD]) == sorted(kinds)
    assert (again.known.peak(Kind.of(small)), again.known.context_mb) == (3000.0, 480.0)


def test_a_card_that_others_use_seems_to_have_a_large_context(tmp_path: Path, tiny_store: ClipStore) -> None:
    table = MemoryTable(tmp_path / "memory.json", {CARD: Known(16_000.0, 480.0)})
    found = find_packing(
        [config(tiny_store)], table, lambda _: {"device": CARD, "total_mb": 16_000.0, "context_mb": 9000.0, "peaks": {}}
    )
    assert found.known.context_mb == 480.0
