"""lipkd from Python (docs/python.md): a trial's files, a model's hypotheses, a verdict; `import lipkd` offers them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lipkd.ctc.hypothesis import Hypothesis
from lipkd.ctc.options import DecodingOptions
from lipkd.data.store import Frames
from lipkd.deployment.lipreader import LipReader
from lipkd.errors import LipkdError
from lipkd.evaluation.compare import compare as compare_methods
from lipkd.evaluation.compare import compare_sweep
from lipkd.evaluation.comparison import MethodComparison
from lipkd.trial import TrialFolder

__all__ = ["LipReader", "LipkdError", "compare", "load_trial", "read"]
Folder = str | Path


def load_trial(folder: Folder) -> TrialFolder:
    """A trial's folder, whose methods give its configuration, reports, predictions, state and provenance.

    Raises LipkdError when the folder is no trial, or its configuration is damaged.
    """
    trial = TrialFolder(Path(folder))
    trial.config()
    return trial


def read(
    model: Folder | LipReader,
    clips: Sequence[Frames],
    *,
    sentences: Sequence[str] = (),
    tta: bool = False,
    batch_size: int = 8,
    device: str = "auto",
) -> list[Hypothesis]:
    """The hypotheses of clips of mouth crops, uint8 (T, H, W, C) each, in their order.

    `model` is a folder of `lipkd deploy`, or an opened one (`lipkd.LipReader.load(folder)`), which keeps `device` as it
    is. `sentences` is a closed list; `tta` takes several views of each clip. Raises LipkdError for a folder that is no
    model and for a sentence that the model cannot spell, ValueError for clips of another size.
    """
    reader = model if isinstance(model, LipReader) else LipReader.load(model, device)
    options = DecodingOptions.of(sentences=sentences, tta=tta, batch_size=batch_size)
    options.check_letters(reader.alphabet)
    found: list[Hypothesis] = []
    for start in range(0, len(clips), batch_size):
        found += reader.read(clips[start : start + batch_size], options)
    return found


def compare(trials: Folder | Sequence[Folder], against: Sequence[Folder] | None = None) -> list[MethodComparison]:
    """Verdicts, each with its interval, as `lipkd compare` gives them.

    Of a sweep's folder every cohort against its controls; with `against` trials of one method, one per seed, against
    those of another. Raises LipkdError for trials that cannot be compared, and for a sweep that has nothing to compare.
    """
    folders = [trials] if isinstance(trials, str | Path) else list(trials)
    found = [trial for folder in folders for trial in _trials(Path(folder))]
    if against is not None:
        return [compare_methods(found, [trial for folder in against for trial in _trials(Path(folder))])]
    if not (comparisons := compare_sweep(found)):
        raise LipkdError(f"{', '.join(map(str, folders))}: no finished cohort with a control to compare it with")
    return comparisons


def _trials(folder: Path) -> Iterator[TrialFolder]:
    """A trial, or the trials of a sweep; raises LipkdError for a folder that is neither."""
    found = sorted([*folder.glob("config.json"), *folder.glob("*/config.json")])
    if not found:
        raise LipkdError(f"{folder}: neither a trial nor a sweep with trials")
    yield from (TrialFolder(path.parent) for path in found)
