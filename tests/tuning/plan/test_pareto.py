import math

from lipkd.trial import Report
from tuning.plan.pareto import best_value, trade_offs, usual_value


def test_best_and_usual_values() -> None:
    reports = [Report(i, 0.0, {"a": v}) for i, v in enumerate((3.0, 1.0, math.nan, 7.0), 1)]
    assert best_value(reports, "a", "min") == 1.0
    assert best_value(reports, "a", "max") == 7.0
    assert best_value(reports, "b", "min") is None
    assert usual_value(reports, "a") == 3.0
    assert usual_value(reports, "b") is None


def test_who_is_beaten_by_nobody() -> None:
    """(error, cost): b is as good as a and dearer, d is worse and dearer than c."""
    values = {"a": (0.5, 1.0), "b": (0.5, 2.0), "c": (0.3, 3.0), "d": (0.4, 4.0), "e": (0.2, 9.0)}
    assert trade_offs(values, "min") == ["a", "c", "e"]
    assert trade_offs({name: (-v, c) for name, (v, c) in values.items()}, "max") == ["a", "c", "e"]
    assert trade_offs({}, "min") == []
