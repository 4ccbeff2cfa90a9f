"""The measuring itself, with clocks and work that are counted, not timed."""

import time
from collections.abc import Iterator

import pytest

from lipkd.bench import measure
from lipkd.bench.measure import CONTROL, Load, Ratio, bench_reading, bench_step, in_turns, report
from lipkd.cli import main
from lipkd.errors import LipkdError
from lipkd.model.methods import METHODS
from lipkd.training.train import Trainer

TINY = Load(crop=(16, 24), frames=30, batch_size=2, network="lipnet-128", width=0.125, device="cpu", threads=1)


def test_turns_rotate_and_the_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    now = [0.0]

    def work(name: str, seconds: float) -> None:
        done.append(name)
        now[0] += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: now[0] / 2)
    clocks = in_turns(
        {"a": [lambda: work("a", 1.0), lambda: work("A", 2.0)], "b": [lambda: work("b", 4.0)], "c": []}, turns=3
    )
    assert clocks == {"a": [(3.0, 1.5)] * 3, "b": [(4.0, 2.0)] * 3, "c": [(0.0, 0.0)] * 3}
    assert "".join(done) == "aAb" + "baA" + "aAb" + "aAb"


def test_ratios_are_taken_turn_by_turn() -> None:
    """A machine that is ten times slower in one turn changes nothing."""
    assert Ratio.of([1.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == Ratio(2.0, 1.5, 2.5)
    assert str(Ratio(1.0, 0.98764, 1.1)) == "1.000 (0.988–1.100)"


def test_every_method_is_measured_with_the_loop_that_trains() -> None:
    costs = list(bench_step(TINY, list(METHODS), turns=3))
    assert [cost.method for cost in costs] == [CONTROL, *METHODS]
    assert costs[0].wall == costs[0].processor == Ratio(1.0, 1.0, 1.0)
    assert all(0 < cost.wall.low <= cost.wall.median <= cost.wall.high and cost.seconds > 0 for cost in costs)


def test_a_step_trains_on_the_same_batches_again_with_distillation() -> None:
    """All turns of a method see one set of batches, and λ is 1 from the first step on."""
    seen: list[list[int]] = []
    weights: list[float] = []
    fit_losses = Trainer._train_epoch

    def watched(trainer: Trainer) -> dict[str, float]:
        metrics = fit_losses(trainer)
        replay = trainer.data.reader
        assert isinstance(replay, measure._Replay)
        seen.append([id(batch) for batch in replay.batches])
        weights.append(metrics.get("train/distill_weight", 0.0))
        return metrics

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", watched)
        list(bench_step(TINY, ["dml"], turns=3))
    assert len(seen) == 4 * 3 and len(seen[0]) == measure.STEPS
    assert sorted(weights) == [0.0] * 8 + [1.0] * 4
    assert len({tuple(ids) for ids in seen}) == 3  # one set for each of the three trainers


def test_reading_is_measured_for_each_width() -> None:
    narrow, wide = bench_reading(TINY, [0.125, 0.5], turns=1)
    assert (narrow.width, wide.width) == (0.125, 0.5)
    assert narrow.cost.parameters < wide.cost.parameters and narrow.cost.multiply_adds < wide.cost.multiply_adds
    assert min(*narrow.alone, *narrow.batched, *wide.alone, *wide.batched) > 0


def test_the_tables_have_a_line_for_each() -> None:
    def lines(what: measure.What) -> Iterator[str]:
        return report(what, TINY, methods=["dml"], widths=[0.125, 0.25], turns=3)

    assert [line.split()[:1] for line in lines("step")] == [["ms"], ["2"], ["dml"]]
    assert [line.split()[0] for line in lines("gru")] == ["width", "0.125", "0.25"]
    assert [line.split()[0] for line in lines("predict")] == ["milliseconds", "width", "0.125", "0.25"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--methods", "magic"], "--methods magic: must be of independent, "),
        (["--turns", "2"], "--turns 2: must be at least 3"),
        (["--widths", "0.001"], "network.width = 0.001"),
        (["--network", "resnet"], "--network resnet: must be of lipnet, "),
        (["--crop", "8x8"], "too small for lipnet"),
    ],
)
def test_a_load_that_no_trial_takes_is_refused(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "step", *options, "--threads", "1"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("lipkd: ") and sentence in message and message.count("\n") == 1


def test_too_few_turns_have_no_spread() -> None:
    with pytest.raises(LipkdError, match="turns = 2"):
        list(bench_step(TINY, ["dml"], turns=2))
