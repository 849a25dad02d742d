"""A thread for each sink: it offers what waits, in order, until it is taken or time is over.

So a receiver that is slow or gone holds up neither the others nor any mailbox. What waits
lies in the book of alerts; a courier is shown all of it, again and again, and remembers only
what was taken. So nothing depends on a message that may be lost.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from swarmd.core.backoff import delay
from swarmd.errors import InternalError, SwarmError, ValidationError
from swarmd.messages.alert import Notice, SinkInfo
from swarmd.messages.config import AlertingConfig
from swarmd.messages.enums import AlertChange
from swarmd.ports import Clock, Sink

log = logging.getLogger("swarmd.alerts")

_BASE_SECONDS = 1.0
_CAP_SECONDS = 60.0

NoticeKey = tuple[str, str, AlertChange]


@dataclass(slots=True)
class _Trying:
    """The notice at the head of the queue. ``again``: monotonic seconds."""

    key: NoticeKey
    attempts: int = 0
    again: float = 0.0


class Courier:
    """Delivers to one sink. Thread-safe.

    Args:
        sink: The receiver; nobody else calls it.
        clock: Time.
        told: Called on the courier's thread when a notice is done with.
        done: What an earlier courier of this sink was done with.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        told: Callable[[], None],
        done: frozenset[NoticeKey] = frozenset(),
    ) -> None:
        self.sink = sink
        self._clock = clock
        self._told = told
        self._changed = threading.Condition()
        self._waiting: tuple[Notice, ...] = ()
        self._done: set[NoticeKey] = set(done)
        self._trying: _Trying | None = None
        self._failing_since: datetime | None = None
        self._error: str | None = None
        self._given_up = 0
        self._closed = False
        name = f"swarmd-alerts-{sink.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, notices: Sequence[Notice]) -> None:
        """All that waits for this sink now, in order."""
        with self._changed:
            self._waiting = tuple(notices)
            # What left the book was written down as done.
            self._done &= {notice.key for notice in self._waiting}
            self._changed.notify_all()

    def done(self) -> frozenset[NoticeKey]:
        """What need not be offered any more: it was taken, or given up."""
        with self._changed:
            return frozenset(self._done)

    def info(self) -> SinkInfo:
        """How it fares."""
        with self._changed:
            return SinkInfo(
                name=self.sink.name,
                where=self.sink.where,
                waiting=sum(each.key not in self._done for each in self._waiting),
                failing_since=self._failing_since,
                error=self._error,
                given_up=self._given_up,
                insecure=self.sink.insecure,
            )

    def close(self) -> None:
        """End the thread once its call has come back; what waits is offered at the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait for the end of the thread; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # --- on its thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (notice := self._next()) is not None:
                self._finish(notice, self._deliver(notice))
        finally:
            self.sink.close()

    def _next(self) -> Notice | None:
        """The head of what waits, once it is to be tried; None at the end."""
        with self._changed:
            while not self._closed:
                head = next((each for each in self._waiting if each.key not in self._done), None)
                if head is None:
                    # It may have been withdrawn: then nothing fails any more.
                    self._failing_since = None
                    self._changed.wait()
                    continue
                if self._trying is None or self._trying.key != head.key:
                    self._trying = _Trying(head.key)
                pause = self._trying.again - time.monotonic()
                if pause <= 0:
                    return head
                self._changed.wait(pause)
        return None

    def _deliver(self, notice: Notice) -> SwarmError | None:
        try:
            self.sink.deliver(notice)
        except SwarmError as error:
            return error
        except Exception as error:
            log.exception("the sink %s failed", self.sink.name)
            return InternalError(f"{type(error).__name__}: {error}")
        return None

    def _finish(self, notice: Notice, error: SwarmError | None) -> None:
        with self._changed:
            over = error is None or self._failed(notice, error)
            if over:
                self._done.add(notice.key)
                self._trying = None
            if error is None:
                self._failing_since = None
        if over:
            self._told()

    def _failed(self, notice: Notice, error: SwarmError) -> bool:
        """One attempt failed; whether it was the last."""
        trying = self._trying or _Trying(notice.key)
        trying.attempts += 1
        if self._failing_since is None:
            self._failing_since = self._clock.now()
            log.warning("alerts to %s: %s", self.sink.name, error)
        self._error = error.message
        endurance = self.sink.endurance
        age = self._clock.now() - notice.at
        never = isinstance(error, ValidationError)
        often = bool(endurance.attempts) and trying.attempts >= endurance.attempts
        if never or often or age >= timedelta(seconds=endurance.seconds):
            self._given_up += 1
            log.error(
                "%s was not told that the alert %s was %s: given up after %d attempts: %s",
                self.sink.name, notice.alert.id, notice.change, trying.attempts, error,
            )  # fmt: skip
            return True
        chance = random.random()  # noqa: S311  # jitter, not a secret
        pause = delay(
            trying.attempts - 1, base=_BASE_SECONDS, cap=_CAP_SECONDS, chance=chance, jitter="equal"
        )
        trying.again = time.monotonic() + pause
        return False


class Couriers:
    """Those of all sinks, as the configuration has them. Outlives the alerting actor.

    Args:
        make: The sinks of a configuration.
        clock: Time.
        told: Called on any thread when a notice is done with.
    """

    def __init__(
        self,
        make: Callable[[AlertingConfig], Sequence[Sink]],
        clock: Clock,
        told: Callable[[], None],
    ) -> None:
        self._make = make
        self._clock = clock
        self._told = told
        self._lock = threading.Lock()
        self._config: tuple[object, ...] | None = None
        self._couriers: dict[str, Courier] = {}
        self._closed = False

    def follow(self, config: AlertingConfig) -> None:
        """Have the sinks that this asks for; the same ones as long as they do not change."""
        wanted = (
            config.log, config.command, config.command_timeout, config.command_env, config.webhooks,
        )  # fmt: skip
        with self._lock:
            # The actor may be about to end, and this one look behind.
            if wanted == self._config or self._closed or not config.enabled:
                return
            done: frozenset[NoticeKey] = frozenset()
            for courier in self._couriers.values():
                courier.close()
                done |= courier.done()
            self._couriers = {
                sink.name: Courier(sink, self._clock, self._told, done)
                for sink in self._make(config)
            }
            self._config = wanted

    def offer(self, notices: Sequence[Notice]) -> None:
        """All that waits for any sink."""
        for name, courier in self._all():
            courier.offer([each for each in notices if each.sink == name])

    def done(self) -> frozenset[NoticeKey]:
        """What need not be offered any more."""
        return frozenset().union(*(courier.done() for _, courier in self._all()))

    def infos(self) -> tuple[SinkInfo, ...]:
        """How they fare."""
        return tuple(courier.info() for _, courier in self._all())

    def suspend(self) -> tuple[Courier, ...]:
        """End all of them, until there is something to ``follow`` again."""
        with self._lock:
            couriers, self._couriers, self._config = self._couriers, {}, None
        for courier in couriers.values():
            courier.close()
        return tuple(couriers.values())

    def close(self, seconds: float) -> None:
        """End all of them for good.

        Args:
            seconds: How long to wait for the threads; a call that hangs goes with the process.
        """
        with self._lock:
            self._closed = True
        end = time.monotonic() + seconds
        for courier in self.suspend():
            courier.join(max(0.0, end - time.monotonic()))

    def _all(self) -> tuple[tuple[str, Courier], ...]:
        with self._lock:
            return tuple(self._couriers.items())
