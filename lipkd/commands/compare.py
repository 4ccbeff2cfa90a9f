"""The command `lipkd compare`."""

import argparse
import json
from pathlib import Path

from lipkd.commands.common import AddCommand
from lipkd.errors import LipkdError


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    compare = command("compare", _compare, "say whether one method is better than another, and how sure that is")
    compare.add_argument(
        "trials", type=Path, nargs="+", metavar="FOLDER", help="a sweep, or trials of one method (one per seed)"
    )
    compare.add_argument(
        "--against", type=Path, nargs="+", metavar="TRIAL", help="trials of the other method (default: the controls)"
    )
    compare.add_argument(
        "--width", type=float, metavar="W", help="with --against: only peers of this width (default: all they share)"
    )
    form = compare.add_mutually_exclusive_group()
    form.add_argument("--table", action="store_true", help="a row per comparison and rate instead of sentences")
    form.add_argument("--json", action="store_true", help="all numbers as JSON; rates are 0-1, differences A - B")


def _compare(arguments: argparse.Namespace) -> int:
    from lipkd.evaluation.compare import compare, compare_sweep
    from lipkd.evaluation.comparison import table
    from lipkd.trial import TrialFolder

    def folders(paths: list[Path]) -> list[TrialFolder]:
        return [
            TrialFolder(found.parent)
            for path in paths
            for found in sorted([*path.glob("config.json"), *path.glob("*/config.json")])
        ]

    trials = folders(arguments.trials)
    if arguments.width is not None and not arguments.against:
        raise LipkdError(f"--width {arguments.width:g}: goes with --against; without, every width is compared")
    if arguments.against:
        found = [compare(trials, folders(arguments.against), width=arguments.width)]
    else:
        found = compare_sweep(trials)
    if not found:
        raise LipkdError(f"{arguments.trials[0]}: no finished cohort with a control to compare it with")
    if arguments.json:
        print(json.dumps([comparison.to_json() for comparison in found], indent=2))
    elif arguments.table:
        print(table(found))
    else:
        for comparison in found:
            print(comparison.heading())
            print("  " + comparison.verdict().replace("\n", "\n  "))
    return 0
