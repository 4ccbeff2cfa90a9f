"""lipkd from Python, as docs/python.md shows it."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lipkd
from lipkd.config.trial_config import parse_config
from lipkd.data.store import ClipStore
from lipkd.deployment.deploy import extract
from lipkd.training.resolve import resolve
from lipkd.training.train import fit
from lipkd.trial import TrialFolder

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sweep(tiny_store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder with vanilla and two peers, one epoch and one seed each."""
    folder = tmp_path_factory.mktemp("api") / "sweep"
    for name, peers in (("alone", 1), ("pair", 2)):
        value: dict[str, Any] = {
            "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
            "network": {"name": "lipnet-128", "width": 0.125},
            "cohort": {"method": "dml", "peers": peers},
            "training": {"epochs": 1, "batch_size": 6, "device": "cpu"},
        }
        fit(resolve(parse_config(value)), folder / name)
    return folder


def test_importing_lipkd_is_quick_and_every_name_is_there() -> None:
    code = "import sys, lipkd; assert 'torch' not in sys.modules; [getattr(lipkd, name) for name in lipkd.__all__]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    with pytest.raises(AttributeError, match="'lipkd' has no attribute 'rread'"):
        _ = lipkd.rread


def test_a_trial(sweep: Path) -> None:
    trial = lipkd.load_trial(str(sweep / "pair"))
    assert trial.config().cohort.peers == 2 and [report.step for report in trial.reports()] == [1]
    assert len(trial.read_predictions()[0]["hypotheses"]) == 2 and len(trial.provenance()) == 1
    with pytest.raises(lipkd.LipkdError, match=r"no config\.json there"):
        lipkd.load_trial(sweep)


def test_hypotheses_are_those_of_the_model_in_the_order_of_the_clips(
    sweep: Path, tiny_store: ClipStore, tmp_path: Path
) -> None:
    extract(TrialFolder(sweep / "alone")).save(tmp_path / "model")
    clips = [tiny_store.read(clip) for clip in tiny_store.clips[:5]]
    reader = lipkd.LipReader.load(tmp_path / "model", "cpu")
    alone = [reader.read([clip])[0].text for clip in clips]
    assert [hypothesis.text for hypothesis in lipkd.read(tmp_path / "model", clips, batch_size=2)] == alone
    chosen = lipkd.read(reader, clips, sentences=["lay red", "bin blue"])
    assert {hypothesis.text for hypothesis in chosen} <= {"lay red", "bin blue"}
    with pytest.raises(lipkd.LipkdError, match="7"):
        lipkd.read(reader, clips, sentences=["7 up"])


def test_a_verdict(sweep: Path) -> None:
    (comparison,) = lipkd.compare(sweep)
    assert "not shown" in comparison.verdict()  # one seed
    (same,) = lipkd.compare([sweep / "pair"], against=[sweep / "alone"])
    assert same.wer == comparison.wer
    with pytest.raises(lipkd.LipkdError, match="neither a trial nor a sweep"):
        lipkd.compare(sweep / "nothing")
    with pytest.raises(lipkd.LipkdError, match="no finished cohort with a control"):
        lipkd.compare(sweep / "alone")


def test_the_page_uses_only_names_that_exist() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    used = {
        node.attr
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "lipkd"
    }
    assert used and used <= {*lipkd.__all__}
