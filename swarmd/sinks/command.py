"""A program as a receiver: it gets each alert as JSON on its standard input."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from swarmd.errors import Unavailable
from swarmd.messages.alert import Notice
from swarmd.ports import Endurance
from swarmd.sinks.payload import payload

_ALLOWED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_ATTEMPTS = 4
_SECONDS = 3600.0
_WORDS = 300
"""Of what it says on its standard error so much is told."""


class CommandSink:
    """Runs it once for each alert, never by a shell, in a session of its own.

    Files stand at both of its ends, so that nothing blocks if it does not read, or leaves
    children behind that keep its output open.

    Args:
        argv: The program and its arguments.
        timeout: Seconds for one run.
        env_allow: Further names of the daemon's environment that it gets.
        node: This daemon's id.
        environment: The daemon's environment.
    """

    name = "command"
    insecure = False
    endurance = Endurance(_SECONDS, _ATTEMPTS)

    def __init__(
        self,
        argv: Sequence[str],
        timeout: float,
        env_allow: Sequence[str],
        *,
        node: str,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._argv = list(argv)
        self._timeout = float(timeout)
        allowed = (*_ALLOWED, *env_allow)
        self._environment = {key: environment[key] for key in allowed if key in environment}
        self._node = node

    @property
    def where(self) -> str:
        """Its program; arguments may hold what is nobody's business."""
        return self._argv[0]

    def deliver(self, notice: Notice) -> None:
        """Run it and wait for its end. Raises ``Unavailable`` if it does not end well."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(payload(notice, self._node) + b"\n")
            given.seek(0)
            code = self._run(given, said)
            if code != 0:
                raise Unavailable(
                    f"{self.where} ended with {code}{_words(said)}",
                    next_step="Run it by hand with an alert on its standard input.",
                )

    def _run(self, given: IO[bytes], said: IO[bytes]) -> int:
        try:
            child = subprocess.Popen(
                self._argv,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=self._environment,
                cwd=Path("/"),
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(
                f"{self.where} cannot be run: {error.strerror or error}",
                field="alerting.command",
                next_step="Name a program that the daemon's user may run.",
            ) from error
        with child:
            try:
                ended = _ends_within(child.pid, self._timeout)
            finally:
                # With all that it has left behind. It is not waited for yet: until then nobody
                # else can have its number.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            if not ended:
                raise Unavailable(
                    f"{self.where} did not end within {self._timeout:g} s",
                    field="alerting.command_timeout",
                    next_step="Let it hand on long work, or give it more time.",
                )
            return child.wait()

    def close(self) -> None:
        """It holds nothing."""


def _ends_within(pid: int, seconds: float) -> bool:
    """Whether a child has ended by then; it stays a zombie (pidfd_open(2))."""
    descriptor = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _words(said: IO[bytes]) -> str:
    """The end of what it said."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _WORDS))
    words = said.read().decode("utf-8", "replace").strip()
    return f": {words}" if words else ""
