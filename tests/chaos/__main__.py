"""`make chaos`: a line per run, exit code 1 when one of them went wrong.

    python -m tests.chaos [--runs N] [--turns N] [--trials N] [--only a,b,d,f] [--keep FOLDER]

a  kills at random moments of workers, driver, syncer and MLflow server, from a seed each
b  the MLflow server away for a whole sweep
c  a thousand trials that train nothing: what each costs, and whether all arrives; long, so only when named
d  eight real trials as a sweep, over the same trials bare
f  a disk that fills up under a running sweep
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.chaos.arena import Arena, Server, faults, picture_without_times
from tests.chaos.full_disk import fill, small_disk
from tests.chaos.overhead import overhead
from tests.chaos.storm import Storm, victims_of
from tests.chaos.thousand import thousand
from tests.tuning.store_picture import RunPicture
from tuning.tracking.client import default_uri

Picture = dict[str, list[RunPicture]]
Outcome = tuple[str, list[str]]  # what was done, and what was wrong afterwards
COMPARED = {"a", "b", "f"}  # with the numbers of an undisturbed sweep


def storms(root: Path, runs: int, kills: int, calm: Picture) -> Iterator[Outcome]:
    """a: one finished run per trial, each step once, and the numbers of the undisturbed sweep."""
    for seed in range(runs):
        server = Server(root / f"storm-{seed}" / "mlruns")
        server.start()
        arena = Arena(root / f"storm-{seed}", options=("--tracking-uri", server.uri))
        try:
            server.wait_until_it_answers()
            storm = Storm(arena, seed, victims_of(seed, kills), server=server)
            code = storm.blow()
            wrong = [f"exit code {code}"] * bool(code) + faults(server.uri, arena.epochs, calm)
            killed = ", ".join(f"{count} {name}" for name, count in sorted(storm.killed.items()))
            yield f"a seed {seed}: killed {killed}; {storm.starts} starts", wrong
        finally:
            server.kill()


def outage(root: Path, calm: Picture, turns: int) -> Iterator[Outcome]:
    """b: training goes on as if nothing were wrong, and a later sync brings everything; with a server and without
    one, turn by turn."""
    ratios = []
    for turn in range(turns):
        took: dict[bool, float] = {}
        for there in (True, False) if turn % 2 == 0 else (False, True):
            arena, wrong = with_or_without(root / f"outage-{turn}-{'server' if there else 'none'}", calm, there)
            took[there] = arena.training_seconds()
            what = "with a server" if there else "no server"
            yield f"b turn {turn}, {what}: {took[there]:.1f} s of training", wrong
        ratios.append(took[False] / took[True])
    told = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    yield f"b without a server over with one: {median(ratios):.3f} in the median ({told})", []


def with_or_without(folder: Path, calm: Picture, there: bool) -> tuple[Arena, list[str]]:
    """A sweep that tracks in a server that is there, or comes only after it; and what was wrong then."""
    server = Server(folder / "mlruns")
    arena = Arena(folder, options=("--tracking-uri", server.uri, "--offline"))
    try:
        if there:
            server.start()
            server.wait_until_it_answers()
        code = arena.run()
        wrong = [f"exit code {code}"] * bool(code)
        if not there:
            wrong += ["the missing runs are not mentioned"] * ("not everything has reached" not in arena.said())
            server.start()
            server.wait_until_it_answers()
            wrong += ["lipkd sync failed"] * bool(arena.command("sync").wait())
        return arena, wrong + faults(server.uri, arena.epochs, calm)
    finally:
        server.kill()


def full_disk(root: Path, calm: Picture) -> Iterator[Outcome]:
    """f: the sweep pauses with a clear sentence, and goes on to the same numbers when there is space again."""
    Arena(root / "before")  # its store, beside the disk and not on it
    try:
        disk = small_disk(root / "disk", 32)
        folder = disk.__enter__()
    except PermissionError as error:
        yield f"f skipped: {error}", []
        return
    try:
        arena = Arena(folder)
        driver = arena.start()
        while not list(arena.sweep.glob("*/journal.jsonl")) and driver.poll() is None:
            time.sleep(0.02)
        ballast = fill(folder, leave=0)
        code = driver.wait()
        wrong = [f"exit code {code} instead of 130"] * (code != 130)
        ballast.unlink()
        wrong += ["the reason is not said"] * ("the disk is full" not in arena.said())
        code = arena.run("--resume")
        wrong += [f"exit code {code} after the resume"] * bool(code)
        yield "f disk full: paused, then resumed", wrong + faults(default_uri(arena.mlruns), arena.epochs, calm)
    finally:
        shutil.copy(arena.log, root / "disk.log")
        disk.__exit__(None, None, None)


def undisturbed(root: Path) -> Iterator[Outcome]:
    """The sweep that the others are compared with."""
    calm = Arena(root / "calm")
    code = calm.run()
    yield "an undisturbed sweep", [f"exit code {code}"] * bool(code) + faults(default_uri(calm.mlruns), calm.epochs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--runs", type=int, default=20, help="storms (default: 20)")
    parser.add_argument("--kills", type=int, default=6, help="in each storm (default: 6)")
    parser.add_argument("--turns", type=int, default=3, help="of b (default: 3)")
    parser.add_argument("--trials", type=int, default=1000, help="of c (default: 1000)")
    parser.add_argument("--only", default="a,b,d,f", help="(default: a,b,d,f)")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    arguments = parser.parse_args()
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="lipkd-chaos-"))

    def calm() -> Picture:
        return picture_without_times(default_uri(root / "calm" / "mlruns"))

    checks: dict[str, Callable[[], Iterator[Outcome]]] = {
        "calm": lambda: undisturbed(root),
        "a": lambda: storms(root, arguments.runs, arguments.kills, calm()),
        "b": lambda: outage(root, calm(), arguments.turns),
        "c": lambda: thousand(root, arguments.trials),
        "d": lambda: overhead(root),
        "f": lambda: full_disk(root, calm()),
    }
    wanted = arguments.only.split(",")
    failed = False
    for name in ["calm"] * bool(COMPARED & set(wanted)) + wanted:
        began = time.monotonic()
        for text, wrong in checks[name]():
            failed |= say(text, wrong, began)
            began = time.monotonic()
    if not (arguments.keep or failed):
        shutil.rmtree(root)
    return int(failed)


def say(text: str, wrong: list[str], began: float) -> bool:
    """Print the line of a run; whether it went wrong."""
    verdict = "WRONG: " + "; ".join(wrong[:5]) + (" …" if len(wrong) > 5 else "") if wrong else "as it should be"
    print(f"{text}; {time.monotonic() - began:.0f} s; {verdict}", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
