"""Reading a log: its last lines, what is younger than, and on as it grows."""

from __future__ import annotations

import ctypes
import functools
import os
import select
import threading
import time

from swarmd.errors import ProviderError
from swarmd.messages.requests import LogsInstance
from swarmd.ports import Session
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.local.data.logfiles import LogFiles
from swarmd.providers.local.data.logs import LIVE
from swarmd.providers.shared.faults import os_faults

STREAM, NOTICE = "log", "notice"
_IN_MODIFY, _IN_ATTRIB = 0x2, 0x4
_LOOK_EVERY_MS = 2000  # with inotify; in case the filesystem does not report
_LOOK_OFTEN_MS = 200  # without
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_log(dirs: InstanceDirs, options: LogsInstance, now: float | None = None) -> Session:
    """Open an instance's log.

    Its output has the stream name ``log``; ``notice`` is what the daemon has to say of it.

    Args:
        dirs: Its places.
        options: ``tail`` lines, ``since`` (an age in seconds), ``follow``.
        now: The time that ``since`` counts from; default ``time.time()``.

    Raises:
        ProviderError: There is no log.
        ResourceLimitError: No descriptor is left.
    """
    with os_faults(f"opening the log of {dirs.id}"):
        try:
            return LogView(dirs, options, time.time() if now is None else now)
        except FileNotFoundError as error:
            raise ProviderError(
                f"instance {dirs.id} has no log yet",
                next_step="Start it first.",
                details={"cause": str(error)},
            ) from error


class LogView:
    """A ``Session`` over a log. One thread reads; any thread may close."""

    def __init__(self, dirs: InstanceDirs, options: LogsInstance, now: float) -> None:
        self._follow = options.follow
        self._reading = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._descriptors: list[int] = []
        try:
            folder = self._keep(os.open(dirs.log, folders.FOLDER))
            self._live = self._keep(os.open(LIVE, _OPEN, dir_fd=folder))
            self._waker, self._wake = map(self._keep, os.pipe2(os.O_CLOEXEC))
            self._watch = self._keep(watch(self._live)) if self._follow else -1
            self._files = LogFiles(folder, self._live)
            self._position = self._files.oldest()
            if options.since is not None:
                self._position = self._files.since(now - float(options.since))
            if options.tail is not None:
                self._position = self._files.tail(options.tail, self._position)
        except BaseException:
            self._release()
            raise

    def read(self) -> tuple[str, bytes] | None:
        """The next bytes; None at the end, or once closed."""
        with self._reading, os_faults("reading the log"):
            while not self._closed:
                found = self._next()
                if found is not None:
                    return found
                if not self._follow or not self._wait():
                    return None
        return None

    def write(self, data: bytes) -> None:
        """A log takes no input."""
        del data
        raise ProviderError("a log takes no input", next_step="Use exec to run a command.")

    def close_input(self) -> None:
        """There is none."""

    def result(self) -> int | None:
        """A log has no exit code."""
        return None

    def close(self) -> None:
        """Wake a blocked ``read`` and let go of the files."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.write(self._wake, b"x")
            with self._reading:
                self._release()

    def _next(self) -> tuple[str, bytes] | None:
        block = self._files.read(self._position)
        if block.missing:  # read it again behind the notice
            number, offset = block.then
            self._position = (number, offset - len(block.data))
            return NOTICE, b"[%d bytes of the log were rotated away unread]\n" % block.missing
        self._position = block.then
        if block.truncated:
            return NOTICE, b"[the log was truncated]\n"
        return (STREAM, block.data) if block.data else None

    def _wait(self) -> bool:
        """Until the file changes, at most a while. False: closed, or the file was removed."""
        if os.fstat(self._live).st_nlink == 0:
            return False
        poll = select.poll()
        poll.register(self._waker, select.POLLIN)
        if self._watch >= 0:
            poll.register(self._watch, select.POLLIN)
        ready = poll.poll(_LOOK_EVERY_MS if self._watch >= 0 else _LOOK_OFTEN_MS)
        if self._watch in dict(ready):
            os.read(self._watch, 4096)
        return not self._closed

    def _keep(self, descriptor: int) -> int:
        if descriptor >= 0:
            self._descriptors.append(descriptor)
        return descriptor

    def _release(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def watch(descriptor: int) -> int:
    """An inotify descriptor that tells of changes of this file; -1 if the host gives none."""
    notifier = int(_libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if notifier < 0:
        return -1
    path = f"/proc/self/fd/{descriptor}".encode()
    if _libc().inotify_add_watch(notifier, path, _IN_MODIFY | _IN_ATTRIB) < 0:
        os.close(notifier)
        return -1
    return notifier
