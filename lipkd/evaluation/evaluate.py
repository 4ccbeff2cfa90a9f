"""Reading clips with trained peers, and scoring what they say.

The ensemble is the mean of the peers' logits: at evaluation there is no transcript to weigh peers by. Only the
gate of `one` needs none, so there it is the gated ensemble.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor

from lipkd import checkpoint
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.ctc.decode import closed_list, greedy
from lipkd.ctc.losses import ctc_per_clip
from lipkd.ctc.metrics import ErrorCounts, count_errors
from lipkd.ctc.options import DecodingOptions
from lipkd.ctc.tta import most_confident
from lipkd.data.loader import ClipReader
from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError
from lipkd.evaluation.peer_metrics import peer_metrics
from lipkd.files import write_jsonl
from lipkd.model.cohort import Cohort
from lipkd.runtime.device import autocast, prepare_device
from lipkd.text import LETTERS, Alphabet, Protocol
from lipkd.trial import TrialFolder


@dataclass(frozen=True)
class Reading:
    """What a cohort says of some clips: rows as in `predictions/*.jsonl`, posteriors (P, T, V) float16 per
    clip id, the mean CTC loss over clips (nats per letter) of the peers and of the ensemble, and the alphabet."""

    rows: list[dict[str, Any]]
    posteriors: dict[str, Tensor]
    ctc: float
    ctc_ensemble: float
    characters: str = LETTERS

    def count(self, protocol: Protocol) -> tuple[list[ErrorCounts], ErrorCounts]:
        """Error counts of every peer, and of the ensemble."""
        references = [row["reference"] for row in self.rows]
        return self._peers("hypotheses", protocol), count_errors(
            references, [r["ensemble"] for r in self.rows], protocol, self.characters
        )

    def count_closed_list(self) -> list[ErrorCounts]:
        """Error counts of every peer's choice from the closed list; empty when there was none."""
        return self._peers("closed_list", "letters") if "closed_list" in self.rows[0] else []

    def _peers(self, column: str, protocol: Protocol) -> list[ErrorCounts]:
        references = [row["reference"] for row in self.rows]
        n_peers = len(self.rows[0][column])
        return [
            count_errors(references, [row[column][i] for row in self.rows], protocol, self.characters)
            for i in range(n_peers)
        ]


@torch.no_grad()
def read_clips(
    cohort: Cohort,
    reader: ClipReader,
    clips: Sequence[Clip],
    options: DecodingOptions,
    device: torch.device,
) -> Reading:
    """Let every peer read the clips: greedily, and with the decoder `sentences` also from that closed list.

    With several views each peer, and the ensemble, keeps for each clip the view of the most confident hypothesis.
    """
    rows, posteriors, losses, losses_together = [], {}, [], []
    for batches in zip(*(reader.plain(clips, options.batch_size, view) for view in options.views), strict=True):
        on_device = [batch.to(device) for batch in batches]
        with autocast(device, options.precision or "auto"):
            outputs = [cohort.infer(batch) for batch in on_device]
        batch = on_device[0]  # all but the pictures is the same in each
        by_peer = zip(*(peers for peers, _ in outputs), strict=True)
        logits = [most_confident(z, batch.lengths, reader.alphabet) for z in by_peer]
        ensemble = most_confident([logits_together for _, logits_together in outputs], batch.lengths, reader.alphabet)
        hypotheses = [greedy(z, batch.lengths, reader.alphabet) for z in logits]
        together = greedy(ensemble, batch.lengths, reader.alphabet)
        chosen = []
        if options.decoder == "sentences":
            chosen = [closed_list(z, batch.lengths, reader.alphabet, options.sentences) for z in logits]
        for z in logits:
            losses += ctc_per_clip(z, batch.lengths, batch.targets, batch.target_lengths).tolist()
        losses_together += ctc_per_clip(ensemble, batch.lengths, batch.targets, batch.target_lengths).tolist()
        probabilities = torch.stack(logits, 1).softmax(-1).half().cpu()  # (B, P, T, V)
        for index, clip in enumerate(batch.clips):
            row: dict[str, Any] = {
                "id": clip.id,
                "reference": clip.text,
                "hypotheses": [texts[index] for texts in hypotheses],
            }
            if chosen:
                row["closed_list"] = [texts[index] for texts in chosen]
            rows.append({**row, "ensemble": together[index]})
            posteriors[clip.id] = probabilities[index, :, : clip.n_frames].contiguous()
    return Reading(rows, posteriors, fmean(losses), fmean(losses_together), reader.alphabet.characters)


def rates(reading: Reading) -> dict[str, float]:
    """The metrics `val/…` and `peers/…` of docs/formats.md."""
    peers, ensemble = reading.count("letters")
    written, _ = reading.count("as-written")
    best = min(peers, key=lambda peer: (peer.wer, peer.cer))
    values = {
        "val/wer": fmean(p.wer for p in peers),
        "val/cer": fmean(p.cer for p in peers),
        "val/bleu": fmean(p.bleu for p in peers),
        "val/sentence_accuracy": fmean(p.sentence_accuracy for p in peers),
        "val/wer_best_peer": best.wer,
        "val/cer_best_peer": best.cer,
        "val/wer_ensemble": ensemble.wer,
        "val/cer_ensemble": ensemble.cer,
        "val/wer_as_written": fmean(p.wer for p in written),
        "val/cer_as_written": fmean(p.cer for p in written),
        "val/ctc": reading.ctc,
        "val/ctc_ensemble": reading.ctc_ensemble,
    }
    values |= peer_metrics(
        [row["hypotheses"] for row in reading.rows], [reading.posteriors[r["id"]] for r in reading.rows]
    )
    if chosen := reading.count_closed_list():
        values["val/wer_closed_list"] = fmean(p.wer for p in chosen)
        values["val/cer_closed_list"] = fmean(p.cer for p in chosen)
    for index, peer in enumerate(peers):
        values[f"val/wer/peer_{index}"] = peer.wer
        values[f"val/cer/peer_{index}"] = peer.cer
    return values


def load_cohort(folder: TrialFolder, which: Literal["last", "best"]) -> tuple[Cohort, TrialConfig, dict[str, Any]]:
    """The trained peers of a trial (their averages, where it has some), their configuration and the checkpoint's
    `info`."""
    tensors, info = checkpoint.load(folder.checkpoint(which))
    tensors = checkpoint.read_with(tensors)
    config = parse_config(info["config"], str(folder.checkpoint(which)))
    cohort = Cohort(config, picture=tuple(info["picture"]), n_words=0)
    try:
        cohort.load_inference_state(tensors)
    except (KeyError, RuntimeError) as error:
        what = f"no tensor {error}" if isinstance(error, KeyError) else str(error).splitlines()[-1].strip()
        raise LipkdError(f"checkpoint {folder.checkpoint(which)}: of another lipkd, or damaged ({what})") from error
    return cohort, config, info


def evaluate(
    path: Path,
    *,
    which: Literal["last", "best"] = "best",
    part: Literal["train", "val", "test"] = "val",
    device: str = "auto",
    options: DecodingOptions | None = None,
    store_path: Path | None = None,
) -> Reading:
    """Read one part of a trial's split again with its saved peers; `options` are by default the trial's.

    `store_path` is where the trial's clip store lies now, by default where it was. Raises LipkdError when the trial,
    its checkpoint or the part is missing, or when that is not the store that the trial was trained on.
    """
    folder = TrialFolder(path)
    cohort, config, _ = load_cohort(folder, which)
    store, parts = _saved_split(folder, store_path or folder.store())
    clips = parts[part]
    if not clips:
        raise LipkdError(f"trial {folder.name}: its split holds no {part!r} clips")
    reader = ClipReader(store, Alphabet(config.data.alphabet), config.data.crop, zoom=config.data.zoom)
    chosen = prepare_device(config.training.model_copy(update={"device": device}))
    options = options or decoding_options(config, (clip.text for clip in parts["train"]))
    options.check_letters(reader.alphabet)
    options = replace(options, precision=options.precision or config.training.precision)
    return read_clips(cohort.to(chosen), reader, clips, options, chosen)


def keep_test_predictions(folder: TrialFolder, device: str = "auto") -> None:
    """Read the test clips, where the split has some, with the best checkpoint, as the trial reads its validation clips,
    and write what they are read as. Nothing is chosen by it: it is what `lipkd compare` compares."""
    if folder.split()["test"]:
        write_jsonl(folder.predictions("test"), evaluate(folder.path, part="test", device=device).rows)


def decoding_options(config: TrialConfig, transcripts: Iterable[str]) -> DecodingOptions:
    """How a trial reads its validation clips, given the `transcripts` of its training clips."""
    training = config.training
    sentences = config.closed_list(transcripts)
    return DecodingOptions.of(sentences=sentences, batch_size=training.batch_size, precision=training.precision)


def trial_options(
    path: Path, *, sentences: Literal["train"] | tuple[str, ...] | None = None, store_path: Path | None = None
) -> DecodingOptions:
    """The decoding options of a saved trial, or the same with another closed list.

    Raises LipkdError as `evaluate` does, and for a sentence that the trial's alphabet cannot spell.
    """
    folder = TrialFolder(path)
    config = folder.config()
    if sentences is not None:
        config = parse_config({**config.to_json(), "evaluation": {"sentences": sentences}}, "--sentences")
    _, parts = _saved_split(folder, store_path or folder.store())
    return decoding_options(config, (clip.text for clip in parts["train"]))


def _saved_split(folder: TrialFolder, store_path: Path) -> tuple[ClipStore, dict[str, list[Clip]]]:
    """The store of a trial, and the clips of `train`, `val` and `test`."""
    store = ClipStore.open(store_path)
    saved = folder.split()
    if saved["store_digest"] != store.meta["digest"]:
        raise LipkdError(f"clip store {store.path}: not the one that trial {folder.name} was trained on")
    by_id = {clip.id: clip for clip in store.clips}
    return store, {part: [by_id[i] for i in saved[part]] for part in ("train", "val", "test")}
