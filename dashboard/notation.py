"""How numbers are written on every page: rates in percent, times in the unit that people say."""


def percent(rate: float | None) -> str:
    """A rate (0–1): `12.3 %`, a dash when there is none."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


def duration(seconds: float | None) -> str:
    """A time: `45 s`, `12 min`, `3.4 h`, a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def visible(symbol: str) -> str:
    """A symbol as it is drawn: the space has a mark of its own."""
    return "␣" if symbol == " " else symbol
