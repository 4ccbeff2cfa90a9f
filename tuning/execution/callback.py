"""The lines that a sweep prints while it runs, and the state of trials that Tune ends."""

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec

from ray.tune import Callback

from lipkd.trial import ENDED, Cause, TrialFolder
from tuning import stop_request
from tuning.execution.trainable import STALLED
from tuning.sweep_folder import SweepRecord

STATUS_S = 30.0
Arguments = ParamSpec("Arguments")


def never_raises(method: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """An exception in a callback would end the whole sweep; its traceback is printed instead."""

    @wraps(method)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            traceback.print_exc(file=sys.stderr)

    return guarded


class Progress(Callback):
    """Records how trials end that Tune ends, prints a line per change and a summary now and then.

    `ensure_running` (of the syncer) is called in every turn of Tune's loop: it must return at once. `until` names the
    trials of populations that end at an epoch to wait there.
    """

    def __init__(
        self,
        record: SweepRecord,
        metric: str,
        ensure_running: Callable[[], None],
        until: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.until = until
        self.record = record
        self.metric = metric
        self.ensure_running = ensure_running
        self.began = self.printed_at = time.monotonic()
        self.last: dict[str, tuple[int, float]] = {}
        self.running: set[str] = set()
        self.stalled: dict[str, str] = {}  # trials that can't get on, and why: no other could either

    @property
    def halted(self) -> bool:
        """Whether no trial is to begin any more."""
        return bool(self.stalled) or stop_request.requested(self.record.folder)

    @never_raises
    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.running.add(_name(trial))
        self._print(f"start    {_name(trial)}")

    @never_raises
    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        if STALLED in result:
            self.stalled[_name(trial)] = str(result[STALLED])
        else:
            self.last[_name(trial)] = (int(result["step"]), float(result[self.metric]))

    @never_raises
    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._print(f"retry    {_name(trial)}: its process died; it goes on from its checkpoint")

    @never_raises
    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        folder = self._folder(trial)
        if folder.name in self.stalled:
            self._paused(folder.name, self.stalled[folder.name])
            return
        if folder.state()["state"] == "running":  # the training loop did not get to its end
            if self.halted:
                # If a scheduler stopped it all the same, that will stop it again when it gets the same epochs.
                self._paused(folder.name, self._at(folder.name))
                return
            step, _ = self.last.get(folder.name, (0, 0.0))
            if step >= self.until.get(folder.name, math.inf):
                self.running.discard(folder.name)
                self._print(f"waits    {folder.name}: {self._at(folder.name)}")
                return
            if step >= folder.config().training.epochs:
                folder.set_state("finished")
            else:
                folder.set_state("stopped", f"by the scheduler at {self._at(folder.name)}", Cause.SCHEDULER)
        self._ended(folder)

    @never_raises
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        folder = self._folder(trial)
        if folder.state()["state"] not in ENDED:
            reason = f"its process died {trial.num_failures} times; see memory and the system's log"
            folder.set_state("failed", reason, Cause.PROCESS_DIED)
        self._ended(folder)

    @never_raises
    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.ensure_running()
        if time.monotonic() - self.printed_at >= STATUS_S:
            going = [f"{name} {self._at(name)}" for name in sorted(self.running & self.last.keys())]
            over = sum(self.record.state(t) in ENDED for t in self.record.trials)
            self._print(f"{over} of {len(self.record.trials)} over; " + (" · ".join(going) or "first epoch"))

    def _at(self, name: str) -> str:
        if name not in self.last:
            return "before its first epoch"
        step, value = self.last[name]
        return f"epoch {step}, {self.metric} {value:.3f}"

    def _folder(self, trial: Any) -> TrialFolder:
        return TrialFolder(self.record.folder / _name(trial))

    def _paused(self, name: str, why: str) -> None:
        self.running.discard(name)
        self._print(f"paused   {name}: {why}")

    def _ended(self, folder: TrialFolder) -> None:
        self.running.discard(folder.name)
        state = folder.state()
        text = state["reason"] if state["state"] == "failed" else self._at(folder.name)
        self._print(f"{state['state']:8} {folder.name}: {text}")

    def _print(self, text: str) -> None:
        self.printed_at = time.monotonic()
        minutes, seconds = divmod(int(self.printed_at - self.began), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {text}", flush=True)


def _name(trial: Any) -> str:
    return str(trial.config["name"])
