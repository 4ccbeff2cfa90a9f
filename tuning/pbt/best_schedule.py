"""`lipkd sweep FILE --best-schedule`: what the best trial of a sweep was trained under, as a trial of its own.

In a population that is more than its configuration: its weights began in one trial, went on in others, and the values
changed with every step. Followed back, that is one schedule, which `lipkd train` trains from the beginning, with
the population's seed: the same batches, the same dropout, the same numbers up to the best epoch.
"""

from pathlib import Path

import yaml

from lipkd.config.schedule import with_changes
from lipkd.config.trial_config import Change, TrialConfig, validate
from lipkd.errors import LipkdError
from lipkd.trial import TrialFolder
from tuning.pbt.lineage import read_lineage
from tuning.plan.sweep_config import SweepConfig, load_sweep
from tuning.sweep_folder import trial_folders


def best_schedule(folder: Path) -> str:
    """The YAML file of a trial, with a comment that says whose it is; raises LipkdError when no trial has a result."""
    sweep = load_sweep(folder / "sweep.yaml")
    trial, epoch, value = best_trial(folder, sweep)
    config = config_behind(trial, epoch)
    content = validate(TrialConfig, config.to_json(), "schedule").model_dump(mode="json", exclude_defaults=True)
    began = f"{trial.name}, epoch {epoch}, {sweep.metric} {value:.4g}"
    return f"# the best of sweep {folder.name}: {began}\n" + yaml.safe_dump(content, sort_keys=False)


def best_trial(folder: Path, sweep: SweepConfig) -> tuple[TrialFolder, int, float]:
    """The trial, epoch and value that are best in the sweep's metric; the first of equals. Damaged trials, which
    `--status` names, do not count."""
    sign = 1 if sweep.mode == "min" else -1
    found = [
        (sign * report.metrics[sweep.metric], report.step, trial.name)
        for trial in (trial_folders(folder) if folder.is_dir() else ())
        if not trial.damage()
        for report in trial.reports()
        if sweep.metric in report.metrics
    ]
    if not found:
        raise LipkdError(f"sweep {folder.name!r}: no trial of it has a {sweep.metric} yet ({folder})")
    value, epoch, name = min(found)
    return TrialFolder(folder / name), epoch, sign * value


def config_behind(trial: TrialFolder, epoch: int) -> TrialConfig:
    """The configuration, with its schedule, under which the weights that a trial had in an epoch were trained."""
    changes: list[Change] = []
    while earlier := [exploit for exploit in read_lineage(trial) if exploit.epoch < epoch]:
        exploit = earlier[-1]
        changes.append(exploit.change())
        trial, epoch = TrialFolder(trial.path.parent / exploit.parent), exploit.epoch
    return with_changes(trial.config(), changes)
