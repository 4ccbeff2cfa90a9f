"""The dashboard's folders import one way: each only what stands before it here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import dashboard

ROOM = Path(dashboard.__file__).parent
GROUND = ("notation", "server_settings")  # modules that everybody may use
ORDER = (
    *GROUND,
    *("tracking", "errors", "analysis", "charts", "media", "upload", "components"),
    *("cache", "shell", "views", "launch", "serve", "app", "bench"),
)


def part_of(module: str) -> str:
    """`dashboard.views.errors` lies in `views`; the room itself, which imports nothing, in none."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> Iterator[str]:
    """The parts of the dashboard that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dashboard":
            names = [node.module or ""] if node.module != "dashboard" else [f"dashboard.{a.name}" for a in node.names]
            yield from map(part_of, names)
        elif isinstance(node, ast.Import):
            yield from (part_of(alias.name) for alias in node.names if alias.name.startswith("dashboard."))


def test_every_part_has_a_place_in_the_order() -> None:
    parts = {path.stem for path in ROOM.glob("*.py")} | {path.parent.name for path in ROOM.glob("*/__init__.py")}
    assert parts - {"__init__"} == set(ORDER)


def test_imports_go_one_way() -> None:
    wrong = []
    for path in sorted(ROOM.rglob("*.py")):
        own = path.relative_to(ROOM).with_suffix("").parts[0]
        above = {part for part in imported(path) if own != "__init__" and ORDER.index(part) > ORDER.index(own)}
        wrong += [f"{path.relative_to(ROOM)} imports {part}" for part in sorted(above)]
    assert not wrong
