"""The front door: every command is there, wrong input is one sentence, nothing heavy is loaded to say hello."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lipkd.cli import build_parser, main
from lipkd.commands.learning import override
from lipkd.commands.models import model_name
from lipkd.config.trial_config import parse_config
from lipkd.ctc.options import DecodingOptions
from lipkd.data.store import ClipStore
from lipkd.data.views import TTA_VIEWS
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import evaluate, trial_options
from lipkd.training.resolve import resolve
from lipkd.trial import TrialFolder

ROOT = Path(__file__).parent.parent
COMMANDS = [
    *("synth", "prepare", "align", "inspect"),
    *("train", "evaluate", "compare"),
    *("deploy", "predict"),
    *("sweep", "sync", "ui", "dashboard"),
    *("bench", "schema", "completion"),
]


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def with_tta(trial: TrialFolder) -> DecodingOptions:
    return replace(trial_options(trial.path), views=TTA_VIEWS)


def small_trial(store: ClipStore, **training: Any) -> dict[str, Any]:
    return {
        "data": {"store": str(store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
        "network": {"name": "lipnet-128", "width": 0.125},
        "training": {"epochs": 1, "batch_size": 6, "device": "cpu", **training},
    }


def write_trial(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE) == COMMANDS


def test_help_and_version_load_nothing_heavy() -> None:
    ran = run_python("""
        import contextlib, sys
        from lipkd.cli import main
        for argument in ("--help", "--version"):
            with contextlib.suppress(SystemExit):
                main([argument])
        heavy = {"torch", "numpy", "pydantic", "yaml", "ray", "mlflow", "cv2", "streamlit", "jiwer"}
        sys.exit(" ".join(heavy & set(sys.modules)) or 0)
    """)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "lipkd 0." in ran.stdout


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["prepare", "src", "out", "--size", "50"], "'50' is not HEIGHTxWIDTH"),
        (["prepare", "src", "out", "--limit", "few"], "invalid int value: 'few'"),
        (["evaluate", "trial", "--which", "worst"], "invalid choice: 'worst'"),
    ],
)
def test_wrong_usage_leaves_with_2_and_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    message = capsys.readouterr().err
    assert left.value.code == 2
    assert re.fullmatch(rf"lipkd: .*{re.escape(sentence)}.*\(see lipkd.* --help\)\n", message)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["prepare"], "needs SRC and OUT, or --check STORE"),
        (["prepare", "src"], "needs SRC and OUT, or --check STORE"),
        (["prepare", "nowhere", "out"], "nowhere: no such folder"),
        (["prepare", "--check", "nowhere"], "nowhere: no meta.json there"),
        (["synth", "corpus", "--speakers", "0"], "speakers = 0: must be from 1"),
        (["train", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["train", "trial.yaml"], "no meta.json there"),
        (["train", "trial.yaml", "--set", "cohort.peers=0"], "cohort.peers = 0: input should be greater than or equal"),
        (["train", "trial.yaml", "--set", "cohort.friends=2"], "cohort.friends is not a known field"),
        (["train", "trial.yaml", "--set", "cohort"], "expected KEY=VALUE"),
        (["train", "trial.yaml", "--device", "abacus"], "training.device = 'abacus'"),
        (["evaluate", "nowhere"], "nowhere"),
        (["deploy", "nowhere"], "trial nowhere: neither the folder of a trial nor the name of one"),
        (["predict", "nowhere"], "either CLIP… or --store STORE"),
        (["predict", "nowhere", "clip.mp4", "--store", "s"], "either CLIP… or --store STORE"),
        (["predict", "nowhere", "clip.mp4", "--ids", "a/b"], "give --store STORE as well"),
        (["predict", "nowhere", "clip.mp4", "--batch-size", "0"], "batch size = 0: must be at least 1"),
        (["predict", "nowhere", "clip.mp4"], "model nowhere: no model.json"),
        (["sweep", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["sync", "nowhere"], "nowhere: neither a sweep nor a trial"),
        (["dashboard", "--tracking-uri", "nowhere"], "tracking URI 'nowhere'"),
        (["ui", "--tracking-uri", "nowhere"], "tracking URI 'nowhere'"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_trial(Path("trial.yaml"), {"data": {"store": "nowhere"}})
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("lipkd: ") and sentence in message and message.count("\n") == 1
    assert not Path("corpus").exists() and not list(tmp_path.rglob("*.json*"))  # nothing was begun


@pytest.mark.parametrize(
    "missing, arguments, extra",
    [
        ("cv2", ["synth", "corpus"], "prep"),
        ("cv2", ["prepare", "src", "out"], "prep"),
        ("mlflow", ["ui"], "tune"),
    ],
)
def test_a_missing_extra_is_named(missing: str, arguments: list[str], extra: str, tmp_path: Path) -> None:
    ran = run_python(f"""
        import os, sys
        os.chdir({str(tmp_path)!r})
        sys.modules[{missing!r}] = None  # as if it were not installed
        from lipkd.cli import main
        sys.exit(main({arguments!r}))
    """)
    assert ran.returncode == 2
    needs = f"lipkd: {arguments[0]} needs {missing}, which is not installed: pip install 'lipkd[{extra}]'\n"
    assert ran.stderr == needs


def test_a_missing_package_that_is_no_extra_is_a_bug_and_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "preprocessing.synthetic.make_corpus", None)
    with pytest.raises(ModuleNotFoundError):
        main(["synth", "corpus"])


def test_a_folder_that_cannot_be_written_is_wrong_input(
    tiny_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_trial(tmp_path / "trial.yaml", small_trial(tiny_store))
    assert main(["train", str(config), "--out", str(config / "below-a-file")]) == 2
    assert capsys.readouterr().err.startswith(f"lipkd: {config}")


def test_train_then_evaluate_then_train_on(
    tiny_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_trial(tmp_path / "trial.yaml", small_trial(tiny_store))
    command = ["train", str(config), "--mlruns", str(tmp_path / "runs"), "--set", "seed=3", "--threads", "1"]
    assert main(command) == 0
    name = resolve(parse_config({**small_trial(tiny_store), "seed": 3})).trial_name()
    folder = TrialFolder(tmp_path / "runs" / "sweeps" / "single" / name)
    said = capsys.readouterr().out
    assert f"trial {folder.path}\nbegins on " in said
    assert "; clips: 12 train, 6 val, 0 test\nepoch 1/1  loss " in said
    assert f"lipkd sync {folder.path} --mlruns {tmp_path / 'runs'}\n" in said
    assert (folder.state()["state"], folder.config().training.threads) == ("finished", 1)

    assert main(["evaluate", str(folder.path), "--device", "cpu"]) == 0
    table = capsys.readouterr().out.splitlines()
    wer, cer = folder.reports()[0].metrics["val/wer"], folder.reports()[0].metrics["val/cer"]
    assert table[0] == "6 val clips, best checkpoint, protocol letters"
    assert table[2].split()[:4] == ["peer", "0", f"{wer:.3f}", f"{cer:.3f}"]

    assert main(["evaluate", str(folder.path), "--device", "cpu", "--tta"]) == 0
    table = capsys.readouterr().out.splitlines()
    (augmented,), _ = evaluate(folder.path, device="cpu", options=with_tta(folder)).count("letters")
    assert table[0] == "6 val clips, best checkpoint, protocol letters, the most confident of 4 views"
    assert table[2].split()[:4] == ["peer", "0", f"{augmented.wer:.3f}", f"{augmented.cer:.3f}"]

    assert main([*command, "--set", f"training.init_from={folder.path}", "--out", str(tmp_path / "second")]) == 0
    source = folder.checkpoint("best")
    assert f"starts from peer 0 of {source} (the only one): 30 of 30 tensors" in capsys.readouterr().out

    assert main(command) == 0  # there is nothing left to do
    assert "epoch" not in capsys.readouterr().out.replace("(epoch 1)", "")
    assert len(folder.reports()) == 1


def test_train_then_deploy_then_predict(
    tiny_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_trial(tmp_path / "trial.yaml", small_trial(tiny_store, threads=1))
    runs = str(tmp_path / "runs")
    assert main(["train", str(config), "--mlruns", runs]) == 0
    name = resolve(parse_config(small_trial(tiny_store))).trial_name()
    trial = TrialFolder(tmp_path / "runs" / "sweeps" / "single" / name)
    capsys.readouterr()
    assert main(["deploy", name, "--name", "a/b", "--mlruns", runs]) == 2
    assert "--name 'a/b': a name without slash" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "models").exists()
    assert main(["deploy", name, "--name", "lips", "--mlruns", runs, "--no-register"]) == 0
    model = tmp_path / "runs" / "models" / "lips"
    assert capsys.readouterr().out.startswith(f"{model}: peer 0 of 1 (the only peer), epoch 1\n")

    said = {row["id"]: row["hypotheses"][0] for row in trial.read_predictions("best")}
    read = ["predict", str(model), "--threads", "1", "--device", "cpu"]
    assert main([*read, "--store", str(tiny_store.path), "--ids", ",".join(said), "--batch-size", "6"]) == 0
    assert capsys.readouterr().out == "".join(f"{clip}\t{text}\n" for clip, text in said.items())

    assert main([*read, "--store", str(tiny_store.path), "--ids", ",".join(said), "--tta"]) == 0
    augmented = {
        row["id"]: row["hypotheses"][0] for row in evaluate(trial.path, device="cpu", options=with_tta(trial)).rows
    }
    assert capsys.readouterr().out == "".join(f"{clip}\t{text}\n" for clip, text in augmented.items())

    for number, clip in enumerate(tiny_store.clips[:2]):
        np.save(tmp_path / f"clip{number}.npy", tiny_store.read(clip))
    (tmp_path / "list.txt").write_text("bin red\n\n lay blue now \n", encoding="utf-8")
    clips = [str(tmp_path / f"{clip}.npy") for clip in ("clip0", "gone", "clip1")]
    subtitles = str(tmp_path / "subtitles")
    options = ["--sentences", str(tmp_path / "list.txt"), "--json", "--srt", subtitles, "--vtt", subtitles]
    assert main([*read, *clips, *options]) == 3
    told = capsys.readouterr()
    assert told.err == f"lipkd: {clips[1]}: no such file or folder\n"
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row["clip"] for row in rows] == [clips[0], clips[2]]
    assert {row["text"] for row in rows} <= {"bin red", "lay blue now"} and 0 < rows[0]["confidence"] <= 1
    files = {path.name: path.read_text(encoding="utf-8") for path in Path(subtitles).iterdir()}
    assert sorted(files) == ["clip0.srt", "clip0.vtt", "clip1.srt", "clip1.vtt"]
    assert files["clip1.vtt"].startswith("WEBVTT\n\n00:00:") and rows[1]["text"] in files["clip1.srt"]

    (tmp_path / "list.txt").write_text("bin 5\n", encoding="utf-8")
    assert main([*read, *clips, *options]) == 2
    assert "not in the alphabet" in capsys.readouterr().err


def test_the_default_name_of_a_model_is_one_that_mlflow_takes() -> None:
    assert model_name(None, "one-p2-w0.5-1a2b") == "one-p2-w0-5-1a2b"
    assert model_name(None, "a/b:c%d'e\"f\\g" + "x" * 300) == "a-b-c-d-e-f-g" + "x" * 237
    assert model_name("GRID s1, 0,5", "w0.5") == "GRID s1, 0,5"


@pytest.mark.parametrize("name", ["", " ", ".", "a.b", "a/b", "a:b", "a%b", "a'b", 'a"b', "a\\b", "a\nb", "a" * 251])
def test_a_name_that_mlflow_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(LipkdError, match="a name without slash"):
        model_name(name, "trial")


def test_prepare_counts_rejects_in_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, store = tmp_path / "corpus", tmp_path / "store"
    assert main(["synth", str(corpus), "--speakers", "1", "--clips", "2"]) == 0
    (corpus / "align" / "s1" / "c001.align").write_text("0 1000\n", encoding="utf-8")
    assert main(["prepare", str(corpus), str(store), "--size", "24x48"]) == 3
    assert "1 of 2 clips accepted" in capsys.readouterr().out
    assert main(["prepare", "--check", str(store)]) == 0
    assert capsys.readouterr().out == f"{store}: sound\n"
    with open(store / "frames.npy", "r+b") as frames:
        frames.seek(-1, os.SEEK_END)
        frames.write(b"\xff" if frames.read(1) != b"\xff" else b"\0")
    assert main(["prepare", "--check", str(store)]) == 2
    assert "have changed since the store was written" in capsys.readouterr().out


def test_override_sets_nested_fields_as_yaml() -> None:
    value: dict[str, Any] = {"data": {"store": "s"}}
    for item in ("cohort.peers=2", "data.val_speakers=[a, b]", "data.crop=null", "seed=7"):
        override(value, item)
    data = {"store": "s", "val_speakers": ["a", "b"], "crop": None}
    assert value == {"data": data, "cohort": {"peers": 2}, "seed": 7}


@pytest.mark.parametrize("item", ["seed", "data.store.deep=1", "seed=[1"])
def test_override_refuses_what_is_no_field(item: str) -> None:
    with pytest.raises(LipkdError, match="--set"):
        override({"data": {"store": "s"}}, item)


def listen_to_ctrl_c() -> None:
    """A shell's background job, which this test run may be, ignores Ctrl+C, and a child would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_leaves_with_130_and_a_trial_that_goes_on(tiny_store: ClipStore, tmp_path: Path) -> None:
    config = write_trial(tmp_path / "trial.yaml", small_trial(tiny_store, epochs=100_000, threads=1))
    command = [sys.executable, "-m", "lipkd", "train", str(config), "--out", str(tmp_path / "trial")]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen_to_ctrl_c,
    ) as process:
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        assert process.stdout and process.stderr
        while not process.stdout.readline().startswith("epoch 1/"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        last_words = process.stderr.read()
    watchdog.cancel()
    assert process.returncode == 130 and last_words.endswith("lipkd: interrupted\n")
    assert TrialFolder(tmp_path / "trial").state()["state"] == "running"


def test_the_readme_calls_only_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    fenced = [line for block in re.findall(r"```\n(.*?)```", readme, re.DOTALL) for line in block.splitlines()]
    spans = [*fenced, *re.findall(r"`([^`\n]+)`", readme)]
    calls = [found.group(1) for span in spans if (found := re.match(r"(?:.*bin/|.*-m )?lipkd ([a-z].*)", span))]
    parser = build_parser()
    for call in calls:
        words = ["--help"] if "--help" in call else shlex.split(call, comments=True)
        if words[0] in COMMANDS:
            assert parser.parse_args(words).command == words[0], call
    assert {call.split()[0] for call in calls} >= set(COMMANDS)


def test_the_readme_shows_a_trial_and_a_sweep_that_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning.plan.planner import Planner
    from tuning.plan.sweep_config import load_sweep

    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    trial, sweep = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert parse_config(yaml.safe_load(trial)).cohort.peers == 2
    Path("sweep.yaml").write_text(sweep, encoding="utf-8")
    planned = Planner(load_sweep(Path("sweep.yaml")), tmp_path).trials()
    assert len(planned) == 12
    assert {p.config.trial_name().partition("-w")[0] for p in planned} == {"vanilla", "independent-p2", "attention-p2"}
    assert json.dumps([p.to_json() for p in planned])
