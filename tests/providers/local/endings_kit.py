"""What the tests of endings share: processes that do nothing, and who hears of their end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from swarmd.providers.local.identity import Identity, identify, is_alive, wait_ended

THREAD = "swarmd-test-endings"
Sleeper = Callable[[], Identity]


class Heard:
    """Counts what was told."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@contextlib.contextmanager
def sleepers() -> Iterator[Sleeper]:
    """Starts processes that do nothing, until its end."""
    with contextlib.ExitStack() as stack:

        def start() -> Identity:
            process = stack.enter_context(subprocess.Popen(["sleep", "300"]))
            stack.callback(process.kill)
            found = identify(process.pid)
            assert found is not None
            return found

        yield start


def kill(identity: Identity) -> None:
    """And wait until it has ended."""
    os.kill(identity.pid, signal.SIGKILL)
    wait_ended([identity], 10)
    assert not is_alive(identity)


def descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def thread() -> threading.Thread | None:
    """The one that waits, if there is one."""
    return next((each for each in threading.enumerate() if each.name == THREAD), None)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of processes that are not followed."""
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
