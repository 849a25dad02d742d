"""Client and servers on one core: for figures that the scheduler would else decide.

Of two processes that talk in turns, a wake-up on the other core costs several times as much as
one on the same core; which of them happens is the scheduler's choice, from one second to the next.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def on_one_core(*pids: int) -> Iterator[None]:
    """Keep this process and others, all their threads, on one core until the end.

    Args:
        pids: Of the others.
    """
    everyone = [int(task.name) for pid in (os.getpid(), *pids) for task in _tasks(pid)]
    before = {task: os.sched_getaffinity(task) for task in everyone}
    core = {min(os.sched_getaffinity(0))}
    try:
        for task in everyone:
            os.sched_setaffinity(task, core)
        yield
    finally:
        for task, cores in before.items():
            with contextlib.suppress(ProcessLookupError):  # a thread may have ended meanwhile
                os.sched_setaffinity(task, cores)


def _tasks(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/task").iterdir()
