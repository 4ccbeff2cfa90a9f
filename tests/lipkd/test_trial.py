import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lipkd.errors import LipkdError
from lipkd.trial import Cause, Journal, JournalReader, TrialFolder


def test_every_step_once_and_the_first_line_counts(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    journal = Journal(folder.journal)
    journal.append(1, {"val/wer": 1.0})
    journal.append(1, {"val/wer": 0.5})
    Journal(folder.journal).append(1, {"val/wer": 0.4})
    Journal(folder.journal).append(2, {"val/wer": 0.3})
    assert [(r.step, r.metrics["val/wer"]) for r in folder.reports()] == [(1, 1.0), (2, 0.3)]


def test_a_torn_line_is_ignored_and_then_cut_off(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    Journal(folder.journal).append(1, {"val/wer": 1.0})
    with open(folder.journal, "a") as file:
        file.write('{"step": 2, "time": 1.0, "met')
    assert [r.step for r in folder.reports()] == [1]
    Journal(folder.journal).append(2, {"val/wer": 0.5})
    assert [(r.step, r.metrics) for r in folder.reports()] == [(1, {"val/wer": 1.0}), (2, {"val/wer": 0.5})]


REPORT = '{"step": 2, "time": 1.0, "metrics": {"val/wer": 0.5}}'


@pytest.mark.parametrize(
    "line",
    ["", "\x00", REPORT[:20], REPORT.replace("2", '"2"'), REPORT.replace("2", "0"), REPORT.replace("2", "true"),
     REPORT.replace("0.5", "NaN"), REPORT.replace("0.5", '"0.5"'), REPORT.replace("1.0", "null"), "[2]", "\xff"],
)  # fmt: skip
def test_a_damaged_line_is_named_wherever_it_stands(tmp_path: Path, line: str) -> None:
    """Only a last line that has no end was a kill's; a reader that skips another gives a curve that lacks an epoch."""
    folder = TrialFolder(tmp_path)
    first, third = (REPORT.replace('"step": 2', f'"step": {step}') for step in (1, 3))
    for lines in ([first, line, third], [first, line]):
        folder.journal.write_bytes("".join(f"{text}\n" for text in lines).encode("latin-1"))
        before = folder.journal.read_bytes()
        for read in (folder.reports, lambda: Journal(folder.journal)):
            with pytest.raises(LipkdError, match=r"journal\.jsonl, line 2: .*; remove that line"):
                read()
        assert folder.journal.read_bytes() == before


def test_a_journal_of_nothing_but_a_torn_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"st')
    Journal(tmp_path / "journal.jsonl").append(1, {"a": 1.0})
    assert [r.step for r in TrialFolder(tmp_path).reports()] == [1]


def line_of(step: int) -> str:
    return REPORT.replace('"step": 2', f'"step": {step}') + "\n"


def test_a_reader_reads_only_the_lines_that_are_new(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    reader = JournalReader(journal)
    assert reader.read() == []
    journal.write_text(line_of(1) + line_of(2) + line_of(3)[:30])
    assert [report.step for report in reader.read()] == [1, 2]
    # Were the first line read again, it would be damage.
    journal.write_text("x" * (len(line_of(1)) - 1) + "\n" + line_of(2) + line_of(3) + line_of(2))
    assert [report.step for report in reader.read()] == [1, 2, 3]
    with open(journal, "a") as file:
        file.write("{}\n" + line_of(4))
    for _ in range(2):
        with pytest.raises(LipkdError, match="line 5: "):
            reader.read()


@pytest.mark.parametrize("steps", [[], [1], [7, 8, 9, 10], [1, 2, 9]])
def test_a_journal_that_shrank_or_was_replaced_is_read_anew(tmp_path: Path, steps: list[int]) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(map(line_of, (1, 2, 3))))
    reader = JournalReader(journal)
    assert [report.step for report in reader.read()] == [1, 2, 3]
    journal.write_text("".join(map(line_of, steps)))
    assert [report.step for report in reader.read()] == steps
    journal.unlink()
    assert reader.read() == []


def test_metrics_must_be_finite(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Journal(tmp_path / "journal.jsonl").append(1, {"a": float("nan")})
    assert TrialFolder(tmp_path).reports() == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "[5]", "5", '{"train": [1]}', '{"state": "done"}', "\xff", "[" * 99999]
)
@pytest.mark.parametrize("name", ["state.json", "config.json", "split.json", "provenance.json"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, name: str, content: str) -> None:
    folder = TrialFolder(tmp_path)
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    readers: dict[str, Callable[[], object]] = {
        "state.json": folder.state,
        "config.json": folder.config,
        "split.json": folder.split,
        "provenance.json": folder.provenance,
    }
    if (name, content) == ("provenance.json", "[]"):
        assert folder.provenance() == []
        return
    with pytest.raises(LipkdError, match=rf"{name}: .*(; remove it: |; train it again with )"):
        readers[name]()


def test_a_sound_trial_has_no_damage_and_a_damaged_state_can_be_replaced(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    (tmp_path / "config.json").write_text('{"data": {"store": "x"}}')
    assert folder.damage() == ""
    (tmp_path / "state.json").write_text("")
    assert "state.json: empty; remove it" in folder.damage()
    folder.set_state("failed", "damaged")
    assert folder.damage() == "" and folder.state()["state"] == "failed"


@pytest.mark.parametrize("damage", [lambda t: t[:40], lambda t: t.replace('["bin"]', "[]"), lambda t: t + "5\n"])
def test_damaged_predictions_are_named(tmp_path: Path, damage: Callable[[str], str]) -> None:
    folder = TrialFolder(tmp_path)
    row = {"id": "s/a", "reference": "bin", "hypotheses": ["bin"], "ensemble": "bin"}
    folder.predictions("best").parent.mkdir()
    folder.predictions("best").write_text(json.dumps(row) + "\n")
    assert folder.read_predictions() == [row]
    folder.predictions("best").write_text(damage(json.dumps(row) + "\n"))
    with pytest.raises(LipkdError, match=r"best\.jsonl, line [12]: .*; remove the file: "):
        folder.read_predictions()


def test_state(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    assert folder.state()["state"] == "running"
    folder.set_state("failed", "no luck")
    assert (folder.state()["state"], folder.state()["reason"]) == ("failed", "no luck")


def test_a_trial_that_is_not_comparable_stays_so(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    assert folder.incomparable_reason() == ""
    folder.set_state("running")
    folder.set_incomparable("it went on from the weights of another")
    folder.set_state("failed", "CUDA out of memory", Cause.OUT_OF_MEMORY)
    state = folder.state()
    assert {key: state[key] for key in state if key != "time"} == {
        "state": "failed",
        "reason": "CUDA out of memory",
        "cause": "out_of_memory",
        "comparable": False,
        "incomparable_reason": "it went on from the weights of another",
    }
    assert folder.incomparable_reason() == "it went on from the weights of another"
    folder.set_state("finished")
    assert "cause" not in folder.state() and folder.incomparable_reason()
