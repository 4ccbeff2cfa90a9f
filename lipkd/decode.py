"""From posteriors to text: what is likeliest frame by frame, or the likeliest sentence of a closed list."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lipkd.losses import ctc_log_likelihood
from lipkd.text import BLANK, Alphabet

ROWS = 2048  # clip–sentence pairs scored at once: bounds the memory for long lists


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


def closed_list(logits: Tensor, lengths: Tensor, alphabet: Alphabet, sentences: Sequence[str]) -> list[str]:
    """For each clip the sentence of the list with the highest CTC likelihood; the first of equals.

    logits (B, T, V); lengths (B,). The likelihood sums all alignments of the sentence, so lists of
    sentences of different length need no correction. Returns B strings, as they stand in the list.
    """
    return [sentences[i] for i in sentence_scores(logits, lengths, alphabet, sentences).argmax(1).tolist()]


@torch.no_grad()
def sentence_scores(logits: Tensor, lengths: Tensor, alphabet: Alphabet, sentences: Sequence[str]) -> Tensor:
    """ln p(sentence | clip) (B, N) of each of N sentences for each clip, on the CPU; logits (B, T, V), lengths (B,)."""
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
    return scores
