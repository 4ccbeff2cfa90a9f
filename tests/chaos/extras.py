"""The wheel, installed with each extra alone: what an extra's commands import, it must bring.

    python -m tests.chaos.extras [--only core,prep] [--keep FOLDER]

A line per extra, exit code 1 when one of them went wrong. Every environment is fresh, has the versions of
constraints.txt, and sees nothing of the checkout.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
TRIAL = """
data: {store: store, scenario: random, val_share: 0.5}
network: {name: lipnet-128, width: 0.125}
training: {epochs: 1, batch_size: 2, device: cpu, threads: 1}
"""
SWEEP = f"""
name: small
trial: {{{", ".join(line for line in TRIAL.strip().splitlines())}}}
space: {{network.width: [0.125]}}
"""
STORE = """
import numpy as np
from lipkd.data.store import StoreWriter
rng = np.random.default_rng(0)
with StoreWriter("store", height=24, width=48, channels=3) as writer:
    for i, text in enumerate(["red", "blue", "red now", "blue now"]):
        frames = rng.integers(0, 255, (20, 24, 48, 3)).astype(np.uint8)
        writer.add(frames, id=f"s/{i}", speaker="s", fps=25.0, text=text, words=[], source=f"{i}.mp4")
    writer.close()
"""


class Wrong(Exception):
    """What an environment could not do, with the words of the program that could not."""


@dataclass(frozen=True)
class Environment:
    """A fresh environment, and a working folder of its own."""

    folder: Path
    work: Path

    def run(self, *command: str) -> str:
        """Run one of its programs in the working folder; raises Wrong with the last lines when it fails."""
        program = self.folder / "bin" / command[0]
        surroundings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "LIPKD_MLRUNS")}
        ran = subprocess.run(
            [str(program), *command[1:]],
            cwd=self.work,
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        if ran.returncode != 0:
            message = " ".join((ran.stderr or ran.stdout).split())[-600:]
            raise Wrong(f"{' '.join(command)[:80]}: exit {ran.returncode}: {message}")
        return str(ran.stdout)

    def install(self, *what: str) -> None:
        """pip install, to the versions of constraints.txt."""
        self.run(
            "python",
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-c",
            str(ROOT / "constraints.txt"),
            *what,
        )


def core(env: Environment) -> str:
    """Trains a trial on a host that has nothing else."""
    env.run("python", "-c", STORE)
    (env.work / "trial.yaml").write_text(TRIAL)
    env.run("lipkd", "train", "trial.yaml")
    return env.run("lipkd", "schema", "trial") and "train, schema"


def tune(env: Environment) -> str:
    """Runs a sweep of one trial and tracks it."""
    env.run("python", "-c", STORE)
    (env.work / "sweep.yaml").write_text(SWEEP)
    env.run("lipkd", "sweep", "sweep.yaml")
    env.run("lipkd", "sync")
    return "sweep, sync"


def prep(env: Environment) -> str:
    """Makes the synthetic corpus, its store, and the picture of the store."""
    env.run("lipkd", "synth", "corpus", "--speakers", "1", "--clips", "2")
    env.run("lipkd", "prepare", "corpus", "store")
    env.run("lipkd", "prepare", "--check", "store")
    env.run("lipkd", "inspect", "store", "--png", "store.png")
    return "synth, prepare, inspect"


def align(env: Environment) -> str:
    """Finds the words of one spoken sentence."""
    videos = env.work / "videos" / "anna"
    videos.mkdir(parents=True)
    (videos / "a.txt").write_text("good morning to all of you\n")
    sound, video = str(videos / "a.wav"), str(videos / "a.mp4")
    picture = ["-f", "lavfi", "-i", "color=gray:s=64x48:r=25"]
    subprocess.run(["espeak", "-w", sound, "good morning to all of you"], check=True, capture_output=True)
    subprocess.run(["ffmpeg", "-v", "error", *picture, "-i", sound, "-shortest", video], check=True)
    (videos / "a.wav").unlink()
    env.run("lipkd", "align", "videos", "alignments", "--layout", "speakers")
    return f"align: {(env.work / 'alignments' / 'anna' / 'a.align').read_text().count('morning')} morning"


def dashboard(env: Environment) -> str:
    """Serves its first page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(env.folder / "bin" / "lipkd"), "dashboard", "--port", str(port)]
    server = subprocess.Popen(command, cwd=env.work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                    return f"dashboard: {answer.read().decode()}"
            except OSError:
                if server.poll() is not None:
                    raise Wrong(f"dashboard ended: {server.communicate()[0][-600:]}") from None
                time.sleep(0.5)
        raise Wrong("dashboard: no answer in a minute")
    finally:
        server.terminate()
        server.wait(30)


def postgres(env: Environment) -> str:
    """Has the driver that MLflow's server wants."""
    return "psycopg " + env.run("python", "-c", "import psycopg; print(psycopg.__version__)").strip()


def completion(env: Environment) -> str:
    """Prints the words of the shell."""
    return f"{len(env.run('lipkd', 'completion', 'bash').splitlines())} lines for bash"


WHAT: dict[str, Callable[[Environment], str]] = {
    **{"core": core, "tune": tune, "dashboard": dashboard, "prep": prep, "align": align},
    **{"postgres": postgres, "completion": completion},
}


def build(folder: Path) -> Path:
    """The wheel of this checkout."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode != 0:
        raise SystemExit(f"the wheel was not built: {built.stderr[-600:]}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def tried(extra: str, wheel: Path, folder: Path) -> str:
    """What ran with one extra; raises Wrong."""
    work = folder / "work"
    work.mkdir(parents=True)
    env = Environment(folder / "env", work)
    venv.create(env.folder, with_pip=True)
    if extra == "align":  # aeneas builds with numpy there and without build isolation (see the Makefile)
        env.install("numpy", "setuptools", "wheel")
        os.environ["SETUPTOOLS_USE_DISTUTILS"] = "stdlib"
        env.install("--no-build-isolation", "--use-pep517", "aeneas")
    env.install(str(wheel) if extra == "core" else f"{wheel}[{extra}]")
    env.run("lipkd", "--version")
    env.run("lipkd", "--help")
    return WHAT[extra](env)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.extras", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(WHAT), help="extras, separated by commas (default: all)")
    parser.add_argument("--keep", type=Path, help="folder for the environments (default: a temporary one, removed)")
    arguments = parser.parse_args(argv)
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="lipkd-extras-"))
    wheel = build(root / "wheel")
    print(f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} KiB", flush=True)
    failed = 0
    for extra in arguments.only.split(","):
        started = time.monotonic()
        try:
            ran = tried(extra, wheel, root / extra)
            print(f"{extra:10} ok      {ran} ({time.monotonic() - started:.0f} s)", flush=True)
        except (Wrong, subprocess.SubprocessError) as error:
            failed += 1
            print(f"{extra:10} FAILED  {error}", flush=True)
        shutil.rmtree(root / extra / "env", ignore_errors=True)
    if arguments.keep is None:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
