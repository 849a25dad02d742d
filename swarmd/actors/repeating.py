"""Calls that are made again where their provider did not answer. Only in lanes: it waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from swarmd.core.retry import pause_after
from swarmd.errors import DeadlineExceeded, SwarmError

Result = TypeVar("Result")

pause = threading.Event().wait
"""Waits so many seconds, for who cannot be told to end earlier: retries are bounded."""


def repeated(call: Callable[[], Result], wait: Callable[[float], object]) -> Result:
    """What the call returns, at its first attempt that gets through.

    Args:
        call: Safe to repeat.
        wait: Waits so many seconds. Raises ``OperationCancelled`` or ``DeadlineExceeded``.

    Raises:
        SwarmError: Of the last attempt.
    """
    failures = 0
    while True:
        began = time.monotonic()
        try:
            return call()
        except SwarmError as error:
            failures += 1
            chance = random.random()  # noqa: S311  # jitter, not a secret
            seconds = pause_after(failures, error, time.monotonic() - began, chance)
            if seconds is None:
                raise
            try:
                wait(seconds)
            except DeadlineExceeded:
                raise error from None  # why it failed says more than that its time is over
