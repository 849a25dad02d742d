"""Fixtures for every test: nothing may be left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pykka
import pytest
from hypothesis import HealthCheck, settings

from tests.support import all_pids, code_server_directory, processes_below, waited

settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure() -> None:
    """Let interrupts reach what tests start.

    A shell lets the programs that it starts with ``&`` ignore them, and so would their children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Two workers for each core: half of a test's time is spent waiting for processes."""
    return 2 * len(os.sched_getaffinity(0))


LEAVING = 5.0
"""Seconds that what a test ended may take to be gone."""


def _threads() -> set[threading.Thread]:
    """Threads that someone must end: all but the daemonic ones that are not ours."""
    return {
        thread
        for thread in threading.enumerate()
        if not thread.daemon or thread.name.startswith("swarmd")
    }


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that leaves an actor, a thread or a process behind."""
    base = tmp_path_factory.getbasetemp()
    threads, pids = _threads(), all_pids()
    yield
    actors = waited(lambda: set(map(str, pykka.ActorRegistry.get_all())), 1.0)
    pykka.ActorRegistry.stop_all(block=False)
    late_threads = waited(lambda: _threads() - threads, LEAVING)
    late_processes = waited(lambda: processes_below(base, known=pids), LEAVING)
    for process in late_processes:
        process.kill()
    left = [
        *(f"actor {actor}" for actor in actors),
        *(f"thread {thread.name}" for thread in late_threads),
        *(f"process {process}" for process in late_processes),
    ]
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture(scope="session")
def code_server_dir() -> Path:
    """The managed code-server's directory (SERVER); installed if it can be, else a skip."""
    return code_server_directory()
