"""Text that can be read on any ground: contrast of colours as the web's accessibility guidelines (WCAG 2) count it."""

INKS = ("#000000", "#ffffff")


def blended(colour: str, ground: str, cover: float) -> str:
    """A colour painted over a ground (both `#rrggbb`) with an opacity of `cover` (0-1)."""
    mixed = [round(cover * top + (1 - cover) * below) for top, below in zip(_rgb(colour), _rgb(ground), strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def readable_on(ground: str) -> str:
    """Black or white, whichever stands out more; the ratio is never below 4.5."""
    return max(INKS, key=lambda ink: contrast(ink, ground))


def contrast(one: str, other: str) -> float:
    """The ratio of their luminances, 1 for the same colour and 21 for black and white."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    shares = [part / 255 for part in _rgb(colour)]
    red, green, blue = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
