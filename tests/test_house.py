"""The house rules that no linter knows: who may import whom, what lies where, which packages go together."""

import ast
import base64
import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "lipkd": set(),
    "preprocessing": {"lipkd"},
    "tuning": {"lipkd"},
    "dashboard": {"lipkd", "preprocessing"},
}
ROOMS = set(MAY_IMPORT)
STRANGERS = {"ray", "mlflow", "streamlit", "optuna", "cv2", "mediapipe"}  # to the learning core
COMPOSITION_ROOT = "lipkd/commands/"
TOP_LEVEL = {
    *ROOMS,
    *("tests", "docs", "mlruns", ".ci"),
    *("pyproject.toml", "constraints.txt", "Makefile", "README.md", ".gitignore"),
    *("LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
}
MOST_MODULES = 9  # directly in a room; more want folders
LONGEST = 400  # lines; a longer file has two subjects


def tracked_files() -> list[Path]:
    """Files that are in the repository or would be after `git add`, relative to its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: what is ignored cannot be told from what is not")
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def sources(room: str) -> list[str]:
    """Python files of a room, relative to the repository's root."""
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / room).rglob("*.py"))


def imported_packages(tree: ast.AST) -> Iterator[str]:
    """Top-level names of everything that a piece of code imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield (node.module or "").partition(".")[0]


def parse(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), source)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_import_only_the_rooms_they_may(room: str) -> None:
    may = MAY_IMPORT[room] | {room}
    wrong = {
        source: sorted(others)
        for source in sources(room)
        if not source.startswith(COMPOSITION_ROOT) and (others := ROOMS & set(imported_packages(parse(source))) - may)
    }
    assert sources(room) and not wrong


def test_the_composition_root_reaches_the_rooms_only_from_inside_functions() -> None:
    trees = [parse(source) for source in sources("lipkd") if source.startswith(COMPOSITION_ROOT)]
    outside = [node for tree in trees for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    at_once = {name for node in outside for name in imported_packages(node)}
    assert at_once <= {*sys.stdlib_module_names, "lipkd"}
    assert {name for tree in trees for name in imported_packages(tree)} >= ROOMS


def test_the_learning_core_loads_no_stranger() -> None:
    modules = [Path(s).with_suffix("").as_posix().replace("/", ".") for s in sources("lipkd") if "__" not in s]
    script = "import importlib, json, sys\n[importlib.import_module(name) for name in sys.argv[1:]]\n"
    script += "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    ran = subprocess.run([sys.executable, "-c", script, *modules], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout))
    assert {"lipkd", "torch"} <= loaded
    assert not loaded & (STRANGERS | ROOMS - {"lipkd"})


def modules_of(room: str) -> dict[str, str]:
    """Dotted name → source of a room's modules; its own `__init__`, which only offers what lies in it, is not one."""
    names = {source: Path(source).with_suffix("").as_posix().replace("/", ".") for source in sources(room)}
    return {name.removesuffix(".__init__"): source for source, name in names.items() if name != f"{room}.__init__"}


def imported_modules(tree: ast.AST, known: Collection[str]) -> set[str]:
    """The `known` modules that a piece of code imports at run time, wherever the import stands."""
    for_types = {id(node) for branch in ast.walk(tree) if is_for_types(branch) for node in ast.walk(branch)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types:
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import) and id(node) not in for_types:
            found |= {alias.name for alias in node.names}
    return found & set(known)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other, in order, the first of them again at the end; empty where there are none."""
    done: set[str] = set()

    def visit(name: str, above: list[str]) -> list[str]:
        if name in above:
            return [*above[above.index(name) :], name]
        if name not in done:
            for other in sorted(imports.get(name, ())):
                if found := visit(other, [*above, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(imports) if (found := visit(name, []))), [])


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports_go_one_way(room: str) -> None:
    """No circle of modules, not even through an import in a function, and none of a room's folders."""
    modules = modules_of(room)
    imports = {name: imported_modules(parse(source), modules) - {name} for name, source in modules.items()}
    assert circle(imports) == []

    def folder(name: str) -> str:
        return ".".join(name.split(".")[:2])

    folders: dict[str, set[str]] = {}
    for name, others in imports.items():
        folders.setdefault(folder(name), set()).update({folder(other) for other in others} - {folder(name)})
    assert circle(folders) == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_few_modules_lie_directly_in_a_room(room: str) -> None:
    direct = [source for source in sources(room) if source.count("/") == 1 and "__" not in source]
    assert 0 < len(direct) <= MOST_MODULES


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_folder_says_in_a_sentence_what_lives_there(room: str) -> None:
    for folder in sorted({Path(source).parent for source in sources(room)}):
        sentence, _, _ = (ast.get_docstring(parse(f"{folder}/__init__.py")) or "").partition("\n")
        assert len(sentence.split()) > 2 and sentence.endswith((".", ",")), folder


def test_the_top_level_holds_only_what_was_agreed() -> None:
    assert {path.parts[0] for path in tracked_files()} <= TOP_LEVEL


def test_no_file_is_long() -> None:
    python = [path for path in tracked_files() if path.suffix == ".py"]
    long = {str(path): n for path in python if (n := len((ROOT / path).read_bytes().splitlines())) > LONGEST}
    assert python and not long


def test_constraints_are_plain_and_cover_what_pulls_against_each_other() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert not [line for line in lines if "/" in line or "@" in line or "+" in line]
    assert tuple(map(int, pins["numpy"].split("."))) < (2, 3)
    assert pins["opencv-python"] == pins["opencv-contrib-python"]
    assert pins["torch"].startswith("2.13.")


def test_exactly_one_cv2_is_installed() -> None:
    """Every file in the folder cv2 is the one that opencv-contrib-python brought (see the Makefile)."""
    import cv2

    files = importlib.metadata.files("opencv-contrib-python") or []
    shared = [file for file in files if file.parts[0] == "cv2" and file.hash is not None]
    overwritten = []
    for file in shared:
        digest = hashlib.sha256(Path(str(file.locate())).read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != (file.hash.value if file.hash else ""):
            overwritten.append(str(file))
    assert len(shared) > 50 and not overwritten
    versions = {importlib.metadata.version(name) for name in ("opencv-python", "opencv-contrib-python")}
    assert len(versions) == 1 and versions.pop().startswith(cv2.__version__)
