"""One function over many clips in worker processes, in order; a decoder that crashes costs its own clip only."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from preprocessing.corpus.source import Source
from preprocessing.rejects import BadClip
from preprocessing.write_store import Prepared

AHEAD = 4  # clips in flight per worker: keeps all busy, bounds the memory
FEW = 8  # clips that are not worth starting processes for
Result = Prepared | BadClip
Check = Callable[[Source], Result]


def check_all(check: Check, sources: Sequence[Source], workers: int, *, inline: bool = True) -> Iterator[Result]:
    """`check` of every source, in order, over worker processes; unless `inline`, also where one process would do.

    A decoder that dies of a damaged video takes its whole pool with it: the clips in flight are then
    checked one by one, each in a process of its own, and only the one that kills it again is lost.
    """
    if inline and (workers == 1 or len(sources) <= FEW):
        yield from map(check, sources)
        return
    remaining = deque(sources)
    while remaining:
        flying: deque[tuple[Source, Future[Result]]] = deque()
        with _pool(workers) as pool:
            try:
                while remaining or flying:
                    while remaining and len(flying) < workers * AHEAD:
                        flying.append((remaining[0], pool.submit(check, remaining[0])))
                        remaining.popleft()
                    result = flying[0][1].result()
                    flying.popleft()
                    yield result
            except BrokenProcessPool:
                pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for source, _ in flying:
            yield _alone(check, source)


def _alone(check: Check, source: Source) -> Result:
    with _pool(1) as pool:
        try:
            return pool.submit(check, source).result()
        except BrokenProcessPool:
            return BadClip("unreadable video", "the decoder crashed on it")


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: OpenCV's and torch's threads do not survive a fork.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)


def end_with_parent() -> None:
    """Make this worker end when its parent is killed; else it would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True).start()
