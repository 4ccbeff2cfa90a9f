"""Read YAML (and so JSON) that somebody else may have written: bounded in size and depth, and no key twice.

A few lines of YAML can stand for billions of values, through aliases of aliases, or nest deeper than Python can follow.
So the events of the text are counted, each alias as what it stands for, before anything is built from them.
"""

from pathlib import Path
from typing import Any

import yaml

from lipkd.errors import LipkdError

LARGEST_BYTES = 4 * 2**20
MOST_VALUES = 50_000
DEEPEST = 50
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, in C where the wheel has it


def load_yaml(path: str | Path) -> Any:
    """The content of a YAML file; raises LipkdError when it is missing, not YAML, or larger than any of lipkd's is."""
    path = Path(path)
    try:
        if (size := path.stat().st_size) > LARGEST_BYTES:
            raise LipkdError(f"{path}: {size / 2**20:.0f} MiB; a YAML file may have {LARGEST_BYTES // 2**20} MiB")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise LipkdError(f"{path}: cannot be read ({reason})") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """The content of a YAML text; raises LipkdError as `load_yaml`."""
    try:
        _check(text, where)
        return yaml.load(text, Loader=_LOADER)
    except LipkdError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise LipkdError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from error


def _check(text: str, where: str) -> None:
    """Raise LipkdError for a text that stands for too much, nests too deep or has a key twice in one mapping."""
    anchors: dict[str | None, int] = {}  # values that an anchor stands for
    open_nodes: list[_Node] = [_Node(None, False)]
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.CollectionEndEvent):
            node = open_nodes.pop()
            _count(open_nodes[-1], node.values, node.anchor, anchors)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes[-1].key(None)
            open_nodes.append(_Node(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            if len(open_nodes) > DEEPEST:
                raise LipkdError(f"{where}, line {line}: nested deeper than {DEEPEST} levels")
        elif isinstance(event, yaml.AliasEvent):
            open_nodes[-1].key(None)
            if event.anchor not in anchors:
                raise LipkdError(f"{where}, line {line}: *{event.anchor} is an alias of nothing, or of itself")
            _count(open_nodes[-1], anchors[event.anchor], None, anchors)
        elif isinstance(event, yaml.ScalarEvent):
            if open_nodes[-1].key(event.value):
                raise LipkdError(f"{where}, line {line}: {event.value} appears twice in one mapping")
            _count(open_nodes[-1], 1, event.anchor, anchors)
        if open_nodes[-1].values > MOST_VALUES:
            raise LipkdError(f"{where}, line {line}: is an alias of more than {MOST_VALUES} values")


class _Node:
    """A list or mapping that is being read: how many values it stands for so far, and its keys."""

    def __init__(self, anchor: str | None, mapping: bool) -> None:
        self.anchor, self.mapping = anchor, mapping
        self.values, self.children = 1, 0
        self.keys: set[str] = set()

    def key(self, text: str | None) -> bool:
        """Note the next child, a scalar's text or None; whether it is a key that is there already."""
        self.children += 1
        if not self.mapping or self.children % 2 == 0 or text in (None, "<<"):
            return False
        twice = text in self.keys
        self.keys.add(str(text))
        return twice


def _count(node: _Node, values: int, anchor: str | None, anchors: dict[str | None, int]) -> None:
    node.values += values
    if anchor is not None:
        anchors[anchor] = values
