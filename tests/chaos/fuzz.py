"""Damage every file of a trial, a sweep, a store, a model and a database in turn; lipkd must say so and harm nothing.

    python -m tests.chaos.fuzz [--seed N] [--only trial,store,model,sweep,database] [--keep FOLDER]

Each file is cut, emptied, one byte of it flipped, its JSON given another type, or removed. Then the commands that read
it are called. None may end in a traceback or in another exit code than 0 to 3; a refusal is one sentence; a flipped
byte in weights is refused; no other file of the world changes. Where the sentence says to remove the file, it is
removed, and training must work again. A line per wrong outcome, and a summary per subject; exit code 1 when any was.
"""

import argparse
import contextlib
import io
import multiprocessing
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from lipkd.cli import main as lipkd
from tests.chaos.arena import make_store

DAMAGES = ("cut", "empty", "flipped", "wrong type", "gone")
SUBJECTS = ("trial", "store", "model", "sweep", "database")
# What a command may write anew, or appends to, beside what it is called for.
MAY_CHANGE = {".lock", ".sync.lock", ".driver.lock", "sync.json", "mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
MAY_CHANGE |= {"provenance.json", "config.json", "split.json", "state.json", "failure.txt", ".mlflow.db.lock"}


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code (-1 for a traceback) and all that it wrote."""

    code: int
    text: str

    @property
    def refusal(self) -> str:
        return next((line for line in self.text.splitlines() if line.startswith("lipkd: ")), "")


def call(*words: str) -> Outcome:
    """`lipkd WORDS` in a process of its own, forked from this one, where the libraries are loaded already."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(words, theirs))
    process.start()
    theirs.close()
    try:
        outcome: Outcome = ours.recv()
    except EOFError:
        outcome = Outcome(-1, "the process died")
    process.join()
    return outcome


def _run(words: tuple[str, ...], connection: "multiprocessing.connection.Connection") -> None:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        try:
            code = lipkd(words)
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
            code = -1
    connection.send(Outcome(code, written.getvalue()))


class World:
    """A store, two trained trials under one sweep, a deployed model and the database that tracks them."""

    def __init__(self, root: Path) -> None:
        self.root, self.backup = root / "world", root / "backup"
        self.store = make_store(self.root / "store")
        self.mlruns = self.root / "mlruns"
        self.sweep = self.mlruns / "sweeps" / "single"
        self.configs = []
        for seed in (0, 1):
            config = {
                "seed": seed,
                "data": {"store": str(self.store), "scenario": "unseen", "val_speakers": ["ben"]},
                "network": {"name": "lipnet-128", "width": 0.05},
                "training": {"epochs": 2, "batch_size": 2, "word_weight": 0, "threads": 1, "device": "cpu"},
            }
            path = self.root / f"trial-{seed}.yaml"
            path.write_text(yaml.safe_dump(config), encoding="utf-8")
            self.configs.append(path)
            self.expect(self.train(seed))
        self.model = self.root / "model"
        deployed = ("deploy", str(self.trial), "--out", str(self.model), "--no-register", *self.tracked)
        self.expect(call(*deployed))
        self.expect(call("sync", *self.tracked))
        shutil.copytree(self.root, self.backup)

    @property
    def tracked(self) -> tuple[str, str]:
        return "--mlruns", str(self.mlruns)

    @property
    def trial(self) -> Path:
        return self.sweep / "trial-0"

    def train(self, seed: int = 0) -> Outcome:
        return call("train", str(self.configs[seed]), "--out", str(self.sweep / f"trial-{seed}"), *self.tracked)

    @staticmethod
    def expect(outcome: Outcome) -> None:
        if outcome.code != 0:
            raise SystemExit(f"the sound world is refused, exit code {outcome.code}: {outcome.text}")

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.backup, self.root)

    def content(self) -> dict[str, bytes]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def files(self, subject: str) -> list[Path]:
        """The files of a subject, in order; those that nobody reads are left out."""
        folder = {"trial": self.trial, "store": self.store, "model": self.model}.get(subject)
        if folder is not None:
            return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock",))
        if subject == "database":
            return [self.mlruns / "mlflow.db"]
        return [self.trial / name for name in ("config.json", "journal.jsonl", "split.json", "state.json", "sync.json")]

    def commands(self, subject: str) -> list[tuple[str, ...]]:
        """What reads a subject's files."""
        trial, other = str(self.trial), str(self.sweep / "trial-1")
        readers: dict[str, list[tuple[str, ...]]] = {
            "trial": [
                ("train", str(self.configs[0]), "--out", trial, *self.tracked),
                ("evaluate", trial, "--device", "cpu"),
                ("compare", trial, "--against", other),
                ("deploy", trial, "--no-register", "--out", str(self.root / "another"), *self.tracked),
            ],
            "store": [
                ("prepare", "--check", str(self.store)),
                ("inspect", str(self.store), str(self.root / "page.html")),
                ("evaluate", trial, "--device", "cpu"),
            ],
            "model": [("predict", str(self.model), "--store", str(self.store), "--device", "cpu")],
            "sweep": [("sync", str(self.sweep), *self.tracked)],
            "database": [("sync", str(self.sweep), *self.tracked)],
        }
        return readers[subject]


def damage(path: Path, how: str, dice: random.Random) -> bool:
    """Damage a file; whether it could be damaged that way."""
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
        return True
    if how == "wrong type" and path.suffix not in (".json", ".jsonl"):
        return False
    if not content:
        return False
    place = dice.randrange(len(content))
    flipped = content[:place] + bytes([content[place] ^ (1 << dice.randrange(8))]) + content[place + 1 :]
    path.write_bytes({"cut": content[:place], "empty": b"", "flipped": flipped, "wrong type": b"[5]\n"}[how])
    return True


def faults(world: World, subject: str, path: Path, how: str) -> Iterator[str]:
    """What goes wrong with the damaged file: sentences, none when all is as it should be."""
    before = world.content()
    refusals = []
    for command in world.commands(subject):
        outcome = call(*command)
        if outcome.code not in (0, 1, 2, 3) or "Traceback" in outcome.text:
            yield f"{command[0]}: {' | '.join(outcome.text.strip().splitlines()[-2:])}"
        elif outcome.code == 2 and not outcome.text.strip():  # `prepare --check` lists what is wrong
            yield f"{command[0]}: exit code 2 without a word"
        refusals += [outcome.refusal] * (outcome.code == 2)
    if how == "flipped" and path.name in ("best.safetensors", "weights.safetensors") and not refusals:
        yield "a flipped bit in weights is read with"
    yield from harm(world, before, path)
    if subject == "trial" and any(f"{path}" in text and "; remove it: " in text for text in refusals):
        yield from healing(world, path)


def healing(world: World, path: Path) -> Iterator[str]:
    """Do as the sentence says, remove the file, and train again."""
    path.unlink()
    if (again := world.train()).code != 0:
        yield f"removed as it said, and train: {again.refusal or again.text[-200:]}"


def harm(world: World, before: dict[str, bytes], path: Path) -> Iterator[str]:
    """Files that have changed though they had nothing to do with the damage."""
    after = world.content()
    damaged = str(path.relative_to(world.root))
    for name, content in before.items():
        if name == damaged or Path(name).name in MAY_CHANGE or "artifacts" in Path(name).parts:
            continue
        if name not in after:
            yield f"{name} is gone"
        elif after[name] != content:
            yield f"{name} has changed"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.fuzz")
    parser.add_argument("--seed", type=int, default=0, help="of the places that are damaged (default: 0)")
    parser.add_argument("--only", default=",".join(SUBJECTS), help=f"(default: {','.join(SUBJECTS)})")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    arguments = parser.parse_args()
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="lipkd-fuzz-"))
    import torch

    torch.set_num_threads(1)  # a forked process has no other threads
    world = World(root)
    dice = random.Random(arguments.seed)
    wrong = 0
    for subject in arguments.only.split(","):
        tried = failed = 0
        for path in world.files(subject):
            for how in DAMAGES:
                if damage(path, how, dice):
                    tried += 1
                    found = list(faults(world, subject, path, how))
                    failed += bool(found)
                    for fault in found:
                        print(f"{subject}: {path.relative_to(world.root)}, {how}: {fault}", flush=True)
                world.restore()
        wrong += failed
        print(f"{subject}: {tried} kinds of damage, {failed} wrong", flush=True)
    if not arguments.keep:
        shutil.rmtree(root)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
