"""A sweep whose processes are killed at random moments, and which is resumed until it is through."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.arena import Arena, Server, end, syncers, workers

MOST_STARTS = 20
VICTIMS = ("worker", "driver", "syncer", "server")


@dataclass
class Storm:
    """Kills that follow from a seed: `victims` in that order, each after a pause drawn from `pause` (seconds)."""

    arena: Arena
    seed: int
    victims: Sequence[str]
    pause: tuple[float, float] = (1.0, 8.0)
    server: Server | None = None
    killed: Counter[str] = field(default_factory=Counter)
    starts: int = 0

    def blow(self) -> int:
        """Run the sweep through the storm to its end; the last exit code."""
        rng = random.Random(self.seed)
        waiting = list(self.victims)
        due = time.monotonic() + rng.uniform(*self.pause)
        driver = self._start()
        back = float("inf")  # when the server returns
        try:
            while True:
                now = time.monotonic()
                if self.server and now > back:
                    self.server.start()
                    back = float("inf")
                if waiting and now > due and self._kill(waiting[0], driver):
                    if waiting[0] == "server":
                        back = now + rng.uniform(0, 5)
                    waiting.pop(0)
                    due = now + rng.uniform(*self.pause)
                code = driver.poll()
                if code is not None:
                    if code == 0 or self.starts == MOST_STARTS:
                        break
                    driver = self._start("--resume")
                time.sleep(0.02)
        finally:
            end([driver])
        if self.server:
            if self.server.process is None:
                self.server.start()
            self.server.wait_until_it_answers()
        return self._last_sync() or code

    def _start(self, *options: str) -> "subprocess.Popen[bytes]":
        self.starts += 1
        return self.arena.start(*options)

    def _kill(self, victim: str, driver: "subprocess.Popen[bytes]") -> bool:
        """Kill one now; False when there is none of its kind at this moment."""
        if victim == "server":
            if self.server is None or self.server.process is None:
                return False
            self.server.kill()
        else:
            found = {
                "worker": lambda: workers(self.arena.sweep),
                # not before there is something to lose
                "driver": lambda: [driver.pid] if workers(self.arena.sweep) and driver.poll() is None else [],
                "syncer": lambda: syncers(driver.pid),
            }[victim]()
            if not found:
                return False
            try:
                os.kill(found[0], signal.SIGKILL)
            except ProcessLookupError:
                return False
        self.killed[victim] += 1
        return True

    def _last_sync(self) -> int:
        return self.arena.command("sync").wait()


def victims_of(seed: int, kills: int) -> list[str]:
    """Each kind at least once, in an order that follows from the seed."""
    rng = random.Random(seed)
    victims = [*VICTIMS, *(rng.choice(VICTIMS) for _ in range(kills - len(VICTIMS)))]
    rng.shuffle(victims)
    return victims
