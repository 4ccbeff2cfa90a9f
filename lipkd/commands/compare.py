"""The command `lipkd compare`."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lipkd.commands.common import AddCommand
from lipkd.errors import LipkdError

if TYPE_CHECKING:
    from lipkd.evaluation.power import Plan

NOTHING = "no finished cohort with a control to compare it with"


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    compare = command("compare", _compare, "compare methods: better, worse or not shown, with an interval")
    compare.add_argument(
        "trials", type=Path, nargs="+", metavar="FOLDER", help="a sweep, or trials of one method (one per seed)"
    )
    compare.add_argument(
        "--against", type=Path, nargs="+", metavar="TRIAL", help="trials of the other method (default: the controls)"
    )
    compare.add_argument(
        "--width", type=float, metavar="W", help="with --against: only peers of this width (default: all they share)"
    )
    compare.add_argument(
        "--plan", action="store_true", help="what these trials can show, and how many seeds, speakers or clips would do"
    )
    compare.add_argument(
        "--points", type=_points, default=(2.0, 5.0, 10.0), metavar="P,…", help="with --plan: differences (2,5,10)"
    )
    form = compare.add_mutually_exclusive_group()
    form.add_argument("--table", action="store_true", help="a row per comparison and rate instead of sentences")
    form.add_argument("--json", action="store_true", help="all numbers as JSON; rates are 0-1, differences A - B")


def _points(text: str) -> tuple[float, ...]:
    """2,5,10 as (2.0, 5.0, 10.0), for argparse."""
    try:
        points = tuple(float(part) for part in text.split(","))
    except ValueError:
        points = ()
    if not points or not all(0 < value <= 100 for value in points):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of points between 0 and 100, like 2,5,10")
    return points


def _compare(arguments: argparse.Namespace) -> int:
    from lipkd.evaluation.clip_errors import ErrorTable, Readable
    from lipkd.evaluation.compare import compare, compare_sweep, usable
    from lipkd.evaluation.comparison import table
    from lipkd.evaluation.power import plans
    from lipkd.trial import TrialFolder

    def folders(paths: list[Path]) -> list[Readable]:
        return [
            TrialFolder(found.parent)
            for path in paths
            for found in sorted([*path.glob("config.json"), *path.glob("*/config.json")])
        ]

    trials = folders(arguments.trials)
    against = folders(arguments.against or [])
    if arguments.width is not None and not arguments.against:
        raise LipkdError(f"--width {arguments.width:g}: needs --against; without it every width is compared")
    errors = ErrorTable()
    if not against:
        trials, left_out = usable(trials, errors)
        _print_left_out(left_out)
    if arguments.plan:
        return _plan(arguments, plans(trials, against, arguments.width, arguments.points, errors))
    if arguments.against:
        found = [compare(trials, against, width=arguments.width)]
    else:
        found = compare_sweep(trials, errors)
    if not found:
        raise LipkdError(f"{arguments.trials[0]}: {NOTHING}")
    if arguments.json:
        print(json.dumps([comparison.to_json() for comparison in found], indent=2))
    elif arguments.table:
        print(table(found))
    else:
        for comparison in found:
            print(comparison.heading())
            print("  " + comparison.verdict().replace("\n", "\n  "))
    return 0


def _print_left_out(left_out: dict[str, str]) -> None:
    """A line per reason on stderr, with the trials that have it, of many the first."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"left out {', '.join(names[:3])}{more}: {reason}", file=sys.stderr)


def _plan(arguments: argparse.Namespace, found: "list[tuple[str, list[Plan] | str]]") -> int:
    if not found:
        raise LipkdError(f"{arguments.trials[0]}: {NOTHING}")
    if arguments.json:
        rows = [
            {
                "comparison": heading,
                **({"reason": made} if isinstance(made, str) else {"plans": [p.to_json() for p in made]}),
            }
            for heading, made in found
        ]
        print(json.dumps(rows, indent=2))
        return 0
    for heading, made in found:
        print(heading)
        for text in [made] if isinstance(made, str) else [plan.text() for plan in made]:
            print("  " + text.replace("\n", "\n  "))
    return 0
