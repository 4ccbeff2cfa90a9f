"""Which parameters decide how well a sweep's trials read: Optuna's fANOVA over its finished trials.

Optuna and scikit-learn are imported only when somebody asks: that takes seconds.
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.tracking.records import Trial
from lipkd.errors import LipkdError
from lipkd.evaluation.matching import deciding

FEWEST = 8  # finished trials
FEW = 50  # fewer than these are a hint


@dataclass(frozen=True)
class Importance:
    """How much of the variance of the best WER the parameters explain (0–1; all of a sweep's add up to 1). They are
    more than one where they changed together in every trial, so that their effects cannot be separated."""

    parameters: tuple[str, ...]
    share: float
    values: int


def usable_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that importance is computed from: finished and comparable ones."""
    return [t for t in trials if t.state == "finished" and t.best_wer is not None and not t.incomparable_reason]


def importances(trials: Sequence[Trial], seed: int = 0) -> list[Importance]:
    """The most important first. Raises LipkdError, with the reason, when it cannot be computed."""
    finished = usable_trials(trials)
    if len(finished) < FEWEST:
        raise LipkdError(f"{len(finished)} trials have finished, and importance needs at least {FEWEST}")
    columns = varied(finished)
    if not columns:
        raise LipkdError("the finished trials differ in no parameter")
    if len({t.best_wer for t in finished}) == 1:
        raise LipkdError("the finished trials all have the same WER, so no parameter has any importance")
    try:
        import optuna
        from optuna.distributions import BaseDistribution, CategoricalDistribution
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
        from optuna.trial import create_trial
    except ImportError as error:
        raise LipkdError("importance needs Optuna: install it with `pip install 'lipkd[tune]'`") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spaces: dict[str, BaseDistribution] = {
        names[0]: CategoricalDistribution(tuple(sorted(set(values)))) for names, values in columns.items()
    }
    study = optuna.create_study()
    for number, trial in enumerate(finished):
        own = {names[0]: values[number] for names, values in columns.items()}
        study.add_trial(create_trial(params=own, distributions=spaces, value=trial.best_wer))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is called experimental
            found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    except (ImportError, ValueError, RuntimeError) as error:
        raise LipkdError(f"Optuna cannot compute the importance ({error})") from error
    by_first = {names[0]: (names, len(set(values))) for names, values in columns.items()}
    return [Importance(by_first[name][0], share, by_first[name][1]) for name, share in found.items()]


def varied(trials: Sequence[Trial]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Values per trial of every parameter in which the trials differ. Parameters that divide the trials in the same
    way, as `cohort.method` and `cohort.peers` often do, come as one."""
    configs = [deciding(trial.config, trial.store_digest) for trial in trials]
    names = sorted({name for config in configs for name in config})
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name in names:
        values = [config.get(name, "–") for config in configs]
        known = {value: number for number, value in enumerate(dict.fromkeys(values))}
        if len(known) > 1:
            alike[tuple(known[value] for value in values)].append(name)
    return {tuple(same): tuple(config.get(same[0], "–") for config in configs) for same in alike.values()}


def parallel_rows(trials: Sequence[Trial]) -> list[dict[str, object]]:
    """A row per trial with a result and axis: the parameters in which the trials differ, then the best WER. `place`
    is where the value stands on its axis, 0–1: numbers by their size, words by their order."""
    ended = [t for t in trials if t.best_wer is not None]
    axes = {", ".join(short(name) for name in names): values for names, values in varied(ended).items()}
    rows: list[dict[str, object]] = []
    for axis, values in [*axes.items(), ("best WER", tuple(f"{100 * (t.best_wer or 0):.1f} %" for t in ended))]:
        places = _places(values)
        rows += [
            {"trial": t.name, "group": t.group, "axis": axis, "value": value, "place": places[value]}
            for t, value in zip(ended, values, strict=True)
        ]
    return rows


def short(name: str) -> str:
    """A parameter's name without its section."""
    return name.rpartition(".")[2].replace("_", " ")


def _places(values: Sequence[str]) -> dict[str, float]:
    try:
        numbers = {value: float(value.removesuffix(" %")) for value in values}
        low, high = min(numbers.values()), max(numbers.values())
        return {value: (number - low) / (high - low or 1.0) for value, number in numbers.items()}
    except ValueError:
        order = sorted(set(values))
        return {value: place / max(len(order) - 1, 1) for place, value in enumerate(order)}
