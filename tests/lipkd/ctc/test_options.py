"""Decoding options: what goes together, and what is refused."""

from typing import Any

import pytest

from lipkd.ctc.options import DecodingOptions
from lipkd.data.views import AS_TRAINED, TTA_VIEWS
from lipkd.errors import LipkdError
from lipkd.text import Alphabet


def test_the_options_of_a_user_decide_decoder_and_views() -> None:
    assert DecodingOptions.of() == DecodingOptions("greedy", (), (AS_TRAINED,), 8, None)
    assert DecodingOptions.of(sentences=["bin red"], tta=True, batch_size=2, precision="bf16") == DecodingOptions(
        "sentences", ("bin red",), TTA_VIEWS, 2, "bf16"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "best"}, "decoder = 'best': must be one of greedy, sentences"),
        ({"decoder": "sentences"}, "need each other"),
        ({"sentences": ("bin red",)}, "need each other"),
        ({"views": ()}, "views: at least one"),
        ({"batch_size": 0}, "batch size = 0: must be at least 1"),
        ({"precision": "fp8"}, "precision = 'fp8': must be one of auto, float32, bf16"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LipkdError, match=message):
        DecodingOptions(**options)


def test_a_sentence_that_the_alphabet_cannot_spell_is_refused() -> None:
    DecodingOptions.of(sentences=("Bin red.",)).check_letters(Alphabet())
    with pytest.raises(LipkdError, match="'7' not in the alphabet"):
        DecodingOptions.of(sentences=("bin red", "take 7")).check_letters(Alphabet())
