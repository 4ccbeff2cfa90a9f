from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from tuning.plan.space import Choice, Range
from tuning.plan.sweep_config import load_sweep

GOOD = """
name: two-by-two
trial:
  data: {store: stores/a}
space:
  cohort: [{method: independent, peers: 1}, {method: attention, peers: 2}]
  network.width: [0.25, 0.5]
"""


def pbt(mutate: str) -> str:
    return GOOD + f"scheduler: {{name: pbt, mutate: {{{mutate}}}}}\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults(tmp_path: Path) -> None:
    sweep = load_sweep(write(tmp_path, GOOD))
    assert sweep.experiment == "lipkd"
    assert sweep.space["network.width"] == Choice((0.25, 0.5))
    assert (sweep.sampler, sweep.metric, sweep.mode, sweep.seeds) == ("grid", "val/wer", "min", ())
    assert sweep.resources.gpus is None and sweep.resources.cpus is None


@pytest.mark.parametrize(
    ("more", "scheduler"),
    [
        ("", "none"),
        ("sampler: random", "asha"),
        ("sampler: optuna", "asha"),
        ("scheduler: asha", "asha"),
        ("sampler: random\nscheduler: none", "none"),
        ("scheduler: {name: asha, grace_epochs: 3}", "asha"),
    ],
)
def test_a_full_grid_is_not_cut_short_unless_asked(tmp_path: Path, more: str, scheduler: str) -> None:
    assert load_sweep(write(tmp_path, GOOD + more)).stopping.name == scheduler


def test_ranges_and_resources(tmp_path: Path) -> None:
    text = GOOD + "  training.learning_rate: {loguniform: [1e-4, 1e-3]}\nsampler: optuna\n"
    sweep = load_sweep(write(tmp_path, text + "resources: {cpus: 2, gpus: auto, max_concurrent: 3}\nmax_hours: 1.5"))
    assert sweep.space["training.learning_rate"] == Range(1e-4, 1e-3, log=True)
    assert (sweep.resources.cpus, sweep.resources.gpus, sweep.resources.max_concurrent) == (2, None, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "not a sweep file"),
        ("name: a\nspace: {}", "trial is missing"),
        (GOOD + "sedes: [1]", "sedes is not a known field"),
        (GOOD.replace("two-by-two", "a/b"), "name: 'a/b' must begin with a letter or digit"),
        (GOOD.replace("two-by-two", ".."), "name: '..' must begin"),
        (GOOD.replace("two-by-two", "single"), "'single' is taken"),
        (GOOD + "  seed: [1, 2]", "list the seeds under `seeds`"),
        (GOOD + "  cohort.peers: [1, 2]", "cohort.peers is part of cohort; give one of them"),
        (GOOD + "  data.crop: 5", r"space: data.crop = 5: give a list"),
        (GOOD + "  training.weight_decay: {uniform: [0, 0.1]}", "a grid needs lists, and space.training.weight_decay"),
        (GOOD + "sampler: bayes", "sampler = 'bayes': input should be 'grid', 'random' or 'optuna'"),
        (
            GOOD + "scheduler: hyperband",
            "scheduler.name = 'hyperband': input should be 'asha', 'median', 'pbt' or 'none'",
        ),
        (GOOD + "scheduler: pbt", "pbt needs `mutate`"),
        (GOOD + "scheduler: {name: asha, mutate: {cohort.weight: [1, 2]}}", "no other scheduler has it"),
        (
            pbt("network.width: [0.5, 1]"),
            "network.width cannot change in mid-training; what can: training",
        ),
        (pbt("network.dropout: [0.5, 1]"), "network.dropout = 1: input should be less than 1"),
        (pbt("training.clip_norm: {uniform: [0, 1]}"), "training.clip_norm = 0.0: input should be greater"),
        (pbt("augment.time_masks: {uniform: [0, 4]}"), "augment.time_masks takes whole numbers: give a list or"),
        (pbt("cohort.weight: 3"), "cohort.weight = 3: give a list of values, or one of choice, uniform"),
        (pbt("cohort.weight: [1]") + "sampler: optuna", "set sampler to grid or random"),
        (GOOD + "scheduler: {name: pbt, mutate: [cohort.weight]}", "scheduler.mutate: give a mapping from dotted keys"),
        (GOOD + "scheduler: {name: pbt, quantile: 0.6, mutate: {cohort.weight: [1]}}", "scheduler.quantile = 0.6"),
        (GOOD + "scheduler: {name: asha, grace_epochs: 0}", "scheduler.grace_epochs = 0"),
        (GOOD + "seeds: [1, 1]", r"seeds: \[1, 1\] lists a seed twice"),
        (GOOD + "resources: {gpus: 1.5}", "resources.gpus: 1.5 is neither a share of one GPU"),
        (GOOD + "resources: {max_concurrent: 0}", "resources.max_concurrent = 0"),
        (GOOD + "cost: time/epoch_s", "cost: time/epoch_s: only the sampler optuna weighs a cost"),
        (GOOD + "max_hours: 0", "max_hours = 0"),
        (GOOD + "samples: 0", "samples = 0"),
        (GOOD.replace("space:", "space: 3\nx:"), "space: give a mapping from dotted keys"),
        ("name: [", "not valid YAML"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LipkdError, match=message) as caught:
        load_sweep(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "sweep.yaml"))
    assert "\n" not in str(caught.value)


SWEEPS = sorted((Path(__file__).parents[3] / "tuning" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=[path.stem for path in SWEEPS])
def test_the_sweeps_that_come_with_lipkd_are_valid_and_have_their_controls(path: Path) -> None:
    from tuning.plan.planner import Planner

    sweep = load_sweep(path)
    assert sweep.name == path.stem
    kinds = {(t.config.cohort.method, t.config.cohort.peers) for t in Planner(sweep, Path("/")).trials()}
    taught = {peers for method, peers in kinds if method != "independent"}
    assert taught and (("independent", 1) in kinds or {("independent", peers) for peers in taught} <= kinds)
