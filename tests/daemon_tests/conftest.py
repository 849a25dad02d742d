"""A daemon in the test's own process for each test; nothing of it is left afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.daemon_tests.harness import Running, Settings
from tests.support import waited


class RunDaemon(Protocol):
    """Runs daemons that end with the test."""

    def __call__(
        self, given: Settings | None = None, *, wait: bool = True, **options: Any
    ) -> Running:
        """A ready daemon; with the settings of another one it is that one's next life."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """The places of one daemon; every process of its instances is ended with the test."""
    made = Settings(tmp_path / "d")
    yield made
    end_processes(made)
    made.close()


def end_processes(settings: Settings) -> None:
    """End what instances left running: their tests have looked at them."""
    for pid in settings.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not waited(lambda: set(settings.processes()), 5.0)


@pytest.fixture
def running_daemon(settings: Settings) -> Iterator[RunDaemon]:
    """Daemons in this process, each with a loop in a thread, ended in reverse order."""
    with contextlib.ExitStack() as open_daemons:

        def run(given: Settings | None = None, *, wait: bool = True, **options: Any) -> Running:
            running = Running(given or settings, **options)
            open_daemons.callback(running.stop)
            running.start()
            return running.ready() if wait else running

        yield run
