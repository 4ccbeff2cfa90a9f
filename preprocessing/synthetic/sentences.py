"""The grammar of the synthetic corpus, and how long each letter of a sentence is said.

Commands of six words, one from each slot. Within a slot no two words look alike on the lips, even
where letters do (p, b, m; f, v; t, d, n), so a sentence can be read from the mouth; 5,120 sentences
exist. How long a clip is says nothing about them: the time for a sentence is drawn before it is
known which words share it.
"""

from dataclasses import dataclass

import numpy as np

from preprocessing.corpus.align_file import UNITS, Segment

SLOTS = (
    ("put", "move", "show", "give", "lay"),
    ("blue", "red", "gold", "jade"),
    ("cup", "box", "leaf", "shoe"),
    ("by", "over", "near", "with"),
    ("desk", "fire", "bowl", "sea"),
    ("now", "again", "today", "first"),
)
REST = " "  # the lips at rest, before and after the sentence
SILENCE_FRAMES = (3, 10)  # at each end
VOWELS = frozenset("aeiouy")
VOWEL, CONSONANT = 1.25, 1.0  # relative lengths
LETTER_SPREAD, TIME_SPREAD = 0.15, 0.06  # of a letter's and a sentence's length, as sigmas of log-normals
WORD_LETTERS = sum(sum(map(len, slot)) / len(slot) for slot in SLOTS) / len(SLOTS)  # of a mean word


@dataclass(frozen=True)
class Spoken:
    """A sentence in time: `sounds` are (letter, start, end) in frames, the rests at both ends included."""

    words: tuple[str, ...]
    sounds: tuple[tuple[str, float, float], ...]
    segments: tuple[Segment, ...]
    n_frames: int


def draw_sentence(rng: np.random.Generator) -> tuple[str, ...]:
    """One word of every slot, all equally likely."""
    return tuple(slot[rng.integers(len(slot))] for slot in SLOTS)


def speak(words: tuple[str, ...], pace: float, rng: np.random.Generator) -> Spoken:
    """Say `words` at `pace` (mean frames per letter): letter times, word alignment and clip length.

    Words begin and end on whole frames, as an alignment file has them.
    """
    head, tail = (int(rng.integers(SILENCE_FRAMES[0], SILENCE_FRAMES[1] + 1)) for _ in range(2))
    spoken_frames = round(pace * WORD_LETTERS * len(words) * float(np.exp(TIME_SPREAD * rng.standard_normal())))
    letters = "".join(words)
    lengths = np.array([VOWEL if letter in VOWELS else CONSONANT for letter in letters])
    lengths *= np.exp(LETTER_SPREAD * rng.standard_normal(len(letters)))
    times = head + spoken_frames * np.cumsum([0.0, *lengths]) / lengths.sum()

    sounds, segments = [(REST, 0.0, float(head))], [Segment(0, head * UNITS, "sil")]
    first, start = 0, head
    for word in words:
        last = first + len(word)
        end = round(float(times[last]))
        edges = start + (times[first : last + 1] - times[first]) * (end - start) / (times[last] - times[first])
        sounds += [(letter, float(edges[i]), float(edges[i + 1])) for i, letter in enumerate(word)]
        segments.append(Segment(start * UNITS, end * UNITS, word))
        first, start = last, end
    n_frames = start + tail
    sounds.append((REST, float(start), float(n_frames)))
    segments.append(Segment(start * UNITS, n_frames * UNITS, "sil"))
    return Spoken(words, tuple(sounds), tuple(segments), n_frames)
