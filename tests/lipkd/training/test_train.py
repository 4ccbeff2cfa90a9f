"""The training loop: what it writes, how it resumes, what it refuses."""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import accumulate
from pathlib import Path

import pytest
import torch

from lipkd import checkpoint
from lipkd.config.trial_config import parse_config
from lipkd.ctc.options import DecodingOptions
from lipkd.data.store import ClipStore
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import evaluate, rates, trial_options
from lipkd.model.cost import peer_costs
from lipkd.text import letters
from lipkd.training.train import deployed_cost, distill_weight, fading_weight, fit
from lipkd.trial import TrialFolder
from tests.lipkd.training.small import config_of
from tests.measured import numbers


def weights(folder: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return checkpoint.load(folder / "checkpoints" / f"{which}.safetensors")[0]


def same_weights(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _interrupted(step: int, _: dict[str, float]) -> None:
    """What Ctrl+C after the first epoch raises."""
    raise KeyboardInterrupt


def test_what_a_trial_leaves_behind(tiny_store: ClipStore, tmp_path: Path) -> None:
    reported = []
    config = config_of(tiny_store, cohort={"method": "attention", "peers": 2, "ramp_share": 0.0})
    last = fit(config, tmp_path, on_report=lambda step, metrics: reported.append((step, metrics)))
    folder = TrialFolder(tmp_path)
    assert folder.config() == config
    assert folder.split()["store_digest"] == tiny_store.meta["digest"]
    assert {i.split("/")[0] for i in folder.split()["val"]} == {"cleo"}
    assert folder.state()["state"] == "finished"
    assert [(r.step, r.metrics) for r in folder.reports()] == reported
    assert [step for step, _ in reported] == [1, 2, 3]
    assert reported[-1][1] == last
    expected = {"val/wer", "val/wer_best_peer", "val/wer_ensemble", "val/wer/peer_0", "val/wer/peer_1", "val/bleu"}
    expected |= {"train/ctc/peer_1", "train/distill/peer_0", "train/ctc_ensemble", "train/weight/peer_0", "best/wer"}
    expected |= {"time/epoch_s", "time/clips_per_s", "memory/peak_mb", "system/cpu_percent"}
    expected |= {"train/distill_weight", "val/cer_as_written"}
    assert expected <= last.keys()
    assert all(math.isfinite(value) for value in last.values())
    assert last["val/wer"] == pytest.approx((last["val/wer/peer_0"] + last["val/wer/peer_1"]) / 2)
    best = next(metrics for step, metrics in reported if step == last["best/epoch"])
    assert last["best/wer_ensemble"] == best["val/wer_ensemble"]
    assert last["best/wer_best_peer"] == best["val/wer_best_peer"]
    (of_one,) = set(peer_costs(config, (24, 48, 3), 25.0))
    assert {metrics["cost/parameters"] for _, metrics in reported} == {of_one.parameters}
    assert last["cost/multiply_adds_per_s"] == of_one.multiply_adds
    rows = folder.read_predictions("best")
    assert sorted(row["id"] for row in rows) == sorted(folder.split()["val"])
    assert all(len(row["hypotheses"]) == 2 and "ensemble" in row for row in rows)
    # The best checkpoint reads the clips exactly as the epoch that wrote it did.
    reading = evaluate(tmp_path, which="best", device="cpu")
    assert reading.rows == rows
    assert rates(reading)["val/wer"] == last["best/wer"]
    assert reading.posteriors[rows[0]["id"]].shape == (2, 18, 28)
    assert reading.posteriors[rows[0]["id"]].float().sum(-1) == pytest.approx(1, abs=0.01)


def test_peers_of_different_widths_have_no_one_cost(tiny_store: ClipStore) -> None:
    mixed = config_of(tiny_store, cohort={"method": "dml", "peers": 2, "widths": [0.25, 0.125]})
    assert deployed_cost(mixed, (24, 48, 3), 25.0) == {}


def test_a_closed_list_is_scored_beside_greedy(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, evaluation={"sentences": "train"}, training={"epochs": 1})
    last = fit(config, tmp_path)
    known = {letters(clip.text) for clip in tiny_store.clips}
    rows = TrialFolder(tmp_path).read_predictions("best")
    assert all(len(row["closed_list"]) == 1 and row["closed_list"][0] in known for row in rows)
    assert 0 <= last["val/wer_closed_list"] <= 2 and "val/cer_closed_list" in last
    chosen = evaluate(tmp_path, device="cpu", options=trial_options(tmp_path, sentences=("bin red",))).rows
    assert {row["closed_list"][0] for row in chosen} == {"bin red"}
    with pytest.raises(LipkdError, match=r"--sentences.*'7'"):
        trial_options(tmp_path, sentences=("take 7",))
    with pytest.raises(LipkdError, match="not in the alphabet"):
        evaluate(tmp_path, device="cpu", options=DecodingOptions.of(sentences=("take 7",)))


def test_the_perceptron_of_attention_is_trained(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, cohort={"method": "attention", "peers": 2}, training={"epochs": 2})
    after: list[torch.Tensor] = []

    def keep(_: int, __: dict[str, float]) -> None:
        after.append(weights(tmp_path)["model/method.perceptron.0.weight"])

    fit(config, tmp_path, on_report=keep)
    assert not torch.equal(after[0], after[1])


def test_the_branches_of_one_train_on_one_trunk_and_resume(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, cohort={"method": "one", "peers": 2, "ramp_share": 0.5})
    last = fit(config, tmp_path / "whole")
    assert {"train/weight/peer_0", "train/distill/peer_1", "val/wer_ensemble"} <= last.keys()
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "parts", on_report=_interrupted)
    fit(config, tmp_path / "parts")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    assert same_weights(tmp_path / "parts", tmp_path / "whole")
    best = weights(tmp_path / "whole", "best")
    assert sum(name.startswith("model/trunk.") for name in best) == 12
    assert not any("convolutions" in name for name in best if name.startswith("model/peers."))
    assert not torch.equal(best["model/peers.0.output.weight"], best["model/peers.1.output.weight"])
    # The gated ensemble reads as it did in the epoch that wrote it.
    assert best["model/method.gate.weight"].abs().max() > 0
    assert evaluate(tmp_path / "whole", device="cpu").rows == TrialFolder(tmp_path / "whole").read_predictions("best")


def test_views_of_their_own_change_what_the_second_peer_sees(tiny_store: ClipStore, tmp_path: Path) -> None:
    """Peer 0 of independent peers trains as ever, peer 1 does not; `consistency` shows both something else."""
    cohorts: tuple[dict[str, str], ...] = ({}, {"views": "per-peer"}, {"method": "consistency"})
    for name, cohort in zip("abc", cohorts, strict=True):
        fit(config_of(tiny_store, cohort={"peers": 2, **cohort}, training={"epochs": 1}), tmp_path / name)
    a, b, c = ([numbers(tmp_path / name)[0][f"train/ctc/peer_{i}"] for i in (0, 1)] for name in "abc")
    assert a[0] == b[0] and a[1] != b[1]
    assert a[0] != c[0] and a[1] != c[1]


def test_peer_0_of_two_independent_peers_trains_like_vanilla(tiny_store: ClipStore, tmp_path: Path) -> None:
    """Same batches, same initialisation, same dropout: to the bit, over whole epochs."""
    for peers in (1, 2):
        fit(config_of(tiny_store, cohort={"peers": peers}), tmp_path / str(peers))
    vanilla, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    names = [name for name in vanilla if name.startswith("model/peers.0.")]
    assert names and all(torch.equal(vanilla[name], two[name]) for name in names)
    for step in range(3):
        metrics = [numbers(tmp_path / str(p))[step] for p in (1, 2)]
        assert metrics[0]["train/ctc/peer_0"] == metrics[1]["train/ctc/peer_0"]
        assert metrics[0]["val/wer/peer_0"] == metrics[1]["val/wer/peer_0"]


def test_a_trial_that_stops_between_epochs_resumes_to_the_same_numbers(tiny_store: ClipStore, tmp_path: Path) -> None:
    cohort = {"method": "attention", "peers": 2, "ramp_share": 0.5}
    config = config_of(tiny_store, cohort=cohort, training={"epochs": 5, "checkpoint_every": 2})
    fit(config, tmp_path / "whole")
    for stop in (1, 3, 4):

        class Stopped(Exception):
            pass

        def interrupt(step: int, _: dict[str, float], stop: int = stop, error: type[Exception] = Stopped) -> None:
            if step == stop:
                raise error

        with pytest.raises(Stopped):
            fit(config, tmp_path / "parts", on_report=interrupt)
    fit(config, tmp_path / "parts")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    assert same_weights(tmp_path / "parts", tmp_path / "whole")
    # What was trained twice counts once, with the time that stands in the journal.
    reports = TrialFolder(tmp_path / "parts").reports()
    took = list(accumulate(report.metrics["time/epoch_s"] for report in reports))
    assert [report.metrics["time/total_s"] for report in reports] == pytest.approx(took)


def test_averaged_weights_are_read_kept_and_resumed(tiny_store: ClipStore, tmp_path: Path) -> None:
    training = {"epochs": 3, "ema": 0.9}
    config = config_of(tiny_store, cohort={"method": "one", "peers": 2}, training=training)
    fit(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "parts", on_report=_interrupted)
    fit(config, tmp_path / "parts")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    assert same_weights(tmp_path / "parts", tmp_path / "whole")
    # The weights that are trained know nothing of their averages, and what is read is the averages.
    fit(config_of(tiny_store, cohort={"method": "one", "peers": 2}), tmp_path / "plain")
    last, plain = weights(tmp_path / "whole"), weights(tmp_path / "plain")
    assert all(torch.equal(plain[name], last[name]) for name in plain)
    assert not any(name.startswith("average/") for name in plain)
    for which in ("last", "best"):
        rows = TrialFolder(tmp_path / "whole").read_predictions(which)
        assert evaluate(tmp_path / "whole", which=which, device="cpu").rows == rows
    ctc = [numbers(tmp_path / name)[-1] for name in ("whole", "plain")]
    assert ctc[0]["train/ctc/peer_0"] == ctc[1]["train/ctc/peer_0"] and ctc[0]["val/ctc"] != ctc[1]["val/ctc"]


def test_the_best_checkpoint_holds_the_averages(tiny_store: ClipStore, tmp_path: Path) -> None:
    fit(config_of(tiny_store, training={"epochs": 1, "ema": 0.5}), tmp_path)
    best, last = weights(tmp_path, "best"), weights(tmp_path)
    assert all(torch.equal(best[name], last[name.replace("model/", "average/")]) for name in best)
    assert not torch.equal(best["model/peers.0.output.weight"], last["model/peers.0.output.weight"])


def test_sigkill_at_three_random_moments_changes_nothing(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, cohort={"method": "attention", "peers": 2}, training={"epochs": 6, "ema": 0.9})
    fit(config, tmp_path / "whole")
    (tmp_path / "trial.json").write_text(json.dumps(config.to_json()))
    code = (
        "import sys; from pathlib import Path\n"
        "from lipkd.config.trial_config import load_config; from lipkd.training.train import fit\n"
        "fit(load_config(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "trial.json"), str(tmp_path / "killed")]
    journal = tmp_path / "killed" / "journal.jsonl"
    draw = random.Random(0)
    for target in (1, 3, 4):  # killed soon after, or just before, these epochs are on disk
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") >= target):
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert TrialFolder(tmp_path / "killed").state()["state"] == "running"
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    assert same_weights(tmp_path / "killed", tmp_path / "whole")
    assert not list((tmp_path / "killed" / "checkpoints").glob("*.tmp"))


def test_early_stopping_ends_and_stays_ended(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = config_of(tiny_store, training={"epochs": 30, "patience": 2, "learning_rate": 1e-9})
    fit(config, tmp_path)
    steps = [r.step for r in TrialFolder(tmp_path).reports()]
    best = TrialFolder(tmp_path).reports()[-1].metrics["best/epoch"]
    assert steps[-1] == best + 2 < 30
    fit(config, tmp_path)
    assert [r.step for r in TrialFolder(tmp_path).reports()] == steps


def test_a_loss_that_is_not_finite_fails_the_trial_with_its_reason(
    tiny_store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(logits: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return logits.mean((1, 2)) * math.nan

    monkeypatch.setattr("lipkd.model.cohort.ctc_per_clip", broken)
    with pytest.raises(FloatingPointError, match="not finite in epoch 1"):
        fit(config_of(tiny_store), tmp_path)
    state = TrialFolder(tmp_path).state()
    assert state["state"] == "failed" and "not finite" in state["reason"]
    assert TrialFolder(tmp_path).reports() == []


def test_refusals_come_before_anything_is_written(tiny_store: ClipStore, tmp_path: Path) -> None:
    good = config_of(tiny_store)
    cases = [
        (good.model_copy(update={"network": good.network.model_copy(update={"width": 0.01})}), "no channel left"),
        (good.model_copy(update={"data": good.data.model_copy(update={"store": "nowhere"})}), "no meta.json"),
        (good.model_copy(update={"data": good.data.model_copy(update={"val_speakers": ("zoe",)})}), "no zoe"),
        (good.model_copy(update={"training": good.training.model_copy(update={"device": "cuda:7"})}), "cuda:7"),
    ]
    for config, sentence in cases:
        with pytest.raises(LipkdError, match=sentence):
            fit(config, tmp_path / "runs" / "trial")
        assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_continued_with_another_configuration(tiny_store: ClipStore, tmp_path: Path) -> None:
    fit(config_of(tiny_store, training={"epochs": 1}), tmp_path)
    with pytest.raises(LipkdError, match=r"training.epochs"):
        fit(config_of(tiny_store, training={"epochs": 2}), tmp_path)
    fit(config_of(tiny_store, training={"epochs": 1, "checkpoint_every": 5}), tmp_path)


def test_schedules() -> None:
    config = parse_config(
        {
            "data": {"store": "x"},
            "training": {"epochs": 10, "learning_rate": 1.0, "warmup_share": 0.1, "word_share": 0.5},
            "cohort": {"method": "attention", "peers": 2, "ramp_share": 0.4, "weight": 2.0},
        }
    )
    assert [distill_weight(config, epoch) for epoch in (0, 2, 4, 9)] == [0, 1, 2, 2]
    late = config.model_copy(update={"cohort": config.cohort.model_copy(update={"start_share": 0.5})})
    assert [distill_weight(late, epoch) for epoch in (0, 4, 5, 6, 7, 9)] == pytest.approx([0, 0, 0, 0.5, 1, 2])
    at_once = config.model_copy(update={"cohort": late.cohort.model_copy(update={"ramp_share": 0.0})})
    assert [distill_weight(at_once, epoch) for epoch in (0, 4, 5, 9)] == [0, 0, 2, 2]
    assert [fading_weight(config.training, epoch) for epoch in (0, 2, 5, 9)] == pytest.approx([1, 0.6, 0, 0])


def test_a_store_is_known_by_its_clips_and_not_by_its_place(tiny_store: ClipStore, tmp_path: Path) -> None:
    """A trial goes on where its store was moved to, to the same numbers, and not on other clips in the old place."""
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(tiny_store.path, here)
    config = config_of(ClipStore.open(here))
    assert config.data.digest == tiny_store.meta["digest"]
    assert config.signature() == config_of(tiny_store).signature()
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "trial", on_report=_interrupted)
    here.rename(there)
    assert parse_config(config.to_json()).signature() == config.signature()
    moved = config_of(ClipStore.open(there))
    fit(moved, tmp_path / "trial")
    fit(config_of(tiny_store), tmp_path / "whole")
    assert numbers(tmp_path / "trial") == numbers(tmp_path / "whole")
    assert same_weights(tmp_path / "trial", tmp_path / "whole")
    (there / "meta.json").write_text(json.dumps({**tiny_store.meta, "digest": "0" * 64}), encoding="utf-8")
    with pytest.raises(LipkdError, match=f"clip store {there}: holds other clips than when this was planned"):
        fit(moved, tmp_path / "another")
    assert config_of(ClipStore.open(there)).signature() != moved.signature()
