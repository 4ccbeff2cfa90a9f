"""model.json, the card of a deployed model: read and checked before anything is built from it."""

import json
from pathlib import Path
from typing import Any, get_args

from lipkd.ctc.options import Precision
from lipkd.model.lipnet import NetworkShape
from lipkd.text import Alphabet

CARD = "model.json"
FORMAT = 2
LARGEST_SIDE = 4096  # pixels
LARGEST_LAYER = 65_536  # channels or units
REQUIRED = ("alphabet", "network", "pictures", "preprocessing", "precision", "weights_sha256")


def read_card(folder: Path) -> dict[str, Any]:
    """The content of the card in a model's folder.

    Raises FileNotFoundError when there is none, other OSErrors when it cannot be read, and ValueError with the field,
    its value and what is allowed when it is not the card of a model.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{CARD} is nested too deep") from error
    if not isinstance(card, dict):
        raise ValueError(f"{CARD} holds no object")
    if card.get("format") != FORMAT:
        raise ValueError(f"format {card.get('format')!r}, this lipkd reads {FORMAT}: make it again with `lipkd deploy`")
    if missing := [name for name in REQUIRED if name not in card]:
        raise ValueError(f"{CARD} lacks {', '.join(missing)}")
    if not isinstance(card["alphabet"], str):
        raise ValueError(f"alphabet = {card['alphabet']!r}: must be a text")
    shape, symbols = shape_of(card), Alphabet(card["alphabet"]).size
    if shape.symbols != symbols:
        raise ValueError(f"network.symbols = {shape.symbols}: the alphabet and the blank are {symbols}")
    _whole(card, "pictures", "height", LARGEST_SIDE)
    _whole(card, "pictures", "width", LARGEST_SIDE)
    if _whole(card, "pictures", "channels", 3) != shape.picture_channels:
        raise ValueError(f"pictures.channels = {card['pictures']['channels']}: the network's are another number")
    _number(card, "pictures", "fps", 10_000)
    for side in ("height", "width"):
        if _whole(card, "preprocessing", side, LARGEST_SIDE) != getattr(shape, side):
            raise ValueError(f"preprocessing.{side} = {card['preprocessing'][side]}: the network's is another")
    if _number(card, "preprocessing", "zoom", 4) < 1:
        raise ValueError(f"preprocessing.zoom = {card['preprocessing']['zoom']}: must be from 1 to 4")
    if card["precision"] not in get_args(Precision):
        raise ValueError(f"precision = {card['precision']!r}: must be one of {', '.join(get_args(Precision))}")
    if not isinstance(card["weights_sha256"], str):
        raise ValueError("weights_sha256: must be a text")
    return card


def shape_of(card: dict[str, Any]) -> NetworkShape:
    """The network's shape; raises ValueError when a size is missing or out of its range."""
    channels = _part(card, "network").get("channels")
    if not isinstance(channels, list) or len(channels) != 3:
        raise ValueError(f"network.channels = {channels!r}: must be three numbers")
    layers = {"network.channels": {str(index): value for index, value in enumerate(channels)}}
    first, second, third = (_whole(layers, "network.channels", index, LARGEST_LAYER) for index in ("0", "1", "2"))
    return NetworkShape(
        (first, second, third),
        _whole(card, "network", "hidden", LARGEST_LAYER),
        _whole(card, "network", "height", LARGEST_SIDE),
        _whole(card, "network", "width", LARGEST_SIDE),
        _whole(card, "network", "picture_channels", 3),
        _whole(card, "network", "symbols", LARGEST_LAYER),
    )


def _part(card: dict[str, Any], name: str) -> dict[str, Any]:
    part = card[name]
    if not isinstance(part, dict):
        raise ValueError(f"{name} = {part!r}: must be an object")
    return part


def _whole(card: dict[str, Any], part: str, name: str, most: int) -> int:
    value = _part(card, part).get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{part}.{name} = {value!r}: must be a whole number from 1 to {most}")
    return value


def _number(card: dict[str, Any], part: str, name: str, most: float) -> float:
    value = _part(card, part).get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValueError(f"{part}.{name} = {value!r}: must be a number above 0, up to {most}")
    return float(value)
