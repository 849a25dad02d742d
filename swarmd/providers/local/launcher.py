"""Starting a process so that it is on record before it does anything.

A tiny shell is started first, under the instance's account, in a session of its own, and waits
for one line on its standard input. Meanwhile it is put into its control groups and its identity
is written to disk; only then it is told to go and becomes the real program: same pid, same start
time. If the daemon dies in between, the shell reads the end of its input and leaves.

The shell itself must not obey the environment that it hands on: LD_PRELOAD alone would run a
user's code before the groups and the record. So it gets each variable as the value of a name
that nobody else reads, and exports it after it was told to go. Nothing of it is an argument,
which everyone on the host could read.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from swarmd.errors import ProviderError
from swarmd.providers.local import cgroups
from swarmd.providers.local.identity import Identity, identify
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.faults import os_faults

ABANDONED = 125
"""The exit status of a shell that was never told to go."""

# "read" takes one line and not a byte more: what follows on the same pipe is the program's own.
# The folder is entered here and not before: with the account's rights, not the daemon's.
_WAIT = f"read -r go || exit {ABANDONED}; "
_BECOME = 'cd -P -- "$1" || exit 126; shift; exec "$@"'
_PASSED = "SWARMD_"  # our own marks: by them the shell itself is found
_HANDED = "SWARMD_ENV_"
_UMASK = 0o022


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be started, and how.

    Args:
        command: The argument vector.
        folder: Where it works.
        environment: All of it; nothing is inherited.
        account: As whom.
        output: Descriptors of its standard output and error, or ``subprocess.PIPE``.
        keep: Descriptors that it inherits under the same number.
        keep_input: Whether it reads from ``Child.input`` (else from /dev/null).
        groups: Its control groups.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    account: Account
    output: tuple[int, int]
    keep: tuple[int, ...] = ()
    keep_input: bool = False
    groups: tuple[Path, ...] = field(default=())


class Child:
    """A child that waits to be told to go, and later the program it became."""

    def __init__(self, process: subprocess.Popen[bytes], identity: Identity) -> None:
        self._process = process
        self.identity = identity

    @property
    def input(self) -> IO[bytes]:
        """The writing end of its standard input."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def outputs(self) -> tuple[IO[bytes], IO[bytes]]:
        """The reading ends of its output and error, where they are pipes."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        return self._process.stdout, self._process.stderr

    def go(self, *, keep_input: bool = False) -> None:
        """Let it become the program. Raises ``ProviderError`` if it has ended meanwhile."""
        try:
            self.input.write(b"go\n")
            if not keep_input:
                self.input.close()
        except OSError as error:
            self.abandon()
            raise ProviderError(
                "the process ended before it began",
                next_step="Look at the instance's log and the host's memory, then repeat this.",
                details={"cause": str(error)},
            ) from error

    def abandon(self) -> None:
        """End it before it began."""
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def poll(self) -> int | None:
        """Its exit status once it has ended (negative: the signal), None before."""
        return self._process.poll()

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it has not ended after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def let_go(self) -> None:
        """Leave it running without us: subprocess then does not warn that nobody waited."""
        if self._process.poll() is None:
            self._process.returncode = 0


def spawn(launch: Launch) -> Child:
    """Start the shell that waits; it is in its groups when this returns.

    Raises:
        ResourceLimitError: No process, descriptor or memory is left.
        ProviderError: Any other reason.
    """
    exports, environment = _hand_over(launch.environment)
    script = _WAIT + exports + _BECOME + ("" if launch.keep_input else " </dev/null")
    with os_faults("starting a process"):
        process = subprocess.Popen(
            ["/bin/sh", "-c", script, "swarmd", str(launch.folder), *launch.command],
            stdin=subprocess.PIPE,
            stdout=launch.output[0],
            stderr=launch.output[1],
            env=environment,
            cwd="/",
            umask=_UMASK,
            pass_fds=launch.keep,
            start_new_session=True,
            bufsize=0,
            **launch.account.popen,
        )
    # If it was killed at once: we have not waited, so the pid is still its own.
    child = Child(process, Identity(boot="", pid=process.pid, started=0))
    try:
        with os_faults("putting a process into its control groups"):
            child.identity = identify(process.pid) or child.identity
            cgroups.enter(launch.groups, process.pid)
    except BaseException:
        child.abandon()
        raise
    return child


def _hand_over(environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The shell's commands that make this the environment, and what it must be given for it.

    ``command`` keeps a variable that a shell holds fixed (UID in bash) from ending it.
    """
    passed = {name: value for name, value in environment.items() if name.startswith(_PASSED)}
    lines = []
    for number, (name, value) in enumerate(environment.items()):
        if name not in passed:
            held = f"{_HANDED}{number}"
            passed[held] = f"{name}={value}"
            lines.append(f'command export "${held}"; unset {held}; ')
    return "".join(lines), passed


def exit_words(status: int | None) -> str:
    """How a process ended, in words."""
    import signal

    if status is None:
        return "ended; with what status, only the daemon that started it would know"
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"ended by {signal.Signals(-status).name}"
    return f"ended by signal {-status}"
