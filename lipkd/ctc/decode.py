"""From logits to hypotheses: the best path, or the likeliest sentence of a closed list; confidences and word times."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lipkd.ctc.forced_alignment import align
from lipkd.ctc.hypothesis import Hypothesis, spoken_words
from lipkd.ctc.losses import ctc_log_likelihood
from lipkd.ctc.options import DecodingOptions
from lipkd.text import BLANK, Alphabet

ROWS = 2048  # clip–sentence pairs scored at once: bounds the memory for long lists


@torch.no_grad()
def decode(
    logits: Tensor, lengths: Tensor, alphabet: Alphabet, fps: float, options: DecodingOptions
) -> list[Hypothesis]:
    """The hypotheses of B clips; logits (B, T, V), lengths (B,) valid frames, `fps` frames per second.

    Word times come from the likeliest alignment of the text to the frames. `options.views` is not used here: which
    view's logits count is decided before (`lipkd.ctc.tta`).
    """
    if options.decoder == "sentences":
        texts = closed_list(logits, lengths, alphabet, options.sentences)
    else:
        texts = greedy(logits, lengths, alphabet)
    confidence = confidences(logits, lengths, alphabet, texts)
    encoded = [torch.tensor(alphabet.encode(text), dtype=torch.long) for text in texts]
    targets = torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True)
    paths = align(logits, lengths, targets, torch.tensor([len(symbols) for symbols in encoded])).tolist()
    posteriors = logits.float().softmax(-1).cpu()
    hypotheses = []
    for row, (text, path, length) in enumerate(zip(texts, paths, lengths.tolist(), strict=True)):
        words = spoken_words(path[:length], posteriors[row], alphabet, fps)
        hypotheses.append(Hypothesis(text, confidence[row], words, length / fps))
    return hypotheses


def greedy(logits: Tensor, lengths: Tensor, alphabet: Alphabet) -> list[str]:
    """Best path decoding (Graves et al. 2006, section 3.2): the likeliest symbol of every frame,
    repeats merged, blanks dropped.

    logits (B, T, V); lengths (B,) valid frames. Returns B strings, without spaces at the ends.
    """
    best = logits.argmax(-1).cpu()
    texts = []
    for row, length in zip(best, lengths.tolist(), strict=True):
        path = torch.unique_consecutive(row[:length]).tolist()
        texts.append(" ".join(alphabet.decode([i for i in path if i != BLANK]).split()))
    return texts


@torch.no_grad()
def closed_list(logits: Tensor, lengths: Tensor, alphabet: Alphabet, sentences: Sequence[str]) -> list[str]:
    """For each clip the sentence of the list with the highest CTC likelihood; the first of equals.

    logits (B, T, V); lengths (B,). The likelihood sums all alignments of the sentence, so lists of
    sentences of different length need no correction. Returns B strings, as they stand in the list.
    """
    encoded = [torch.tensor(alphabet.encode(sentence)) for sentence in sentences]
    targets = torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True).to(logits.device)
    target_lengths = torch.tensor([len(symbols) for symbols in encoded])
    scores = torch.empty(len(logits), len(sentences))
    step = max(ROWS // len(logits), 1)
    for first in range(0, len(sentences), step):
        part, part_lengths = targets[first : first + step], target_lengths[first : first + step]
        scores[:, first : first + step] = ctc_log_likelihood(
            logits.repeat_interleave(len(part), 0),
            lengths.repeat_interleave(len(part)),
            part.repeat(len(logits), 1),
            part_lengths.repeat(len(logits)),
        ).reshape(len(logits), -1)
    return [sentences[i] for i in scores.argmax(1).tolist()]


@torch.no_grad()
def confidences(logits: Tensor, lengths: Tensor, alphabet: Alphabet, texts: Sequence[str]) -> list[float]:
    """How sure it is that each clip says its text: the L-th root of p(text | clip) for L letters; 0 for no text.

    logits (B, T, V), lengths (B,). Returns B numbers, 0–1. On the Italian clips it tells right from wrong better than
    the posteriors at the spikes do, or a sentence's share among those of a closed list (docs/results.md).
    """
    encoded = [torch.tensor(alphabet.encode(text), dtype=torch.long) for text in texts]
    counts = torch.tensor([len(symbols) for symbols in encoded])
    targets = torch.nn.utils.rnn.pad_sequence([*encoded, torch.zeros(1, dtype=torch.long)], batch_first=True)[:-1]
    likelihoods = ctc_log_likelihood(logits, lengths, targets.to(logits.device), counts)
    return torch.where(counts > 0, (likelihoods / counts.clamp(min=1)).exp(), 0.0).tolist()
