"""Train one trial: a cohort on one split of one clip store, epoch by epoch, resumable.

    for every epoch
        for every batch: losses of all peers → gradients → clip per peer → optimiser at the scheduled rate
                         → the averages of the weights follow, where they are wanted
        read the validation clips → metrics
        predictions and checkpoints → journal line → report

Every random choice of an epoch follows from (seed, epoch), so a checkpoint holds no generator's state and
a trial that was killed continues to the same numbers: to the bit on a processor (with the same number of threads), and
on a GPU but for the last bits of CTC's gradients (see `lipkd.runtime.device.ask_for_determinism`).
"""

import contextlib
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lipkd import checkpoint
from lipkd.config.schedule import config_at, scheduled_keys, value_of, with_changes
from lipkd.config.sections import TrainingConfig
from lipkd.config.trial_config import MACHINE, Change, TrialConfig, differing_fields, parse_config
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import Reading, keep_test_predictions, rates, read_clips
from lipkd.files import remove_temporaries, write_atomic, write_json, write_jsonl
from lipkd.lock import only_one
from lipkd.model.cohort import Cohort
from lipkd.model.cost import peer_costs
from lipkd.runtime.device import Usage, autocast, device_name, prepare_device
from lipkd.runtime.provenance import start_entry
from lipkd.runtime.seeds import generator
from lipkd.training.ema import averaged_copy, follow
from lipkd.training.init_from import find_source, start_from
from lipkd.training.optimizer import CohortOptimizer, learning_rate
from lipkd.training.resolve import resolve
from lipkd.training.trial_data import TrialData, build_data
from lipkd.trial import Journal, TrialFolder

OnReport = Callable[[int, dict[str, float]], None]
HOUR_S = 3600
ORPHAN_S = 20  # a sweep's worker outlives a killed driver for a moment; the trial's next process waits for it


def fit(
    config: TrialConfig,
    path: Path,
    *,
    on_report: OnReport | None = None,
    on_note: Callable[[str], None] | None = None,
    until: int | None = None,
    changes: Sequence[Change] = (),
    watched: Collection[str] = (),
    command: str | None = None,
) -> dict[str, float]:
    """Train the trial in folder `path`, or go on with it from its last checkpoint; with `until` only to that epoch,
    where it leaves a checkpoint and its state `running`.

    `on_report(step, metrics)` is called after each new epoch, when journal and files are on disk; what it raises ends
    the training and goes through to the caller. `on_note` is given sentences for the user: how many clips there are,
    the device, what weights a trial starts from. `command` is what `provenance.json` names as the cause, by default
    this process's command line. `changes` are added to the schedule of `config`, which the trial began with. The values
    of the keys that its schedule changes, and of those that are `watched`, are metrics of every epoch.

    Returns the last metrics. Raises LipkdError for a configuration that doesn't fit its store, and leaves no folder
    then; FloatingPointError when the loss or a weight is no longer finite.
    """
    folder = TrialFolder(path)
    config = resolve(config)
    note = on_note or (lambda _: None)
    if _is_finished(folder, config):
        note("this trial has finished: nothing is left to train")
        write_json(folder.path / "config.json", config.to_json())  # its store may lie elsewhere now
        return _last_metrics(folder)
    data = build_data(config)  # raises before there is a folder
    with _no_empty_folder(path), only_one(folder.lock, f"trial {path}", wait=ORPHAN_S):
        remove_temporaries(folder.path / "checkpoints")
        remove_temporaries(folder.path / "predictions")
        remove_temporaries(folder.path, older_s=HOUR_S)  # a syncer and a driver write small files there
        trainer = Trainer(config, data, folder, changes, watched)  # raises before anything but the lock is written
        for text in trainer.notes():
            note(text)
        with _recorded_state(folder):
            threads = torch.get_num_threads()
            start = start_entry(trainer.epoch, device_name(trainer.device), threads, command)
            store = os.path.relpath(Path(config.data.store).absolute(), folder.path.absolute())
            folder.add_start({**start, "store": store})
            metrics = trainer.run(on_report, until)
            if trainer.over:
                keep_test_predictions(folder, config.training.device)
                folder.set_state("finished")
            return metrics


def _is_finished(folder: TrialFolder, config: TrialConfig) -> bool:
    """Whether nothing is left to do: the trial has finished, as this configuration, and its own files are whole."""
    if folder.state()["state"] != "finished":
        return False
    try:
        return bool(folder.split()) and not _changes(folder.config(), config)
    except LipkdError:
        return False  # training writes them anew


def _last_metrics(folder: TrialFolder) -> dict[str, float]:
    reports = folder.reports()
    if not reports:
        way_out = "remove its state.json and checkpoints/last.safetensors, and the trial trains again"
        raise LipkdError(f"{folder.journal}: is empty or missing, though the trial has finished; {way_out}")
    return reports[-1].metrics


def _changes(begun: TrialConfig, config: TrialConfig) -> set[str]:
    """The fields, but for those of the machine, in which a trial would be another one than the one that was begun."""
    return set(differing_fields(begun.to_json(), config.to_json())) - set(MACHINE)


@contextlib.contextmanager
def _no_empty_folder(path: Path) -> Iterator[None]:
    """Leave no new folder behind that holds nothing but a lock, when a trial is refused."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    except LipkdError:
        if new and [file.name for file in path.iterdir()] == [TrialFolder(path).lock.name]:
            TrialFolder(path).lock.unlink()
            for folder in new:
                folder.rmdir()
        raise


@contextlib.contextmanager
def _recorded_state(folder: TrialFolder) -> Iterator[None]:
    folder.set_state("running")
    try:
        yield
    except Exception as error:
        folder.set_state("failed", f"{type(error).__name__}: {error}")
        raise


class Trainer:
    """Everything that one trial needs in memory: data, cohort, optimiser, and how far it has come.

    `config` is what the trial began with, `scheduled` the same with the `changes` of its schedule since.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrialData,
        folder: TrialFolder,
        changes: Sequence[Change] = (),
        watched: Collection[str] = (),
    ) -> None:
        self.config = config
        self.scheduled = with_changes(config, changes)
        self.watched = sorted({*watched, *scheduled_keys(self.scheduled)})
        self.folder = folder
        self.device = prepare_device(config.training)
        self.usage = Usage(self.device)
        self.data = data
        self.cohort = Cohort(config, picture=data.picture, n_words=len(data.vocabulary)).to(self.device)
        self.cost = deployed_cost(config, data.picture, data.fps)
        begins = not folder.checkpoint("last").is_file()
        if begins and folder.reports():  # its checkpoint was removed: it trains again, and only as itself
            self._refuse_another(folder.config(), config)
        self.initial = self._initialise() if begins and config.training.init_from else None
        self.averaged = averaged_copy(self.cohort) if config.training.ema else self.cohort  # what reads, and is kept
        self.optimizer = CohortOptimizer(self.cohort, config.training)
        self.epoch = 0
        self.until: int | None = None
        self.best: dict[str, float] = {"best/wer": math.inf, "best/cer": math.inf, "best/epoch": 0}
        if not begins:
            self._restore()
        if self.initial:
            write_json(folder.path / "init_report.json", self.initial)
        write_json(folder.path / "config.json", config.to_json())
        write_json(folder.path / "split.json", data.split)
        self.journal = Journal(folder.journal)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to train."""
        return self.epoch >= self.config.training.epochs or self._out_of_patience()

    def notes(self) -> Iterator[str]:
        """What is worth saying before training begins or goes on."""
        clips = ", ".join(f"{len(self.data.split[part])} {part}" for part in ("train", "val", "test"))
        begins = f"goes on after epoch {self.epoch}" if self.epoch else "begins"
        yield f"{begins} on {device_name(self.device)}; clips: {clips}"
        if self.initial:
            yield self.initial["summary"]
        if gone := [step for step in range(1, self.epoch + 1) if step not in self.journal.steps]:
            epochs = ", ".join(map(str, gone[:5])) + (" …" if len(gone) > 5 else "")
            yield f"{self.folder.journal} has no line for epoch {epochs}: the trial's curves lack it"

    def run(self, on_report: OnReport | None, until: int | None = None) -> dict[str, float]:
        """Train from where the trial stands to its last epoch, to epoch `until`, or until patience runs out."""
        self.until = until
        past = {report.step: report.metrics for report in self.folder.reports()}
        metrics = past.get(self.epoch, dict(self.best))
        total = max((m["time/total_s"] for step, m in past.items() if step <= self.epoch), default=0.0)
        while not self.over and (until is None or self.epoch < until):
            metrics = self._epoch()
            known = self.epoch in self.journal.steps
            # An epoch that is trained again after a kill counts once, with the time that the journal has for it.
            total = past[self.epoch]["time/total_s"] if known else total + metrics["time/epoch_s"]
            metrics["time/total_s"] = total
            # The journal before the checkpoint: an epoch that is checkpointed is never missing from the journal.
            self.journal.append(self.epoch, metrics)
            self._checkpoint_last()
            if on_report and not known:
                on_report(self.epoch, metrics)
        return metrics

    def _out_of_patience(self) -> bool:
        patience = self.config.training.patience
        return patience > 0 and self.epoch - self.best["best/epoch"] >= patience

    def _epoch(self) -> dict[str, float]:
        """Train one epoch, read the validation clips, write predictions and checkpoints; its metrics."""
        began = time.monotonic()
        trained = self._train_epoch()
        train_seconds = time.monotonic() - began
        reading = read_clips(
            self.averaged,
            self.data.reader,
            self.data.val,
            self.data.options,
            self.device,
        )
        self.epoch += 1
        metrics = trained | rates(reading)
        better = (metrics["val/wer"], metrics["val/cer"]) < (self.best["best/wer"], self.best["best/cer"])
        if better:
            self.best = {
                "best/wer": metrics["val/wer"],
                "best/cer": metrics["val/cer"],
                "best/epoch": float(self.epoch),
                "best/wer_ensemble": metrics["val/wer_ensemble"],
                "best/wer_best_peer": metrics["val/wer_best_peer"],
            }
        metrics |= self.best | self.cost
        self._keep_predictions(reading, better=better)
        metrics["time/clips_per_s"] = len(self.data.train) / train_seconds
        metrics["time/epoch_s"] = time.monotonic() - began
        return metrics | self.usage.metrics()

    def _train_epoch(self) -> dict[str, float]:
        config = config_at(self.scheduled, self.epoch)
        training = config.training
        self.cohort.apply_schedule(config)
        weight = distill_weight(config, self.epoch)
        word_weight = fading_weight(training, self.epoch)
        draws = [
            generator(self.device, config.seed, "dropout", self.epoch, index) for index in range(len(self.cohort.peers))
        ]
        sums: dict[str, list[Tensor]] = defaultdict(list)
        steps = math.ceil(len(self.data.train) / training.batch_size)
        batches = self.data.reader.training(
            self.data.train,
            seed=config.seed,
            epoch=self.epoch,
            batch_size=training.batch_size,
            augment=config.shown,
            views=config.views,
        )
        for index, batch in enumerate(batches):
            step = self.epoch * steps + index
            rate = learning_rate(training, step, training.epochs * steps)
            with autocast(self.device, training.precision):
                losses = self.cohort.losses(
                    batch.to(self.device), weight=weight, word_weight=word_weight, generators=draws
                )
            losses.total.backward()
            for parameters in self.cohort.parameter_groups():
                torch.nn.utils.clip_grad_norm_(parameters, training.clip_norm)
            self.optimizer.step(rate, training.weight_decay)
            if training.ema:
                follow(self.averaged, self.cohort, training.ema, step)
            for name, value in losses.terms.items():
                sums[name].append(value * len(batch.clips))
        means = {name: float(torch.stack(values).sum()) / len(self.data.train) for name, values in sums.items()}
        weights = self.cohort.state_dict().items()
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        bad += [name for name, tensor in weights if tensor.is_floating_point() and not tensor.isfinite().all()]
        if bad:
            raise FloatingPointError(f"{bad[0]} is not finite in epoch {self.epoch + 1}; try a lower learning rate")
        if "train/distill/peer_0" in means:
            means["train/distill_weight"] = weight
        if "train/words/peer_0" in means:
            means["train/word_weight"] = word_weight
        means |= {f"schedule/{key}": float(value_of(config, key)) for key in self.watched}
        return means | {"train/learning_rate": rate}

    def _keep_predictions(self, reading: Reading, *, better: bool) -> None:
        """What was said in this epoch, and for the best so far also the posteriors and the peers."""
        write_jsonl(self.folder.predictions("last"), reading.rows)
        if better:
            write_jsonl(self.folder.predictions("best"), reading.rows)
            header = {"alphabet": self.data.reader.alphabet.characters}
            write_atomic(self.folder.posteriors, lambda temporary: save_file(reading.posteriors, temporary, header))
            deployed = {f"model/{name}": value for name, value in self.averaged.inference_state().items()}
            checkpoint.save(self.folder.checkpoint("best"), deployed, self._info())

    def _checkpoint_last(self) -> None:
        training = self.config.training
        if self.over or self.epoch == self.until or self.epoch % training.checkpoint_every == 0:
            model = {f"model/{name}": value for name, value in self.cohort.state_dict().items()}
            if training.ema:
                model |= {f"{checkpoint.AVERAGE}{name}": value for name, value in self.averaged.state_dict().items()}
            state = model | self.optimizer.tensors()
            checkpoint.save(self.folder.checkpoint("last"), state, self._info())

    def _info(self) -> dict[str, Any]:
        """What a checkpoint says of itself: enough to build the peers again without the store."""
        return {
            "epoch": self.epoch,
            "best": self.best,
            "picture": list(self.data.picture),
            "config": self.scheduled.to_json(),
        }

    def _initialise(self) -> dict[str, Any]:
        """Give the cohort the weights to start from; the report of what was taken over."""
        training = self.config.training
        source = find_source(str(training.init_from))
        if source.digest != training.init_digest:
            raise LipkdError(f"training.init_from = {training.init_from}: has other weights than when this was planned")
        return start_from(source, self.cohort, self.config, self.data.picture)

    def _refuse_another(self, begun: TrialConfig, config: TrialConfig) -> None:
        if changed := _changes(begun, config):
            raise LipkdError(f"trial {self.folder.path}: was started with another {', '.join(sorted(changed))}")

    def _restore(self) -> None:
        path = self.folder.checkpoint("last")
        tensors, info = checkpoint.load(path)
        self._refuse_another(parse_config(info["config"], str(path)), self.scheduled)
        self.cohort.load_state_dict(checkpoint.tensors_under(tensors, "model/"))
        if self.config.training.ema:
            self.averaged.load_state_dict(checkpoint.tensors_under(tensors, checkpoint.AVERAGE))
        self.optimizer.restore(tensors)
        self.epoch = info["epoch"]
        self.best = info["best"]


def deployed_cost(config: TrialConfig, picture: tuple[int, int, int], fps: float) -> dict[str, float]:
    """What one peer costs, were it deployed, as metrics; none where the peers differ. `picture` is (height, width,
    channels) of the clip store and `fps` its frames per second."""
    costs = set(peer_costs(config, picture, fps))
    if len(costs) > 1:
        return {}
    (cost,) = costs
    return {"cost/parameters": float(cost.parameters), "cost/multiply_adds_per_s": float(cost.multiply_adds)}


def distill_weight(config: TrialConfig, epoch: int) -> float:
    """λ in an epoch (from 0): 0 for the first `start_share` of the epochs, then rising linearly within `ramp_share`.

    Peers that cannot read yet have nothing to teach: on the Italian corpus λ was full at epoch 21 of 70, and
    the narrow cohort fell behind vanilla from there on (docs/results.md). The late start is for them.
    """
    cohort, epochs = config.cohort, config.training.epochs
    begun, ramp = epoch - cohort.start_share * epochs, cohort.ramp_share * epochs
    if begun < 0:
        return 0.0
    return cohort.weight * (min(begun / ramp, 1.0) if ramp else 1.0)


def fading_weight(training: TrainingConfig, epoch: int) -> float:
    """Weight of the word-level warm start in an epoch (from 0): linearly down to 0 at `word_share` of the epochs."""
    end = training.word_share * training.epochs
    return training.word_weight * max(0.0, 1 - epoch / end) if end else 0.0
