"""Numbers and times as they stand on the pages."""

import pytest

from dashboard.notation import duration, percent, visible


@pytest.mark.parametrize(("rate", "text"), [(0.1234, "12.3 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (None, "–")])
def test_rates_as_text(rate: float | None, text: str) -> None:
    assert percent(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (45, "45 s"), (120, "2 min"), (5400, "1.5 h"), (360000, "100.0 h")]
)
def test_times_in_the_unit_that_people_say(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_space_can_be_seen() -> None:
    assert visible(" ") == "␣" and visible("a") == "a"
