"""The end of a main process is heard of at once, not at the next look (pidfd_open(2), epoll(7)).

One thread waits on a pidfd for each. It begins with the first process, so a daemon without
instances pays nothing for it; it alone opens and closes the descriptors, so that a number that
is used again is never taken for what it stood for before. Being heard of is a favour: what finds
no descriptor is seen by looking, as everything is.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import select
import threading
import time
from collections.abc import Callable, Mapping

from swarmd.providers.local.identity import Identity, open_pidfd

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 5.0
_JUST_SECONDS = 2.0
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)


class Endings:
    """Tells when processes end, from ``begin`` until ``close``. Thread-safe; no call waits.

    Args:
        name: The provider's name, for the thread's.
    """

    def __init__(self, name: str = "local") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._changed: Callable[[], None] | None = None
        self._followed: dict[str, Identity] = {}
        self._ended: dict[str, tuple[Identity, float]] = {}
        self._news: set[str] = set()
        self._waiter: _Waiter | None = None
        self._thread: threading.Thread | None = None
        self._complained = False

    def begin(self, changed: Callable[[], None]) -> None:
        """From now on processes can be followed.

        Args:
            changed: Called in a thread that holds nothing, once for all that ended together.
        """
        with self._lock:
            self._changed = changed

    def follow(self, instance_id: str, identity: Identity) -> None:
        """Tell when this process ends, or that it has; it takes the place of an earlier one."""
        with self._lock:
            if self._changed is None or self._followed.get(instance_id) == identity:
                return
            self._followed[instance_id] = identity
            self._ended.pop(instance_id, None)
            self._news.add(instance_id)
            self._wake()

    def forget(self, instance_id: str) -> None:
        """Say nothing of an instance's process any more."""
        with self._lock:
            self._ended.pop(instance_id, None)
            if self._followed.pop(instance_id, None) is not None:
                self._news.add(instance_id)
                self._wake()

    def just_ended(self, instance_id: str, identity: Identity) -> bool:
        """Whether the end of this process was heard of within the last two seconds.

        What it had started may then be about to end with it, and prove nothing by being there.
        """
        heard = self._ended.get(instance_id)
        if heard is None or heard[0] != identity:
            return False
        return time.monotonic() - heard[1] < _JUST_SECONDS

    def close(self) -> None:
        """End the thread and close every descriptor. Idempotent."""
        with self._lock:
            self._changed = None
            self._followed.clear()
            thread = self._thread
            if self._waiter is not None:
                self._waiter.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)

    def _wake(self) -> None:
        """With the lock: let the thread see what is new; begin it if there is none."""
        if self._waiter is not None:
            self._waiter.wake()
            return
        try:
            self._waiter = _Waiter()
            self._thread = threading.Thread(
                target=self._run, name=f"swarmd-{self._name}-endings", daemon=True
            )
            self._thread.start()
        except (OSError, RuntimeError) as error:  # no descriptor or thread is left: tried again
            self._complain(error)
            if self._waiter is not None:
                self._waiter.close()
            self._waiter = self._thread = None

    # --- in the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        waiter = self._waiter
        assert waiter is not None
        try:
            while (news := self._take_news()) is not None:
                ended = waiter.update(news)
                if waiter.problem is not None:
                    self._complain(waiter.problem)
                self._tell(ended or waiter.wait())
        finally:
            with self._lock:
                self._waiter = self._thread = None
                waiter.close()

    def _take_news(self) -> Mapping[str, Identity | None] | None:
        """Whose process is another one now, or none; None if this is closed."""
        with self._lock:
            if self._changed is None:
                return None
            news = {each: self._followed.get(each) for each in self._news}
            self._news.clear()
            return news

    def _tell(self, ended: Mapping[str, Identity]) -> None:
        with self._lock:
            still = [each for each in ended if self._followed.get(each) == ended[each]]
            for instance_id in still:
                self._ended[instance_id] = self._followed.pop(instance_id), time.monotonic()
            changed = self._changed
        if not still or changed is None:
            return
        try:
            changed()
        except Exception:  # noqa: BLE001  # an odd listener must not deafen us
            _log.exception("the end of %s was not heard", ", ".join(sorted(still)))

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            told = "provider %s: when some processes end is seen by looking only: %s"
            _log.warning(told, self._name, error)


class _Waiter:
    """The descriptors, all of one thread; only ``wake`` may be called by others.

    Raises:
        OSError: No descriptor is left.
    """

    def __init__(self) -> None:
        self._most = _most_descriptors()
        self._held: dict[str, tuple[int, Identity]] = {}
        self._owners: dict[int, str] = {}
        self._waiting: dict[str, Identity] = {}
        self.problem: Exception | None = None
        with contextlib.ExitStack() as stack:
            self._poller = stack.enter_context(select.epoll())
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            stack.callback(os.close, self._bell)
            self._poller.register(self._bell, select.EPOLLIN)
            self._stack = stack.pop_all()

    def wake(self) -> None:
        """End the wait that is going on, or the next one."""
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Close them all."""
        for instance_id in tuple(self._held):
            self._release(instance_id)
        self._stack.close()

    def update(self, news: Mapping[str, Identity | None]) -> dict[str, Identity]:
        """Hold a descriptor for each of these, and none for those without an identity.

        Returns:
            What has ended before it could be waited for.
        """
        for instance_id, identity in news.items():
            self._waiting.pop(instance_id, None)
            self._release(instance_id)
            if identity is not None:
                self._waiting[instance_id] = identity
        return self._hold()

    def wait(self) -> dict[str, Identity]:
        """What has ended, as soon as something has; nothing if it was woken."""
        ended = {}
        for descriptor, _ in self._poller.poll():
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
            else:
                instance_id = self._owners[descriptor]
                _, ended[instance_id] = self._held[instance_id]
                self._release(instance_id)
        return ended

    def _hold(self) -> dict[str, Identity]:
        """As many as there are descriptors for; the others when one is free again."""
        ended = {}
        while self._waiting:
            instance_id, identity = next(iter(self._waiting.items()))
            try:
                self._hold_one(instance_id, identity)
            except ProcessLookupError:
                ended[instance_id] = identity
            except OSError as error:
                self.problem = error
                if error.errno in _USED_UP:
                    break
            del self._waiting[instance_id]
        return ended

    def _hold_one(self, instance_id: str, identity: Identity) -> None:
        if len(self._held) >= self._most:
            raise OSError(errno.EMFILE, f"all {self._most} descriptors for this are in use")
        descriptor = open_pidfd(identity)
        if descriptor is None:
            raise ProcessLookupError
        try:
            self._poller.register(descriptor, select.EPOLLIN)
        except OSError:
            os.close(descriptor)
            raise
        self._held[instance_id] = descriptor, identity
        self._owners[descriptor] = instance_id

    def _release(self, instance_id: str) -> None:
        if instance_id not in self._held:
            return
        descriptor, _ = self._held.pop(instance_id)
        del self._owners[descriptor]
        # Closing alone may not do: a child that is just being started can share it for a moment.
        self._poller.unregister(descriptor)
        os.close(descriptor)


def _most_descriptors() -> int:
    """Half of what the daemon may have: the rest is for those who connect, and for files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (soft if soft != resource.RLIM_INFINITY else 1 << 20) // 2
