"""From trial to model folder to what it says: the same to the bit, and without the platform."""

import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lipkd.checkpoint import tensors_digest
from lipkd.config.trial_config import parse_config
from lipkd.ctc.hypothesis import Hypothesis
from lipkd.ctc.options import DecodingOptions
from lipkd.data.store import ClipStore, Frames
from lipkd.data.views import AS_TRAINED, TTA_VIEWS, View
from lipkd.deployment.deploy import choose_peer, extract, find_trial
from lipkd.deployment.lipreader import LipReader
from lipkd.deployment.predict import Source, load_array, stored_clips, transcribe
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import evaluate, trial_options
from lipkd.files import write_json, write_jsonl
from lipkd.training.train import fit
from lipkd.trial import TrialFolder

ROOT = Path(__file__).parents[3]
BATCH = 4


@pytest.fixture(scope="module")
def trial(tiny_store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> TrialFolder:
    """Two peers of different width after two epochs, seen through another size and zoom than the store's."""
    path = tmp_path_factory.mktemp("runs") / "sweeps" / "single" / "pair"
    config = {
        "data": {
            "store": str(tiny_store.path),
            "scenario": "unseen",
            "val_speakers": ["cleo"],
            "crop": [20, 40],
            "zoom": 1.2,
        },
        "cohort": {"method": "attention", "peers": 2, "widths": [0.125, 0.1875]},
        "training": {"epochs": 2, "batch_size": BATCH, "threads": 1, "device": "cpu"},
    }
    fit(parse_config(config), path)
    return TrialFolder(path)


@pytest.fixture(scope="module")
def model(trial: TrialFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "pair"
    extract(trial, 1).save(folder)
    return folder


@pytest.mark.parametrize("peer", [0, 1])
def test_a_deployed_peer_says_to_the_bit_what_the_trial_heard(
    trial: TrialFolder, tiny_store: ClipStore, tmp_path: Path, peer: int
) -> None:
    extract(trial, peer).save(tmp_path / "model")
    reader = LipReader.load(tmp_path / "model", "cpu")
    posteriors = load_file(trial.posteriors)
    rows = trial.read_predictions("best")
    for begin in range(0, len(rows), BATCH):
        batch = rows[begin : begin + BATCH]
        clips = [tiny_store.read(tiny_store.clip(row["id"])) for row in batch]
        logits, lengths = reader.logits(clips)
        for row, z, length in zip(batch, logits.softmax(-1).half(), lengths.tolist(), strict=True):
            assert torch.equal(z[:length], posteriors[row["id"]][peer])
        assert [said.text for said in reader.read(clips)] == [row["hypotheses"][peer] for row in batch]


def test_several_looks_at_a_clip_give_the_trial_and_the_deployed_peer_the_same(
    trial: TrialFolder, model: Path, tiny_store: ClipStore
) -> None:
    reader, rows = LipReader.load(model, "cpu"), trial.read_predictions("best")
    clips = [tiny_store.read(tiny_store.clip(row["id"])) for row in rows]
    for views in ((AS_TRAINED,), (View(mirror=True),), TTA_VIEWS):
        heard = evaluate(trial.path, device="cpu", options=replace(trial_options(trial.path), views=views))
        logits, lengths = reader.logits(clips, DecodingOptions(views=views))
        for row, z, length in zip(heard.rows, logits.softmax(-1), lengths.tolist(), strict=True):
            torch.testing.assert_close(z[:length], heard.posteriors[row["id"]][1].float(), atol=1e-3, rtol=1e-2)
        said = [said.text for said in reader.read(clips, DecodingOptions(views=views))]
        assert said == [row["hypotheses"][1] for row in heard.rows]
        turned = [np.ascontiguousarray(clip[:, :, ::-1]) for clip in clips]
        if len(views) == 1:
            opposite, _ = reader.logits(turned, DecodingOptions(views=(View(mirror=not views[0].mirror),)))
            torch.testing.assert_close(opposite, logits)


def test_a_branch_of_a_shared_trunk_is_deployed_with_its_averaged_weights(
    tiny_store: ClipStore, tmp_path: Path
) -> None:
    value = {
        "data": {"store": str(tiny_store.path), "scenario": "unseen", "val_speakers": ["cleo"]},
        "network": {"width": 0.125},
        "cohort": {"method": "one", "peers": 2},
        "training": {"epochs": 1, "batch_size": BATCH, "threads": 1, "device": "cpu", "ema": 0.9},
    }
    fit(parse_config(value), tmp_path / "trial")
    trial = TrialFolder(tmp_path / "trial")
    extract(trial, 1).save(tmp_path / "model")
    ids = [row["id"] for row in trial.read_predictions("best")][:BATCH]
    reader = LipReader.load(tmp_path / "model", "cpu")
    logits, lengths = reader.logits([tiny_store.read(tiny_store.clip(i)) for i in ids])
    posteriors = load_file(trial.posteriors)
    for name, z, length in zip(ids, logits.softmax(-1).half(), lengths.tolist(), strict=True):
        assert torch.equal(z[:length], posteriors[name][1])


def test_the_folder_holds_one_peer_and_says_where_it_is_from(model: Path, trial: TrialFolder) -> None:
    assert sorted(path.name for path in model.iterdir()) == ["model.json", "weights.safetensors"]
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    weights = load_file(model / "weights.safetensors")
    assert sum(value.numel() for value in weights.values()) == card["cost"]["parameters"]
    assert card["pictures"] == {"height": 24, "width": 48, "channels": 3, "colour": "RGB", "fps": 25.0}
    assert (card["preprocessing"]["height"], card["preprocessing"]["width"]) == (20, 40)
    assert (card["origin"]["trial"], card["origin"]["peer"], card["origin"]["peers"]) == ("pair", 1, 2)
    best = next(r.metrics for r in trial.reports() if r.step == card["origin"]["epoch"])
    assert card["metrics"]["wer"] == best["val/wer/peer_1"] and card["metrics"]["clips"] == 6


def test_saving_replaces_a_model_and_nothing_else(model: Path, trial: TrialFolder, tmp_path: Path) -> None:
    reader = extract(trial, 0)
    for _ in range(2):
        reader.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").touch()
    with pytest.raises(LipkdError, match="not a deployed model"):
        reader.save(tmp_path / "letters")
    assert (tmp_path / "letters" / "dear.txt").exists()


def wrong(reference: str, *hypotheses: str) -> dict[str, object]:
    return {"id": f"a/{reference}", "reference": reference, "hypotheses": list(hypotheses), "ensemble": ""}


def test_the_peer_is_chosen_by_wer_then_cer(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    write_json(tmp_path / "config.json", {"data": {"store": "s"}})
    write_jsonl(
        folder.predictions("best"), [wrong("bin red", "bin", "bin rex", "bin rxx"), wrong("lay", "", "lay", "lay")]
    )
    peer, counts, why = choose_peer(folder, None)
    assert (peer, counts.word_edits, counts.char_edits) == (1, 1, 1) and "lowest WER" in why
    assert choose_peer(folder, 2)[0] == 2
    for asked in (3, -1):
        with pytest.raises(LipkdError, match="has the peers 0 to 2"):
            choose_peer(folder, asked)


def test_a_trial_is_found_by_folder_or_by_name(trial: TrialFolder, tmp_path: Path) -> None:
    sweeps = trial.path.parent.parent
    assert find_trial(str(trial.path), tmp_path).path == trial.path
    assert find_trial("pair", sweeps).path == trial.path
    for nothing in ("", "..", "nobody", "single/pair"):
        with pytest.raises(LipkdError, match="neither the folder of a trial nor the name of one"):
            find_trial(nothing, sweeps)
    for sweep in ("one", "two"):
        write_json(tmp_path / sweep / "same" / "config.json", {})
    with pytest.raises(LipkdError, match="in the sweeps one, two"):
        find_trial("same", tmp_path)


def test_another_store_is_refused(trial: TrialFolder, tiny_store: ClipStore, tmp_path: Path) -> None:
    for name in ("frames.npy", "manifest.jsonl"):
        (tmp_path / name).symlink_to(tiny_store.path / name)
    write_json(tmp_path / "meta.json", {**tiny_store.meta, "digest": "another"})
    with pytest.raises(LipkdError, match="not the one that trial pair was trained on"):
        extract(trial, 0, tmp_path)
    with pytest.raises(LipkdError, match="not the one that trial pair was trained on"):
        evaluate(trial.path, device="cpu", store_path=tmp_path)
    write_json(tmp_path / "meta.json", tiny_store.meta)  # the same store at another place
    assert evaluate(trial.path, device="cpu", store_path=tmp_path).rows == trial.read_predictions("best")


def test_clips_are_batched_by_length_and_come_back_in_order(model: Path, tiny_store: ClipStore) -> None:
    """Eighteen clips of two lengths, one of them unreadable, in windows of 16 and batches of 2: as if read alone."""
    reader = LipReader.load(model, "cpu")

    def fail() -> Frames:
        raise LipkdError("torn")

    sources = stored_clips(reader, tiny_store.path, None)
    sources[3] = Source("broken", fail)
    read = list(transcribe(reader, sources, DecodingOptions(batch_size=2)))
    assert [name for name, _ in read] == [source.name for source in sources]
    for (_, said), clip in zip(read, tiny_store.clips, strict=True):
        if isinstance(said, LipkdError):
            assert str(said) == "torn" and clip.id == "ada/03"
        else:
            [alone] = reader.read([tiny_store.read(clip)])
            assert said.text == alone.text and said.seconds == clip.n_frames / 25
            assert said.confidence == pytest.approx(alone.confidence, abs=1e-3)


def test_a_closed_list_gives_the_likeliest_sentence_and_its_words(model: Path, tiny_store: ClipStore) -> None:
    reader = LipReader.load(model, "cpu")
    clips = [tiny_store.read(clip) for clip in tiny_store.clips[:3]]
    for said in reader.read(clips, DecodingOptions.of(sentences=("Bin red.", "lay blue now"))):
        assert said.text in ("Bin red.", "lay blue now") and 0 < said.confidence <= 1
        assert " ".join(word.text for word in said.words) == {"B": "bin red", "l": "lay blue now"}[said.text[0]]
        assert all(0 <= w.start < w.end <= said.seconds for w in said.words)
    [short] = reader.read(
        [clips[0][:2]], DecodingOptions.of(sentences=("bin red",))
    )  # two frames cannot say seven letters
    assert (short.text, short.words, short.confidence) == ("bin red", (), 0.0)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((5, 24, 48), "uint8"), ((0, 24, 48, 3), "uint8"), ((5, 24, 48, 3), "float64"), ((5, 20, 40, 3), "uint8")],
)
def test_what_is_no_clip_of_this_model_is_refused(model: Path, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(ValueError, match="this model takes uint8"):
        LipReader.load(model, "cpu").read([np.zeros(shape, dtype)])


def test_arrays_are_brought_to_size_or_refused(tmp_path: Path) -> None:
    picture = (24, 48, 3)
    np.save(tmp_path / "clip.npy", np.full((2, 48, 96, 3), 7, np.uint8))
    assert load_array(tmp_path / "clip.npy", picture).tolist() == np.full((2, *picture), 7).tolist()
    np.save(tmp_path / "grey.npy", np.zeros((2, 24, 48, 1), np.uint8))
    np.save(tmp_path / "float.npy", np.zeros((2, 24, 48, 3)))
    (tmp_path / "text.npy").write_text("hello", encoding="utf-8")
    for name in ("grey", "float", "text", "none"):
        with pytest.raises(LipkdError):
            load_array(tmp_path / f"{name}.npy", picture)


def test_an_array_that_is_not_what_it_says_is_a_sentence(tmp_path: Path) -> None:
    """A header that asks for petabytes, an .npz by another name, dimensions beyond any integer, no array at all."""
    for name, shape in (
        ("petabytes", (10**6, 10**5, 10**5, 3)),
        ("endless", (10**30, 24, 48, 3)),
        ("less", (-1, 24, 48, 3)),
    ):
        with (tmp_path / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.write(b"abc")
    with (tmp_path / "several.npy").open("wb") as file:
        np.savez(file, clip=np.zeros((2, 24, 48, 3), np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "empty.npy").touch()
    (tmp_path / "nested.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x27" + b"[" * 10_000)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(LipkdError, match=r"not an array that numpy has saved|not a clip"):
            load_array(path, (24, 48, 3))


def test_a_clip_that_needs_too_much_memory_costs_that_clip_only(model: Path, tiny_store: ClipStore) -> None:
    reader = LipReader.load(model, "cpu")

    def fill() -> Frames:
        raise MemoryError

    sources = [Source("vast", fill), *stored_clips(reader, tiny_store.path, [tiny_store.clips[0].id])]
    (_, vast), (_, other) = transcribe(reader, sources, DecodingOptions())
    assert isinstance(vast, LipkdError) and "memory" in str(vast)
    assert isinstance(other, Hypothesis)


def damaged_copy(model: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The model with another card, in a folder."""
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    change(card)
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes((model / "weights.safetensors").read_bytes())


@pytest.mark.parametrize("value", [0, -25, math.nan, math.inf, 10**5, "25", True, None])
@pytest.mark.parametrize("field", ["pictures.fps", "preprocessing.zoom"])
def test_impossible_rates_and_zooms_are_refused(model: Path, tmp_path: Path, field: str, value: Any) -> None:
    part, name = field.split(".")
    damaged_copy(model, tmp_path, lambda card: card[part].update({name: value}))
    with pytest.raises(LipkdError, match=rf"^model .*{part}\.{name} = "):
        LipReader.load(tmp_path)


@pytest.mark.parametrize("value", [0, -1, 10**5, 10**12, 1.5, math.nan, "24", True, None])
@pytest.mark.parametrize(
    "field",
    [
        *("pictures.height", "pictures.width", "pictures.channels", "preprocessing.height", "preprocessing.width"),
        *("network.height", "network.width", "network.hidden", "network.symbols", "network.picture_channels"),
    ],
)
def test_impossible_sizes_are_refused(model: Path, tmp_path: Path, field: str, value: Any) -> None:
    part, name = field.split(".")
    damaged_copy(model, tmp_path, lambda card: card[part].update({name: value}))
    with pytest.raises(LipkdError, match=r"^model .*: must be a whole number from 1 to"):
        LipReader.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(format=1),
        lambda card: card.update(alphabet=7),
        lambda card: card.update(alphabet="aa"),
        lambda card: card.update(alphabet=" ab"),
        lambda card: card.update(precision="fp8"),
        lambda card: card.update(network=[]),
        lambda card: card["network"].update(channels=[4, 8]),
        lambda card: card["network"].update(channels=[4, 8, 65_536]),
        lambda card: card["network"].update(hidden=65_536),
        lambda card: card["network"].pop("hidden"),
        lambda card: card["preprocessing"].update(height=24),
        lambda card: card.pop("pictures"),
        lambda card: card.pop("weights_sha256"),
        lambda card: card.update(weights_sha256="0" * 64),
        lambda card: card.update(weights_sha256=1),
    ],
)
def test_a_card_that_contradicts_itself_or_its_weights_is_refused(
    model: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    damaged_copy(model, tmp_path, change)
    with pytest.raises(LipkdError, match=r"^model "):
        LipReader.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "7", "", "[" * 100_000, "\x00"])
def test_a_card_that_is_no_object_is_refused(model: Path, tmp_path: Path, text: str) -> None:
    damaged_copy(model, tmp_path, lambda card: None)
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(LipkdError, match=r"^model .*damaged"):
        LipReader.load(tmp_path)


def test_weights_with_a_flipped_bit_cut_or_not_finite_are_refused(model: Path, tmp_path: Path) -> None:
    damaged_copy(model, tmp_path, lambda card: None)
    LipReader.load(tmp_path, "cpu")
    path = tmp_path / "weights.safetensors"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    for content, reason in ((bytes(flipped), "checksum"), (whole[:-9], ""), (b"", ""), (b"\xff" * 100, "")):
        path.write_bytes(content)
        with pytest.raises(LipkdError, match=rf"^model .*damaged.*{reason}"):
            LipReader.load(tmp_path, "cpu")
    nothing = {name: torch.full_like(value, math.nan) for name, value in load_file(model / path.name).items()}
    save_file(nothing, path)
    damaged = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    write_json(tmp_path / "model.json", {**damaged, "weights_sha256": tensors_digest(nothing)})
    with pytest.raises(LipkdError, match="is not finite"):
        LipReader.load(tmp_path, "cpu")
    path.unlink()
    with pytest.raises(LipkdError, match="make them with `lipkd deploy`"):
        LipReader.load(tmp_path, "cpu")


def test_predict_needs_torch_numpy_and_safetensors_only(model: Path, tiny_store: ClipStore, tmp_path: Path) -> None:
    clip = tiny_store.clips[0]
    np.save(tmp_path / "clip.npy", tiny_store.read(clip))
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
            import sys
            for name in ("ray", "mlflow", "streamlit", "optuna", "pydantic", "yaml", "jiwer", "cv2", "mediapipe"):
                sys.modules[name] = None  # as if it were not installed
            from lipkd.cli import main
            sys.exit(main(sys.argv[1:]))
        """),
            "predict",
            str(model),
            str(tmp_path / "clip.npy"),
            "--json",
            "--threads",
            "1",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    [said] = LipReader.load(model, "cpu").read([tiny_store.read(clip)])
    assert isinstance(said, Hypothesis)
    assert json.loads(ran.stdout) == {"clip": str(tmp_path / "clip.npy"), **json.loads(json.dumps(said.to_json()))}
