"""The data of one trial: which clips are trained on and which are held out, and how they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lipkd.config.trial_config import TrialConfig
from lipkd.ctc.options import DecodingOptions
from lipkd.data.loader import ClipReader
from lipkd.data.splits import make_split
from lipkd.data.store import Clip, ClipStore
from lipkd.errors import LipkdError
from lipkd.evaluation.evaluate import decoding_options
from lipkd.text import Alphabet


@dataclass(frozen=True)
class TrialData:
    """What `build_data` finds; a copy with fewer clips gives a short epoch of the same trial.

    `options` says how the validation clips are read. `vocabulary` numbers the words of the training clips from 1 on,
    for the word-level warm start; empty without one.
    `split` is what `split.json` holds. `picture` is the (height, width, channels) that the networks see.
    """

    reader: ClipReader
    train: Sequence[Clip]
    val: Sequence[Clip]
    options: DecodingOptions
    vocabulary: dict[str, int]
    picture: tuple[int, int, int]
    fps: float
    split: dict[str, Any]


def build_data(config: TrialConfig) -> TrialData:
    """Open a trial's store and split it. Raises LipkdError when they are not what the configuration says."""
    store = ClipStore.open(config.data.store)
    if config.data.digest not in (None, store.meta["digest"]):
        raise LipkdError(f"clip store {store.path}: holds other clips than when this was planned")
    split = make_split(store, config.data)
    by_id = {clip.id: clip for clip in store.clips}
    train = [by_id[i] for i in split.train]
    alphabet = Alphabet(config.data.alphabet)
    words = sorted({alphabet.letters(word) for clip in train for word, _, _ in clip.words})
    vocabulary = {word: index for index, word in enumerate(words, 1)} if config.training.word_weight else {}
    reader = ClipReader(store, alphabet, config.data.crop, vocabulary, config.data.zoom)
    return TrialData(
        reader=reader,
        train=train,
        val=[by_id[i] for i in split.val],
        options=decoding_options(config, (clip.text for clip in train)),
        vocabulary=vocabulary,
        picture=(*reader.size, int(store.meta["channels"])),
        fps=store.clips[0].fps,
        split={**split.to_json(), "store_digest": store.meta["digest"]},
    )
