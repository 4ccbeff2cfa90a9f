"""How logits become hypotheses: the options of decoding, checked once and handed down as one value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lipkd.data.views import AS_TRAINED, TTA_VIEWS, View
from lipkd.errors import LipkdError
from lipkd.text import Alphabet

Decoder = Literal["greedy", "sentences"]
Precision = Literal["auto", "float32", "bf16"]


@dataclass(frozen=True)
class DecodingOptions:
    """Raises LipkdError for values that do not go together.

    `decoder`: `greedy` takes the best path, `sentences` the likeliest of the closed list `sentences`. `views`: with
    several, the one with the most confident hypothesis counts (lipkd.ctc.tta). `precision` None is that of training.
    """

    decoder: Decoder = "greedy"
    sentences: tuple[str, ...] = ()
    views: tuple[View, ...] = (AS_TRAINED,)
    batch_size: int = 8
    precision: Precision | None = None

    def __post_init__(self) -> None:
        if self.decoder not in get_args(Decoder):
            raise LipkdError(f"decoder = {self.decoder!r}: must be one of {', '.join(get_args(Decoder))}")
        if (self.decoder == "sentences") != bool(self.sentences):
            raise LipkdError("sentences: a closed list and decoder = 'sentences' need each other")
        if not self.views:
            raise LipkdError("views: at least one")
        if self.batch_size < 1:
            raise LipkdError(f"batch size = {self.batch_size}: must be at least 1")
        if self.precision not in (None, *get_args(Precision)):
            raise LipkdError(f"precision = {self.precision!r}: must be one of {', '.join(get_args(Precision))}")

    @classmethod
    def of(
        cls,
        *,
        sentences: Sequence[str] = (),
        tta: bool = False,
        batch_size: int = 8,
        precision: Precision | None = None,
    ) -> "DecodingOptions":
        """The options as a user gives them: the closed list decides the decoder, `tta` takes TTA_VIEWS."""
        views = TTA_VIEWS if tta else (AS_TRAINED,)
        return cls("sentences" if sentences else "greedy", tuple(sentences), views, batch_size, precision)

    def check_letters(self, alphabet: Alphabet) -> None:
        """Raises LipkdError for a sentence with a letter outside the alphabet."""
        for sentence in self.sentences:
            alphabet.encode(sentence)
