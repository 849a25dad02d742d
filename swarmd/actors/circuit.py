"""A provider's circuit breaker beside its actor; it outlives the actor, as its lanes do.

Changed on the actor's thread alone; what it holds is immutable, so that lanes may read it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from swarmd.core import breaker as core
from swarmd.core.breaker import Breaker, Limits
from swarmd.errors import CircuitOpen, SwarmError
from swarmd.messages.config import BreakerConfig
from swarmd.messages.provider import BreakerInfo
from swarmd.ports import Clock


class Circuit:
    """See the module's docstring.

    Args:
        provider: Whose.
        clock: For the times that people see.
        settings: ``[breaker]`` now.
    """

    def __init__(self, provider: str, clock: Clock, settings: Callable[[], BreakerConfig]) -> None:
        self._provider = provider
        self._clock = clock
        self._settings = settings
        self._breaker = Breaker()
        self.info = BreakerInfo()

    @property
    def closed(self) -> bool:
        """Whether calls go through."""
        return self._breaker.closed

    @property
    def calm(self) -> bool:
        """Whether it is closed, and nothing has failed since the last success."""
        return self._breaker.closed and self._breaker.failing_since is None

    @property
    def retry_at(self) -> float | None:
        """When an open one is to be probed, in monotonic seconds."""
        return self._breaker.retry_at

    def refusal(self) -> CircuitOpen | None:
        """Why nothing is sent now; None: it is closed. From any thread."""
        return core.refusal_of(self._provider, self.info)

    def failed(self, error: SwarmError, began: float, *, probe: bool) -> None:
        """A call that began then, in monotonic seconds, failed: an error of the provider's own."""
        after = core.failed(
            self._breaker,
            error.message,
            time.monotonic(),
            began=began,
            probe=probe,
            chance=random.random(),  # noqa: S311  # jitter, not a secret
            limits=self._limits(),
        )
        self._set(after)

    def succeeded(self) -> None:
        """A look went well."""
        self._set(core.succeeded(self._breaker, time.monotonic()))

    def probing(self) -> None:
        """A look is sent."""
        self._set(core.probing(self._breaker))

    def age(self) -> None:
        """Time has passed."""
        self._set(core.aged(self._breaker, time.monotonic(), self._limits()))

    def _set(self, after: Breaker) -> None:
        if after is self._breaker:
            return
        self._breaker = after
        info = core.info_of(after, time.monotonic(), self._clock.now())
        if info != self.info:
            self.info = info

    def _limits(self) -> Limits:
        found = self._settings()
        return Limits(found.failures, found.window, found.pause, found.longest_pause)
