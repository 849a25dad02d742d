"""What tests of every room share: waiting for facts, and asking for real parts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    *,
    timeout: float = 10.0,
    describe: Callable[[], object] | None = None,
) -> T:
    """Wait for a fact and return it; fail with what was seen instead.

    Args:
        predicate: Asked about a hundred times a second; its first true answer is returned.
        timeout: Seconds.
        describe: What to tell if the fact does not come; else the last answer is told.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            seen = describe() if describe is not None else answer
            pytest.fail(f"not true within {timeout:g} s; last seen: {seen!r}")
        pause.wait(0.01)


def require(part: str, found: object, reason: str) -> None:
    """Skip the test without this real part, or fail it if the machine was said to have it.

    Args:
        part: docker, redis, code-server, browser or root.
        found: Whether it is there.
        reason: Why the test cannot run without it.
    """
    if found:
        return
    if part in os.environ.get("SWARMD_TEST_REQUIRE", "").split():
        pytest.fail(f"{part} is required by SWARMD_TEST_REQUIRE: {reason}", pytrace=False)
    pytest.skip(f"{part}: {reason}")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on right now."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
