"""A command in a running instance: its output, its input, its end with all that it started."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from swarmd.errors import DeadlineExceeded, ProviderError, Unavailable
from swarmd.messages.requests import ExecInstance
from swarmd.providers.local import tree
from swarmd.providers.local.identity import open_pidfd
from swarmd.providers.local.launcher import Child, Launch, spawn
from swarmd.providers.shared.commands import input_closed, no_folder

_PIECE = 65536


def new_mark() -> tuple[str, str]:
    """A variable by which all that one command starts is found again."""
    return tree.EXEC_MARKER, secrets.token_hex(8)


def folder_of(base: Path, wanted: str | None) -> Path:
    """Where a command works: the workspace, or a folder below it.

    Args:
        base: The workspace.
        wanted: Relative to it, or absolute and below it.

    Raises:
        ValidationError: It is not below it, or not there.
    """
    if not wanted:
        return base
    folder = Path(os.path.normpath(base / wanted))
    if not folder.is_relative_to(base):
        raise no_folder(f"{wanted!r} is not below the workspace")
    if not folder.is_dir():
        raise no_folder(f"there is no folder {wanted!r} in the workspace")
    return folder


class CommandSession:
    """A running command (``swarmd.ports.Session``).

    Args:
        child: The child, not yet told to go.
        find: Finds all processes that it started.
        timeout: Seconds until everything that it started is ended; None: no limit.
    """

    def __init__(
        self, child: Child, find: Callable[[], tuple[tree.Seen, ...]], timeout: float | None
    ) -> None:
        self._child = child
        self._find = find
        self._timeout = timeout
        out, err = child.outputs
        self._streams = {out.fileno(): "stdout", err.fileno(): "stderr"}
        for pipe in (out, err, child.input):
            os.set_blocking(pipe.fileno(), False)
        self._pidfd = open_pidfd(child.identity)
        try:
            self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            if self._pidfd is not None:
                os.close(self._pidfd)
            raise
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._ending = threading.Lock()
        self._expired = False
        self._code: int | None = None
        self._timer: threading.Timer | None = None

    def begin(self, *, keep_input: bool) -> None:
        """Tell it to go. What fails before that leaves nothing running.

        Raises:
            ProviderError: It has ended meanwhile.
        """
        try:
            if self._timeout is not None:
                self._timer = threading.Timer(self._timeout, self._expire)
                self._timer.daemon = True
                self._timer.start()
            self._child.go(keep_input=keep_input)
        except BaseException:
            self.close()
            raise

    # --- the session -------------------------------------------------------------------------

    def read(self) -> tuple[str, bytes] | None:
        """The next piece of output; None at the end.

        Raises:
            DeadlineExceeded: The command's time ran out; nothing of it runs.
        """
        with self._reading:
            while not self._closed:
                piece, ended = self._look()
                if piece is not None:
                    return piece
                if ended:
                    self._finish()
                    break
        if self._is_expired():
            raise DeadlineExceeded(
                f"the command ran longer than {self._timeout:g} s and was ended",
                field="timeout",
                next_step="Give it more time, or run it in a terminal of the instance.",
            )
        return None

    def write(self, data: bytes) -> None:
        """Give bytes to its input; waits while the command does not read them.

        Raises:
            ProviderError: It reads no more.
        """
        with self._writing:
            pipe = self._child.input
            left = memoryview(data)
            while left and not self._closed:
                if pipe.closed:
                    raise input_closed()
                try:
                    left = left[os.write(pipe.fileno(), left) :]
                except BlockingIOError:
                    self._poll({pipe.fileno(): select.POLLOUT})
                except BrokenPipeError as error:
                    raise input_closed() from error

    def close_input(self) -> None:
        """End its input."""
        with self._writing, contextlib.suppress(BrokenPipeError):
            self._child.input.close()

    def result(self) -> int | None:
        """The exit code; 128 and the signal's number if a signal ended it."""
        return self._code

    def close(self) -> None:
        """End it with everything it started; what it left behind on purpose may stay."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        os.write(self._wake_write, b"x")
        if not self._is_expired() and self._code is None:
            self._end_all()
        with self._reading, self._writing:
            self._release()

    # --- inside ------------------------------------------------------------------------------

    def _look(self) -> tuple[tuple[str, bytes] | None, bool]:
        """Wait for something: a piece of output, or whether the command has ended."""
        wanted = dict.fromkeys(self._streams, select.POLLIN)
        ended = self._child.poll() is not None
        if not ended and self._pidfd is not None:
            wanted[self._pidfd] = select.POLLIN
        ready = self._poll(wanted, 0 if ended else None)
        for descriptor in [found for found in self._streams if found in ready]:
            data = _read(descriptor)
            if data:
                return (self._streams[descriptor], data), False
            if data is not None:
                del self._streams[descriptor]
        # Whoever inherited the pipes may hold them open for ever: the command's end is the end.
        return None, ended and not any(found in ready for found in self._streams)

    def _poll(self, wanted: dict[int, int], timeout: float | None = None) -> set[int]:
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        for descriptor, events in wanted.items():
            poller.register(descriptor, events)
        return {descriptor for descriptor, _ in poller.poll(timeout)}

    def _finish(self) -> None:
        status = self._child.poll()
        assert status is not None
        self._code = status if status >= 0 else 128 - status
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        with self._ending:
            self._expired = True
            self._end_all()

    def _end_all(self) -> None:
        with contextlib.suppress(ProviderError):  # what cannot be ended, ``stop`` will tell
            tree.end(self._find, grace=0.0, check=lambda: None)

    def _is_expired(self) -> bool:
        """Whether its time ran out; then nothing of it runs any more.

        The command itself is ended before all that it started is: whoever sees its end is not
        told of it before that.
        """
        if self._expired:
            with self._ending:
                pass
        return self._expired

    def _release(self) -> None:
        status = self._child.wait(5.0)
        if self._code is None and status is not None:
            self._code = status if status >= 0 else 128 - status
        with contextlib.suppress(BrokenPipeError):
            self._child.input.close()
        for pipe in self._child.outputs:
            pipe.close()
        for descriptor in (self._wake_read, self._wake_write, self._pidfd):
            if descriptor is not None:
                os.close(descriptor)


def run(
    options: ExecInstance,
    launch: Callable[[tuple[str, str]], Launch],
    instance_id: str,
    lives: Callable[[], bool],
) -> CommandSession:
    """Start a command.

    Args:
        options: What is asked for.
        launch: Makes the launch, given the mark that its environment must bear.
        instance_id: Whose command it is.
        lives: Whether the instance still runs. Asked when the child can be found by whoever
            ends the instance, and before it does anything: else a stop could overlook it.

    Raises:
        Unavailable: The instance was stopped meanwhile.
    """
    mark = new_mark()
    wanted = launch(mark)
    child = spawn(wanted)
    uid, root = wanted.account.uid, child.identity
    timeout = None if options.timeout is None else float(options.timeout)
    try:
        if not lives():
            raise Unavailable(
                f"the instance {instance_id} was stopped meanwhile", next_step="Start it."
            )
        session = CommandSession(
            child, lambda: tree.scan().having(mark, root, instance_id, uid), timeout
        )
    except BaseException:
        child.abandon()
        for pipe in child.outputs:
            pipe.close()
        raise
    session.begin(keep_input=options.stdin)
    return session


PIPES = (subprocess.PIPE, subprocess.PIPE)


def _read(descriptor: int) -> bytes | None:
    """What is there; nothing at the end, None if there is nothing yet."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return None
