"""What a sweep costs beside its training: the same trials bare, one `lipkd train` after the other, and as sweeps.

Everything runs in processes of its own in a temporary folder, in the same run on the same machine: bare, then as a
sweep with one trial at a time, then with more. On GPUs as many trials as are asked for share them, whether they fit
or not: that is what is to be found out.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lipkd.config.yaml_file import load_yaml
from lipkd.errors import LipkdError
from lipkd.files import write_json
from tuning.gpu.shares import part
from tuning.plan.planner import Planner
from tuning.plan.sweep_config import load_sweep
from tuning.sweep_folder import trial_folders

Run = Callable[[Sequence[str]], None]


def measure_sweep(
    file: Path, at_once: Sequence[int] = (1, 2), *, gpus: int | None = None, run: Run | None = None
) -> Iterator[str]:
    """Yield a line per way of running the trials of a sweep file: seconds, the ratio to bare trials, and what a trial
    took of memory.

    `at_once` are numbers of trials at a time; `gpus` is how many there are, by default those of this machine. Stores
    and search are the file's; a sweep whose scheduler stops trials early is refused, because it would train less.
    Raises LipkdError for that, and when a command fails.
    """
    sweep = load_sweep(file)
    if sweep.scheduler is not None and sweep.scheduler.name != "none":
        raise LipkdError(f"{file}: scheduler {sweep.scheduler.name} stops trials early; bench sweep needs none")
    if sweep.sampler != "grid":
        raise LipkdError(f"{file}: sampler {sweep.sampler}; bench sweep needs a grid, whose trials are known before")
    planner = Planner(sweep, Path.cwd(), threads=sweep.resources.cpus or 1, where=str(file))
    trials = list(planner.trials())
    run = run or call
    if gpus is None:
        import torch

        gpus = torch.cuda.device_count()
    content = load_yaml(file) | {"scheduler": "none"}
    with tempfile.TemporaryDirectory(prefix="lipkd-bench-") as made:
        folder = Path(made)
        began = time.perf_counter()
        for number, trial in enumerate(trials):
            config = folder / f"{number}.json"
            write_json(config, trial.config.to_json())
            run(("train", str(config), "--out", str(folder / "bare" / trial.name)))
        bare = time.perf_counter() - began
        yield f"{len(trials)} trials bare, one after the other: {bare:.1f} s"
        for count in at_once:
            shares = {"gpus": part(min(1.0, gpus / count))} if gpus else {}
            content["resources"] = {"cpus": sweep.resources.cpus or 1, "max_concurrent": count, **shares}
            one = folder / f"at-once-{count}.json"  # JSON is YAML
            one.write_text(json.dumps(content), encoding="utf-8")
            began = time.perf_counter()
            mlruns = folder / f"mlruns-{count}"
            run(("sweep", str(one), "--mlruns", str(mlruns)))
            seconds = time.perf_counter() - began
            memory = memory_text(mlruns / "sweeps" / sweep.name)
            yield f"as a sweep, {count} at a time: {seconds:.1f} s, {seconds / bare:.3f} of bare{memory}"


def memory_text(folder: Path) -> str:
    """The most that a trial of a sweep took, and how many first had too little; nothing when there are no trials."""
    trials = list(trial_folders(folder)) if folder.is_dir() else []
    peaks = [r.metrics["memory/peak_mb"] for t in trials for r in t.reports() if "memory/peak_mb" in r.metrics]
    failures = [path.read_text(encoding="utf-8") for t in trials if (path := t.path / "failure.txt").is_file()]
    oom_trials = sum("OutOfMemoryError" in failure for failure in failures)  # their state says how they ended later
    text = f"; at most {max(peaks):.0f} MiB a trial" if peaks else ""
    if oom_trials:
        text += f"; {oom_trials} ran out of memory at first and had to go on with fewer beside them"
    return text


def call(arguments: Sequence[str]) -> None:
    """Run a lipkd command; raises LipkdError with its last line when it fails."""
    command = [sys.executable, "-m", "lipkd", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise LipkdError(f"lipkd {arguments[0]} ended with {done.returncode}: {message}")
