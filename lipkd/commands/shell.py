"""Commands for the surroundings of lipkd: an editor that knows the files, a shell that completes the words."""

import argparse
import json
from collections.abc import Callable

from lipkd.commands.common import AddCommand


def add(command: AddCommand, parser_of_all: Callable[[], argparse.ArgumentParser]) -> None:
    """Add these commands to the parser; `parser_of_all` makes the whole command line, for the shell to complete."""
    schema = command("schema", _schema, "print the JSON schema of a trial file or of a sweep file")
    schema.add_argument("kind", choices=("trial", "sweep"))
    completion = command("completion", _completion, "print what a shell needs to complete lipkd's words")
    completion.add_argument("shell", choices=("bash", "zsh"))
    completion.set_defaults(parser_of_all=parser_of_all)


def _schema(arguments: argparse.Namespace) -> int:
    if arguments.kind == "trial":
        from lipkd.config.schema import trial_schema as schema
    else:
        from tuning.plan.schema import sweep_schema as schema
    print(json.dumps(schema(), indent=2))
    return 0


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(arguments.parser_of_all(), arguments.shell))
    return 0
